"""By which way, as whom and in which role this process acts: said where it begins, read where an act is recorded."""

from __future__ import annotations

import os
from contextvars import ContextVar

WAYS = ("page", "command", "api", "sync", "system")
_way, _who = "command", ""
_role: ContextVar[str] = ContextVar("role", default="")


def begin(way: str, who: str = "") -> None:
    """What this process is, one of WAYS: a server of pages, or a command, and for whom; empty = the machine's user."""
    global _way, _who
    _way, _who = way, who


def in_role(role: str) -> None:
    """In which role this thread acts from here on; empty = none is known."""
    _role.set(role)


def way() -> str:
    """By which way this process acts."""
    return _way


def who() -> str:
    """Whoever a command acts for, where nothing says it nearer."""
    return _who or os.environ.get("USER") or "somebody"


def role() -> str:
    """The role of whoever acts in this thread."""
    return _role.get()
