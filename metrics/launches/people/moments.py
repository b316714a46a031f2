"""What is known of people added up: how many, their sums and products; and from these means with their covariances.

A person has four numbers: y (the outcome), d (what it is divided by, 1 where it is a mean), x and w (both before).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SIZE = 4
Y, D, X, W = range(SIZE)
FEWEST_OF_DAY = 30  # people of each variant: days with fewer are counted together with the next


@dataclass(frozen=True)
class Sums:
    """n people; sums (4,) of their numbers; products (4, 4), symmetric."""

    n: float
    sums: np.ndarray
    products: np.ndarray

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.n + other.n, self.sums + other.sums, self.products + other.products)

    @classmethod
    def none(cls) -> Sums:
        """Of nobody."""
        return cls(0.0, np.zeros(SIZE), np.zeros((SIZE, SIZE)))

    @classmethod
    def of(cls, numbers: np.ndarray) -> Sums:
        """Of people as rows (n, 4)."""
        return cls(float(len(numbers)), numbers.sum(axis=0), numbers.T @ numbers)

    @property
    def mean(self) -> np.ndarray:
        """(4,)"""
        return self.sums / self.n

    @property
    def covariance(self) -> np.ndarray:
        """Of single people, (4, 4)."""
        found = (self.products - np.outer(self.sums, self.sums) / self.n) / (self.n - 1)
        return np.asarray(found)


@dataclass(frozen=True)
class Means:
    """Of one variant: n people, means (4,), and the covariance of these means (4, 4)."""

    n: float
    mean: np.ndarray
    covariance: np.ndarray


def pooled(days: Sequence[tuple[Sums, Sums]]) -> list[tuple[Sums, Sums]]:
    """Days of exposure (control, treated) in order, so few of each variant put together that all have enough."""
    found: list[tuple[Sums, Sums]] = []
    control, treated = Sums.none(), Sums.none()
    for one, other in days:
        control, treated = control + one, treated + other
        if min(control.n, treated.n) >= FEWEST_OF_DAY:
            found.append((control, treated))
            control, treated = Sums.none(), Sums.none()
    if found and (control.n or treated.n):
        found[-1] = (found[-1][0] + control, found[-1][1] + treated)
    return found


def means(strata: Sequence[tuple[Sums, Sums]]) -> tuple[Means, Means]:
    """Of control and treated, as if both had been exposed on the same days: each day counts by its people of both."""
    total = sum(control.n + treated.n for control, treated in strata)
    found = []
    for side in (0, 1):
        mean, covariance = np.zeros(SIZE), np.zeros((SIZE, SIZE))
        for pair in strata:
            share = (pair[0].n + pair[1].n) / total
            mean = mean + share * pair[side].mean
            covariance = covariance + share**2 * pair[side].covariance / pair[side].n
        found.append(Means(sum(pair[side].n for pair in strata), mean, covariance))
    return found[0], found[1]
