"""Readings from people: those who were exposed against those who were not. Pure statistics, one thing per file."""
