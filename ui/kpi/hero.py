"""The number of a KPI, large, with what it is compared with."""

from __future__ import annotations

from metrics.kpi_views.card import Card
from ui.shell.templates import render_once


def hero(card: Card) -> None:
    """Value with its period and status; change; target; owner."""
    owner, target = card.owner.split("@")[0], card.target.removeprefix("Target ")
    render_once("kpi/hero", [card], card=card, owner=owner, target=target)
