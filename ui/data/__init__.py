"""What the page Data draws beside its tables."""
