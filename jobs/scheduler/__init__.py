"""The scheduler: syncs and what is due between them, by one leader."""
