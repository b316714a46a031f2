"""Names and texts in SQL."""

from __future__ import annotations

IDENTITIES = "identity "  # before the name of a table of whose each id is, among the sources of the books


def quoted(name: str) -> str:
    """An identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("'", "''") + "'"
