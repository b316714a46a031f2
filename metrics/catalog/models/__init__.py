"""Definition files as frozen values: one file per subject."""
