"""The composition root: opens settings, sources, catalogue, reader and state of a project folder, for everyone."""
