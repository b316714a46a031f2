"""Two guards of young readings: people play with what is new, and weekends are not like other days."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from metrics.launches.people.moments import FEWEST_OF_DAY

WEEK = 7
CLEAR = 2.58  # standard errors: a difference that one of a hundred launches without it would show


@dataclass(frozen=True)
class Halves:
    """People of one variant exposed on one day: what they did per day in the first days, less what later.

    n; total, squares: sums of that difference.
    """

    n: float
    total: float
    squares: float


def wears_off(days: Sequence[tuple[Halves, Halves]]) -> bool:
    """Whether an effect (control, treated) was clearly another in the first days after exposure than later."""
    known = [pair for pair in days if min(pair[0].n, pair[1].n) >= FEWEST_OF_DAY]
    people = sum(one.n + other.n for one, other in known)
    difference = variance = 0.0
    for control, treated in known:
        share = (control.n + treated.n) / people
        difference += share * (treated.total / treated.n - control.total / control.n)
        for side in (control, treated):
            spread = (side.squares - side.total**2 / side.n) / (side.n - 1)
            variance += share**2 * spread / side.n
    return variance > 0 and abs(difference) > CLEAR * math.sqrt(variance)


def uneven_week(days: int) -> bool:
    """Whether so many days leave out some day of the week."""
    return days < WEEK
