"""How many messages there are, by where each stands."""

from __future__ import annotations

from jobs.project.project import Project


def queued(project: Project) -> dict[str, int]:
    """Status of a message → how many have it; empty before the first. Raises StateError."""
    from connectors.state import alerts as store  # SQLAlchemy, only where it is asked

    if not project.state.exists():
        return {}
    with project.state.reading() as connection:
        return store.queue(connection)
