"""The one sentence beside a KPI's number: what matters most of what is known about it."""

from __future__ import annotations

from metrics.kpi_views.card import Card


def insight(card: Card, so_far: str, change: str, *, ordinary: bool) -> str:
    """change: the change that matters and where it sits, empty if unknown; ordinary: within the usual range.

    An unusual change comes first, then how the running period goes, then the ordinary change, then the status.
    """
    if change and not ordinary:
        return change
    return so_far or change or card.status.why
