"""Who may see the audit."""

from __future__ import annotations

from ui.shell import state


def may_see_audit() -> bool:
    """Whether the reader may see what everybody did."""
    return state.may_edit()
