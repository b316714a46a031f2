"""For whom a thread computes, for those who know that: pages and the API."""

from connectors.cage.asker import computes_for

__all__ = ["computes_for"]
