"""How many digits numbers need beside each other: as many that what differs reads differently, and no more."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

MOST = 12  # levels of precision beyond the usual one
ALIKE = 1e-9  # of a value: decimals added up in another order differ in the last bits
NOTHING = 1e-12  # what is left where two such sums are taken from each other


@dataclass(frozen=True)
class Shown:
    """A number as text, and the number that a reader of the text has."""

    text: str
    read: float


Way = Callable[[float, int], Shown]  # a value at a level of precision, 0 = the usual one


def same(one: float | None, other: float | None) -> bool:
    """Whether two values are equal but for the last bits, or both unknown."""
    if one is None or other is None or math.isnan(one) or math.isnan(other):
        return _unknown(one) and _unknown(other)
    return math.isclose(one, other, rel_tol=ALIKE, abs_tol=NOTHING)


def is_whole(value: float) -> bool:
    """Whether a value is a whole number but for the last bits: two that are, and have one whole number, are the same.

    What is not 0 is no 0 for being small.
    """
    if not math.isfinite(value):
        return True
    return math.isclose(value, round(value), rel_tol=0.4 * ALIKE, abs_tol=0.4 * NOTHING)


def together(values: Sequence[float], way: Way, anchors: Sequence[float] = (0.0,)) -> list[str]:
    """Texts of known values that stand beside each other: equal where they are, else in the order of the values.

    Only those that would be mistaken for each other get more digits. anchors: what reads as itself in any precision;
    nothing else reads like it.
    """
    alike: list[float] = []
    for value in values:
        known = (other for other in (*anchors, *alike) if same(value, other))
        alike.append(next(known, value))
    levels = [0] * len(alike)
    shown = [way(value, 0) for value in alike]
    while unclear := [place for place in _unclear(alike, shown, anchors) if levels[place] < MOST]:
        for place in unclear:
            levels[place] += 1
            shown[place] = way(alike[place], levels[place])
    return [item.text for item in shown]


def _unclear(values: Sequence[float], shown: Sequence[Shown], anchors: Sequence[float]) -> set[int]:
    """Places of numbers that read like one that differs, or in another order than the values lie in."""
    rows = [(value, item.read, place) for place, (value, item) in enumerate(zip(values, shown, strict=True))]
    rows = sorted([*rows, *((anchor, anchor, -1) for anchor in anchors)])
    pairs = [(one, other) for one, other in pairwise(rows) if one[0] != other[0] and not _clear(one[1], other[1])]
    return {row[2] for pair in pairs for row in pair if row[2] >= 0}


def _clear(lower: float, higher: float) -> bool:
    return lower < higher and not math.isclose(lower, higher, rel_tol=1e-11)


def _unknown(value: float | None) -> bool:
    return value is None or math.isnan(value)
