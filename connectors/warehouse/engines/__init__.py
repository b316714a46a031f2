"""Engines of others, by URL: what runs SQL where the rows already are. One file per way of connecting."""
