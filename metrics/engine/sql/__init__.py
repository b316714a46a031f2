"""What writes SQL: trees, dialects, windows, the rows that follow an entity."""
