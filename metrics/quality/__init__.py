"""What is valid but surely wrong, and how fresh the data is."""
