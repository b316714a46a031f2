"""Snapshots: taken, archived, rendered, sent."""
