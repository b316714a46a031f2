"""Before a launch: the smallest effect that each reading would see, by how many of the audience have it until then."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.launch import READINGS, Launch
from metrics.launches.scorecard import Scorecard
from metrics.launches.words import amount, amounts

SURE = (1.96 + 0.84) / 1.96  # of half an interval: an effect of this size is told in four of five launches
EVERYBODY = 0.995  # a share that is read as all


@dataclass(frozen=True)
class Plan:
    """What readings of a KPI could see. halves: days → half of the interval of the mean effect, on the panel's scale.

    shares: days → mean share of the audience that has it until then, as planned. hoped: the effect hoped for on those
    who have it, in the KPI's unit, or a share of it where `relative`; None = not stated.
    """

    kpi: KpiCommon
    halves: Mapping[int, float]
    shares: Mapping[int, float]
    hoped: float | None
    relative: bool

    @property
    def works(self) -> bool:
        """Whether a reading sees, as planned, what is hoped for; true where that is not stated."""
        return self.hoped is None or any(self.seen(days, self.shares[days]) for days in self.halves)

    def smallest(self, days: int, share: float) -> float:
        """The effect on those who have it that is told in four of five launches, in the unit of `hoped`."""
        size = SURE * self.halves[days] / share
        return math.expm1(size) if self.relative else size

    def seen(self, days: int, share: float) -> bool | None:
        """Whether the effect hoped for would be; None where none is stated."""
        return None if self.hoped is None else abs(self.hoped) >= self.smallest(days, share)

    def share_needed(self, days: int) -> float | None:
        """The least share that lets the effect hoped for be seen; None = none does, or nothing is stated."""
        if self.hoped is None or not self.seen(days, 1.0):
            return None
        size = math.log1p(abs(self.hoped)) if self.relative else abs(self.hoped)
        return SURE * self.halves[days] / size


def plans(card: Scorecard, hoped: Sequence[float | None]) -> tuple[Plan, ...]:
    """Of each KPI that a planned launch is to move; none of one that has begun. hoped: the effects, as card.scores."""
    if card.phase != "planned":
        return ()
    shares, found = planned_shares(card.launch), list[Plan]()
    for score, effect in zip(card.scores, hoped, strict=True):
        halves = card.halves.get(score.kpi.name, {})
        if score.role == "success" and score.observed is not None and set(halves) == set(READINGS):
            relative = score.observed.logarithm
            stated = effect if relative == score.wish.strip().endswith("%") else None
            if all(halves.values()) and shares[READINGS[0]]:
                found.append(Plan(score.kpi, halves, shares, stated or None, relative))
    return tuple(found)


def planned_shares(launch: Launch) -> dict[int, float]:
    """Days → mean share of the audience that has it on the days until then."""
    return {
        days: sum(launch.share_on(launch.starts_on + timedelta(days=day)) for day in range(days)) / days
        for days in READINGS
    }


def by_reading(plan: Plan, shares: Mapping[int, float]) -> tuple[tuple[str, str, bool | None], ...]:
    """Of each reading: D+7, the smallest effect in words, and whether the one hoped for would be seen."""
    return tuple(
        (f"D+{days}", _amount(plan, plan.smallest(days, shares[days])), plan.seen(days, shares[days]))
        for days in sorted(plan.halves)
    )


def in_words(plan: Plan) -> str:
    """What the plan would see, and which one would see more, in a sentence or two."""
    days = sorted(plan.halves)
    least = plan.smallest(days[-1], plan.shares[days[-1]])
    if plan.hoped is None:
        size = _amount(plan, least)
        return f"{plan.kpi.title}: as planned, an effect of {size} or more is seen by D+{days[-1]}."
    hoped, last = amounts(plan.kpi, (abs(plan.hoped), least), relative=plan.relative, plus=False)
    first = next((d for d in days if plan.seen(d, plan.shares[d])), None)
    if first is not None:
        return f"{plan.kpi.title}: as planned, the {hoped} hoped for would be seen on D+{first}."
    told = f"{plan.kpi.title}: as planned, the {hoped} hoped for cannot be seen by D+{days[-1]}; {last} could."
    return told + _other(plan)


def _other(plan: Plan) -> str:
    """Which plan would see it: the least share on the earliest reading that any share makes see it."""
    for days in sorted(plan.halves):
        needed = plan.share_needed(days)
        if needed is not None:
            share = math.ceil(needed * 20) / 20
            who = "everybody" if share >= EVERYBODY else f"{share:.0%} of the audience"
            return f" With {who} from the first day it would, on D+{days}."
    return " No share of this audience would: more people or a longer look are needed."


def _amount(plan: Plan, size: float) -> str:
    return amount(plan.kpi, size, relative=plan.relative, plus=False)
