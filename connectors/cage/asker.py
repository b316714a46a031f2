"""For whom this thread computes: what one of them may take at a time is limited, so that the others are answered."""

from __future__ import annotations

from contextvars import ContextVar

_asker: ContextVar[str] = ContextVar("asker", default="")


def computes_for(name: str) -> None:
    """From here on this thread computes for a person, a session or a token; empty = for the machine, without limit."""
    _asker.set(name)


def asker() -> str:
    """For whom this thread computes."""
    return _asker.get()
