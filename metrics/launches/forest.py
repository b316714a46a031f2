"""The picture of a launch: one line per KPI, its effect with interval, nothing and what was hoped for; and the lights.

Each line has a scale of its own, since points do not compare with dollars; 0 stands in the middle of all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from metrics.launches import words
from metrics.launches.reading import is_good
from metrics.launches.scorecard import KpiScore

ROOM = 1.12  # the farthest end stands this much before the edge
LIGHTS = {True: ("holds", "good"), False: ("breached", "bad"), None: ("not known yet", "quiet")}


@dataclass(frozen=True)
class Row:
    """One KPI. low, high, effect, wish: places from 0 to 100, None = not drawn; 50 is no effect.

    interim: an estimate of today, in the place of a verdict that is not due yet.
    """

    name: str
    title: str
    text: str
    hoped: str
    slug: str
    when: str
    interim: bool
    low: float | None = None
    high: float | None = None
    effect: float | None = None
    wish: float | None = None


@dataclass(frozen=True)
class Light:
    """One guardrail: state is holds, breached or not known yet."""

    name: str
    title: str
    state: str
    slug: str
    text: str


def rows(scores: Sequence[KpiScore], asked: Sequence[float | None], hoped: Sequence[str]) -> tuple[Row, ...]:
    """asked: the effect hoped for of each, in its reading's unit; hoped: the same in words."""
    return tuple(_row(score, wish, said) for score, wish, said in zip(scores, asked, hoped, strict=True))


def lights(scores: Sequence[KpiScore], said: Sequence[str]) -> tuple[Light, ...]:
    """Those KPIs that have a guardrail, with what it says."""
    found = []
    for score, text in zip(scores, said, strict=True):
        if score.guard is not None:
            found.append(Light(score.kpi.name, score.kpi.title, *LIGHTS[score.guard.holds], text))
    return tuple(found)


def _row(score: KpiScore, wish: float | None, hoped: str) -> Row:
    kept = score.latest.reading if score.latest and score.latest.reading.verdict else None
    reading = kept or score.today.reading
    ends = (reading.low, reading.high, reading.effect)
    known = [abs(end) for end in (*ends, wish) if end is not None]
    low, high, effect, hope = (_place(end, max(known, default=0.0)) for end in (*ends, wish))
    if not reading.verdict or reading.effect is None:
        return Row(score.kpi.name, score.kpi.title, reading.why or "no verdict yet", hoped, "quiet", "", interim=False)
    slug = words.SPOKEN[is_good(score.kpi, reading)]
    size = words.amount(score.kpi, reading.effect, relative=reading.relative)
    text = f"{size} ({words.interval(score.kpi, reading)})"
    when = f"D+{reading.days}" if kept else "today, no verdict yet"
    return Row(
        score.kpi.name,
        score.kpi.title,
        text,
        hoped,
        slug if kept else "quiet",
        when,
        kept is None,
        low,
        high,
        effect,
        hope,
    )


def _place(value: float | None, most: float) -> float | None:
    """0 to 100, with 50 for 0."""
    return None if value is None else 50.0 if not most else round(50 + 50 * value / (most * ROOM), 1)
