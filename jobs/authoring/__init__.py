"""What helps to write definitions: init, add, validate, check, diff."""
