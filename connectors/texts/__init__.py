"""Dates and numbers that a column holds as text: the ways to write them, and which of them a column has."""
