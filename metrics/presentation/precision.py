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


def together(values: Sequence[float], way: Way, anchors: Sequence[float] = (0.0,)) -> list[str]:
    """Texts of known values that stand beside each other: equal where they are, else in the order of the values.

    anchors: what reads as itself in any precision; nothing else reads like it. Not even at the highest level can values
    that differ read the same: `same` is where the digits end.
    """
    alike: list[float] = []
    for value in values:
        known = (other for other in (*anchors, *alike) if same(value, other))
        alike.append(next(known, value))
    shown = [way(value, 0) for value in alike]
    level = 0
    while level < MOST and not _in_order(alike, shown, anchors):
        level += 1
        shown = [way(value, level) for value in alike]
    return [item.text for item in shown]


def _in_order(values: Sequence[float], shown: Sequence[Shown], anchors: Sequence[float]) -> bool:
    """Whether the numbers that are read lie as the values do, anchors included."""
    pairs = [*zip(values, (item.read for item in shown), strict=True), *((anchor, anchor) for anchor in anchors)]
    pairs.sort()
    return all(a == b or (x < y and not math.isclose(x, y, rel_tol=1e-11)) for (a, x), (b, y) in pairwise(pairs))


def _unknown(value: float | None) -> bool:
    return value is None or math.isnan(value)
