"""The height of a chart: chosen so that what is small looks small, and told on the chart."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from metrics.presentation import format as fmt
from metrics.snapshots.document import Line, Point

RATE, SCORE = 0.04, 8.0  # the least height: four points of a rate, eight of a score that runs over a hundred
SHARE = 0.1  # of the greatest value, for everything else
NOISES = 4  # usual ranges, where they are narrower than that: what is usual fills a quarter of the height
STEPS = 6  # about so many steps of the labels in the height
SHORT = ((1e9, "bn"), (1e6, "m"), (1e3, "k"))
NUMBER = re.compile(r"^(?P<sign>−?)(?P<before>\D*?)(?P<digits>\d[\d,]*(?:\.\d+)?)(?P<after>.*)$")


@dataclass(frozen=True)
class Scale:
    """The least and the greatest value that have a place, and their labels."""

    low: float
    high: float
    low_text: str
    high_text: str

    def share(self, value: float) -> float:
        """Where a value lies: 0 at the foot, 1 at the top."""
        return (value - self.low) / (self.high - self.low)

    def holds(self, value: float) -> bool:
        """Whether it has a place."""
        return self.low <= value <= self.high


def scale(line: Line, points: Sequence[Point], *, home: bool) -> Scale | None:
    """For one panel; None if nothing is known. home: the points are values of the KPI's own grain.

    It holds every value, the usual range where it is one of these points', and a target that is near; it is never lower
    than `least_height`, never goes below 0 or above 100% for nothing, and ends on round numbers.
    """
    known = [p.value for p in points if p.value is not None]
    if not known:
        return None
    usual = [v for v in (line.low, line.high) if v is not None] if home and line.ranged else []
    limits = _limits(line, known)
    held = [*known, *(min(max(v, limits[0]), limits[1]) for v in usual)]
    floor = least_height(line, known)
    low, high = min(held), max(held)
    reach = max(high - low, floor)
    held += [t for t in (p.target for p in points) if t is not None and low - reach <= t <= high + reach]
    return _round(line, points, _widened(min(held), max(held), floor, limits), limits)


def least_height(line: Line, known: Sequence[float]) -> float:
    """How much a panel has to show at least: 0.4 points of a rate are a tenth of it, so is 1% of an amount.

    A KPI that is quieter than that has four of its usual ranges.
    """
    greatest = max(abs(v) for v in known)
    height = greatest * SHARE
    if line.unit == "percent":
        height = RATE
    elif line.in_points:
        height = SCORE if greatest > SCORE or min(known) < 0 else 2 * height
    width = line.high - line.low if line.ranged and line.low is not None and line.high is not None else 0.0
    return (min(height, NOISES * width) if width > 0 else height) or 1.0


def _limits(line: Line, known: Sequence[float]) -> tuple[float, float]:
    """What nothing goes beyond that did not so far."""
    return (
        0.0 if min(known) >= 0 else -math.inf,
        1.0 if line.unit == "percent" and max(known) <= 1 else math.inf,
    )


def _widened(low: float, high: float, least: float, limits: tuple[float, float]) -> tuple[float, float]:
    """At least so high, with the values in the middle where the limits let them."""
    add = max(0.0, least - (high - low)) / 2
    low, high = low - add, high + add
    over, under = max(0.0, high - limits[1]), max(0.0, limits[0] - low)
    return max(limits[0], low - over), min(limits[1], high + under)


def _round(line: Line, points: Sequence[Point], ends: tuple[float, float], limits: tuple[float, float]) -> Scale:
    """Outwards to whole steps, with labels in the way the KPI's numbers are written."""
    factor = _factor(line, points)
    step = _step((ends[1] - ends[0]) * factor / STEPS)
    low = max(math.floor(ends[0] * factor / step + 1e-6) * step / factor, limits[0])
    high = min(math.ceil(ends[1] * factor / step - 1e-6) * step / factor, limits[1])
    low_text, high_text = (_label(line, points, v, step, max(abs(low), abs(high)) * factor) for v in (low, high))
    return Scale(low, high, low_text, high_text)


def _step(rough: float) -> float:
    """1, 2 or 5 times a power of ten, the first that is not smaller."""
    power = 10.0 ** math.floor(math.log10(rough))
    return power * next(n for n in (1, 2, 5, 10) if n * power >= rough * (1 - 1e-9))


def _sample(points: Sequence[Point]) -> Point:
    """The point whose text tells best how values are written."""
    return max((p for p in points if p.value is not None), key=lambda p: abs(p.value or 0.0))


def _factor(line: Line, points: Sequence[Point]) -> float:
    """What a value is multiplied by where it is written: 100 of a share that is told in percent."""
    if line.unit == "percent":
        return 100.0
    if line.unit == "seconds":
        return {"ms": 1e3, "s": 1.0, "min": 1 / 60, "h": 1 / 3600, "days": 1 / 86400}.get(
            fmt.duration_text(_sample(points).value or 0.0).rpartition(" ")[2], 1.0
        )
    found, value = NUMBER.match(_sample(points).text), abs(_sample(points).value or 0.0)
    if found is None or not value:
        return 1.0
    written = float(found["digits"].replace(",", ""))
    return 100.0 if abs(written - value * 100) < abs(written - value) else 1.0


def _label(line: Line, points: Sequence[Point], value: float, step: float, greatest: float) -> str:
    """An end of the scale: `98%`, `$60k`, `2.0 s`. step, greatest: as they are written."""
    sample = _sample(points).text if line.unit != "seconds" else fmt.duration_text(_sample(points).value or 0.0)
    found = NUMBER.match(sample)
    before, after = (found["before"], found["after"]) if found else ("", "")
    shown = value * _factor(line, points)
    for limit, name in SHORT if not after else ():
        if greatest >= 10 * limit and step >= limit / 10:
            shown, step, after = shown / limit, step / limit, name if shown else ""
            break
    text = fmt.number(shown, max(0, -math.floor(math.log10(step) + 1e-9)) if shown else 0)
    return f"{fmt.MINUS if text.startswith(fmt.MINUS) else ''}{before}{text.removeprefix(fmt.MINUS)}{after}"
