"""A sparkline as SVG path data: 100 wide, 30 high, y downwards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, PAD = 100.0, 30.0, 2.5


@dataclass(frozen=True)
class Sparkline:
    """line, area: path data (empty if nothing is known); target_y: height of the target line, None without.

    words: what it shows, for readers who do not see it.
    """

    line: str
    area: str
    target_y: float | None
    words: str


def sparkline(values: Sequence[float], target: float | None, words: str) -> Sparkline:
    """Path data of values (NaN = a gap) and a target, scaled to hold both."""
    known = [v for v in values if not math.isnan(v)]
    if not known:
        return Sparkline("", "", None, words)
    low, high = min(known), max(known)
    if target is not None and low - (high - low) * 2 <= target <= high + (high - low) * 2:
        low, high = min(low, target), max(high, target)
    else:
        target = None
    span = (high - low) or abs(high) or 1.0

    def point(index: int, value: float) -> tuple[float, float]:
        x = PAD + (WIDTH - 2 * PAD) * (index / max(1, len(values) - 1))
        return round(x, 2), round(HEIGHT - PAD - (HEIGHT - 2 * PAD) * (value - low) / span, 2)

    lines, areas, run = [], [], list[tuple[float, float]]()
    for index, value in [*enumerate(values), (len(values), math.nan)]:
        if not math.isnan(value):
            run.append(point(index, value))
        elif run:
            path = " L".join(f"{x} {y}" for x, y in run)
            lines.append(f"M{path}")
            areas.append(f"M{run[0][0]} {HEIGHT} L{path} L{run[-1][0]} {HEIGHT} Z")
            run = []
    height = round(point(0, target)[1], 2) if target is not None else None
    return Sparkline(" ".join(lines), " ".join(areas), height, words)
