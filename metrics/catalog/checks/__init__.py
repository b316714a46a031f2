"""What a well-formed definition can still get wrong: one file per subject."""
