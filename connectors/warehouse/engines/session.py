"""What a session begins with, where the engine takes settings by name and not as statements."""

from __future__ import annotations

from collections.abc import Iterable


def settings(session: Iterable[str]) -> dict[str, str]:
    """Name → value of statements `SET name = value`."""
    pairs = (statement.removeprefix("SET ").partition(" = ") for statement in session)
    return {name: value.strip("'") for name, _, value in pairs}
