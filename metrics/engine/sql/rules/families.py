"""Dialects that are one to the rules."""

SPARKS = ("spark", "databricks")
