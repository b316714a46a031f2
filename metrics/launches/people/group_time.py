"""Effects of a rollout in steps: each group against those that have not got it yet, period by period.

Group-time effects of Callaway and Sant'Anna (2021), with the mean of all periods before the first step as what people
are compared with. A launch for one part of the people at once is the case of one step and a group that never gets it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Group:
    """People who get it from the same period on. begins: its index, None = never. n people; sums (T,) of what each did
    in each period; products (T, T).
    """

    begins: int | None
    n: float
    sums: np.ndarray
    products: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """(T,)"""
        return self.sums / self.n

    @property
    def covariance(self) -> np.ndarray:
        """Of the mean, (T, T): periods of one person go together."""
        within = (self.products - np.outer(self.sums, self.sums) / self.n) / (self.n - 1)
        return np.asarray(within / self.n)


@dataclass(frozen=True)
class GroupTime:
    """effect: the mean over people and periods that had it, per person and period, with its variance from the people.

    level: what these people did in these periods. cells: how many pairs of group and period it is the mean of.
    """

    effect: float
    variance: float
    level: float
    cells: int


def group_time(groups: Sequence[Group], before: int) -> GroupTime | None:
    """before: periods before the first step. None where there is no group to compare with, or nobody has it yet."""
    periods = len(groups[0].sums) if groups else 0
    weights = np.zeros((len(groups), periods))
    level, people, cells = 0.0, 0.0, 0
    base = np.zeros(periods)
    base[:before] = 1 / before
    for number, group in enumerate(groups):
        if group.begins is None:
            continue
        for at in range(group.begins, periods):
            waiting = [i for i, other in enumerate(groups) if other.begins is None or other.begins > at]
            if not waiting:
                continue
            change = -base
            change[at] += 1
            weights[number] += group.n * change
            total = sum(groups[i].n for i in waiting)
            for i in waiting:
                weights[i] -= group.n * groups[i].n / total * change
            level, people, cells = level + group.sums[at], people + group.n, cells + 1
    if not cells:
        return None
    weights /= people
    effect = sum(float(w @ group.mean) for w, group in zip(weights, groups, strict=True))
    variance = sum(float(w @ group.covariance @ w) for w, group in zip(weights, groups, strict=True))
    return GroupTime(effect, max(0.0, variance), level / people, cells)
