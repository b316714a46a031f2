"""The audit on pages: who may see it, what it shows, files that are recorded when they are taken."""
