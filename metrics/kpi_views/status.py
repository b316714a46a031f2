"""Is a KPI on track? From thresholds, else from the target; and why."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from connectors.errors import KpiError, NotComputed, Withheld
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.values import Thresholds
from metrics.catalog.targets import target_at, target_grain
from metrics.engine.beginning import Beginning, beginning, begins_of, paced_target
from metrics.engine.frames import known_value
from metrics.presentation import format as fmt
from metrics.presentation.precision import same

LABELS = {
    "off_track": "Off track",
    "at_risk": "At risk",
    "definition_error": "Definition error",
    "waiting_for_data": "Waiting for data",
    "no_target": "No target",
    "on_track": "On track",
    "withheld": "Not shown",
}
ORDER = list(LABELS)


@dataclass(frozen=True)
class Status:
    """slug: a key of LABELS. why: one sentence. depth: how far beyond its limit, in at-risk bands; sorts cards."""

    slug: str
    why: str
    depth: float = 0.0

    @property
    def label(self) -> str:
        """The words on the badge."""
        return LABELS[self.slug]


def unvalued(error: KpiError) -> str:
    """The slug of a KPI that has no value for whoever asks, by why."""
    if isinstance(error, Withheld):
        return "withheld"
    return "waiting_for_data" if isinstance(error, NotComputed) else "definition_error"


@dataclass(frozen=True)
class Held:
    """A KPI held against its target. target: None = none, or not begun. gap: how far it is, in words.

    when: the period of both, where that is not of the home grain. value: what is held against it.
    """

    status: Status
    target: float | None = None
    gap: str = ""
    when: str = ""
    value: float | None = None

    def target_text(self, kpi: KpiCommon, *, compact: bool = False) -> str:
        """`$12.0k (October 2026)`; empty without a target."""
        target = fmt.value_texts((self.value, self.target), kpi, compact=compact)[1]
        return "" if self.target is None else _dated(target, self.when)

    def value_text(self, value: float | None, kpi: KpiCommon, *, compact: bool = False) -> str:
        """The KPI's number, as it stands beside the target of its own period."""
        beside = None if self.when else self.target
        return fmt.value_texts((value, beside), kpi, compact=compact)[0]


Rows = Callable[[str], pd.DataFrame]  # grain → rows of the KPI, or of the segment that is looked at


@dataclass(frozen=True)
class _Reached:
    """The last complete period of a grain: its first moment and value, None = none, unknown; frame: all rows."""

    grain: str
    frame: pd.DataFrame
    period: pd.Timestamp | None
    value: float | None


def held(kpi: KpiCommon, catalogue: Catalogue, rows: Rows, *, this_year: int, late: Iterable[str] = ()) -> Held:
    """How the last complete periods stand: the target's by its own grain, thresholds at home unless of the target.

    Raises KpiError.
    """
    grain, reasons = target_grain(kpi), list(late)
    home = _reached(kpi.grain, rows)
    goal = home if grain == kpi.grain else _reached(grain, rows)
    target = _target(kpi, catalogue, goal)
    limits, waits = _begun(kpi, catalogue, goal if kpi.thresholds and kpi.thresholds.of_target else home)
    by_target = limits is None or limits.of_target
    when = fmt.period_text(goal.period, grain, this_year) if goal is not home and goal.period is not None else ""
    seen = goal if by_target else home
    if seen is not home and seen.value is None and home.value is not None and not reasons:
        status = Status("no_target", f"No complete {grain} is known yet to hold its target against.")
    else:
        status = status_of(kpi.model_copy(update={"thresholds": limits}), seen.value, target, reasons)
    if status.slug == "no_target":
        waits = waits or (_target_waits(kpi, catalogue, goal) if target is None else "")
        status = Status(status.slug, waits or status.why)
    elif when and by_target and status.slug != "waiting_for_data":
        status = Status(status.slug, f"{when}: {status.why[:1].lower()}{status.why[1:]}", status.depth)
    gap = fmt.gap_text(goal.value, target, kpi) if target is not None and goal.value is not None else ""
    return Held(status, target, _dated(gap, when), when, goal.value)


def held_in_part(late: Iterable[str]) -> Held | None:
    """Of a segment that cannot be held against the target of all; None where its data is late."""
    return None if list(late) else Held(Status("no_target", "Its target is for all segments together."))


def status_of(kpi: KpiCommon, value: float | None, target: float | None, late: Iterable[str] = ()) -> Status:
    """The status of the last complete value. late: why its data is late, empty if it is not."""
    reasons = list(late)
    if reasons:
        return Status("waiting_for_data", reasons[0])
    if value is None or math.isnan(value):
        return Status("waiting_for_data", "No complete period has a known value yet.")
    warning = kpi.thresholds.warning if kpi.thresholds else None
    critical = kpi.thresholds.critical if kpi.thresholds else None
    for slug, limit in (("off_track", critical), ("at_risk", warning)):
        if limit is not None and limit.breached(value, target):
            bound = limit.limit(target)
            return Status(
                slug,
                _beyond(kpi, value, bound, below="<" in limit.operator),
                _depth(value, bound, warning.limit(target) if warning else None),
            )
    if warning or critical:
        return Status("on_track", "Within its thresholds.")
    if target is None or kpi.direction == "neutral":
        return Status("no_target", "Neither a target nor thresholds are stated.")
    good = value >= target if kpi.direction == "up_is_good" else value <= target
    if good or same(value, target):
        return Status("on_track", f"At or beyond its target of {fmt.value_text(target, kpi)}.")
    return Status("off_track", f"{fmt.gap_text(value, target, kpi).capitalize()}.", _depth(value, target, None))


def _beyond(kpi: KpiCommon, value: float, bound: float | None, *, below: bool) -> str:
    """`39.8% is below 40.0%.`; at the limit itself where it counts as beyond, or only the last bits differ."""
    shown, limit = fmt.value_texts((value, bound), kpi)
    if same(value, bound):
        return f"{shown} is at its limit."
    return f"{shown} is {'below' if below else 'above'} {limit}."


def _depth(value: float, limit: float | None, other: float | None) -> float:
    """Distance beyond the limit, in widths of the at-risk band where there is one, else relative to the limit."""
    if limit is None:
        return 0.0
    band = abs((other if other is not None else limit) - limit) or abs(limit) or 1.0
    return abs(value - limit) / band


def _reached(grain: str, rows: Rows) -> _Reached:
    frame = rows(grain)
    done = np.flatnonzero(frame["complete"].to_numpy(dtype=bool))
    if not len(done):
        return _Reached(grain, frame, None, None)
    return _Reached(grain, frame, frame["period"].iat[done[-1]], known_value(frame["value"].iat[done[-1]]))


def _target(kpi: KpiCommon, catalogue: Catalogue, goal: _Reached) -> float | None:
    if goal.period is None:
        return None
    begins = begins_of(kpi, catalogue, goal.frame, goal.grain)
    if goal.grain == kpi.grain:
        return paced_target(kpi, catalogue, goal.period, begins)
    return target_at(kpi, goal.period, goal.grain, begins)


def _begun(kpi: KpiCommon, catalogue: Catalogue, seen: _Reached) -> tuple[Thresholds | None, str]:
    """The thresholds, if they have begun; else why not."""
    if kpi.thresholds is None or seen.period is None:
        return kpi.thresholds, ""
    start = beginning(kpi.thresholds.since, kpi, catalogue, seen.frame, seen.grain)
    return (kpi.thresholds, "") if start.begun(seen.period) else (None, f"Its thresholds begin {_from(start)}")


def _target_waits(kpi: KpiCommon, catalogue: Catalogue, goal: _Reached) -> str:
    """Why the target that is stated is none yet; empty without one."""
    if not kpi.targets or goal.period is None:
        return ""
    starts = [beginning(target.since, kpi, catalogue, goal.frame, goal.grain) for target in kpi.targets]
    first = min(starts, key=lambda start: start.at or pd.Timestamp.max)
    return "" if first.begun(goal.period) else f"Its target begins {_from(first)}"


def _from(start: Beginning) -> str:
    """`on 5 Dec 2026, with Mobile onboarding.`"""
    if start.at is None and start.stated:
        return "with a launch that is not there; `kpi validate` says which."
    if start.at is None:
        return "with its first full period: nothing was counted in one yet."
    whose = f", with {start.launch.title}" if start.launch else "" if start.stated else ", its first full period"
    return f"on {start.at:%-d %b %Y}{whose}."


def _dated(text: str, when: str) -> str:
    return f"{text} ({when})" if text and when else text
