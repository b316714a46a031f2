"""The outside world: files, databases, engines, settings. Imports nothing of the rest of the house."""
