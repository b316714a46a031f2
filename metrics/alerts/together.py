"""What is one incident: a KPI's whole and its segments that fail at the same time, and the same way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from metrics.alerts.judge import Judgement


@dataclass(frozen=True)
class Failing:
    """A rule and segment from where it opened to where it closed (exclusive; None = open). segment: empty = whole.

    side: -1 too low, 1 too high, 0 = not told apart. quiet: nobody hears of it; fresh: it opened just now.
    """

    kpi: str
    segment: str
    opened: pd.Timestamp
    closed: pd.Timestamp | None
    side: int
    quiet: bool = False
    fresh: bool = False

    def one_with(self, other: Failing) -> bool:
        """Whether one is a segment of the other, and both fail at some time together.

        What nobody hears of stands for nothing that people would hear of now.
        """
        parent_and_segment = self.kpi == other.kpi and (self.segment == "") != (other.segment == "")
        apart = (self.closed is not None and self.closed <= other.opened) or (
            other.closed is not None and other.closed <= self.opened
        )
        unheard = self.quiet != other.quiet and (self.fresh or other.fresh)
        return parent_and_segment and not apart and not unheard and self.side * other.side >= 0


def together(found: Sequence[Failing]) -> list[list[int]]:
    """Places of those that are one incident, each group by its opening, the whole before its segments."""
    groups: list[list[int]] = []
    for place, item in enumerate(found):
        mine = [group for group in groups if any(item.one_with(found[other]) for other in group)]
        groups = [group for group in groups if group not in mine] + [[*(p for group in mine for p in group), place]]
    first = {place: (item.opened, item.segment != "", place) for place, item in enumerate(found)}
    return sorted((sorted(group, key=first.__getitem__) for group in groups), key=lambda group: first[group[0]])


def side_of(judged: Judgement, period: pd.Timestamp) -> int:
    """Which way a rule fails at a period: by its limits, else by what it is held against."""
    if not len(judged.periods):
        return 0
    index = min(int(judged.periods.searchsorted(period)), len(judged.periods) - 1)
    low, high, value, reference = (
        float(part[index]) for part in (judged.low, judged.high, judged.value, judged.reference)
    )
    if math.isnan(value) or math.isnan(low) != math.isnan(high):
        return 0 if math.isnan(value) else 1 if math.isnan(low) else -1
    return 0 if math.isnan(reference) else int(math.copysign(1, value - reference))
