"""Guardrails of people: not worse than the control by more than a margin, which is more than "no clear change"."""

from __future__ import annotations

from dataclasses import dataclass

from metrics.catalog.models.launch import MARGIN

HOLDS, BREACHED, OPEN = "holds", "breached", "not known yet"


@dataclass(frozen=True)
class Margin:
    """size: a share of the control's value, or an amount where it is in points."""

    size: float
    in_points: bool


def margin_of(text: str) -> Margin:
    """`1%` of the control's value; `0.5pp` of a rate."""
    found = MARGIN.fullmatch(text.strip())
    assert found is not None, "the launch's file was checked"
    return Margin(float(found[1]) / 100, found[3] == "pp")


def judged(low: float, high: float, margin: float, *, up_is_good: bool) -> str:
    """low, high: the interval of the effect. margin: how far to the bad side is still fine, in the same unit.

    holds: all of the interval is on the good side of the margin; breached: all of it is beyond.
    """
    worst, best = (low, high) if up_is_good else (-high, -low)
    return HOLDS if worst > -margin else BREACHED if best < -margin else OPEN
