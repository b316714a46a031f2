"""Launches: the registry of those made by people, verdicts, scorecards, the page."""
