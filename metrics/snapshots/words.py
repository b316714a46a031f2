"""What a snapshot says, in sentences: the same numbers give the same words, always."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from metrics.catalog.models.kpi import KpiCommon
from metrics.kpi_views.overview import headline, rank
from metrics.kpi_views.status import Status
from metrics.presentation import format as fmt
from metrics.snapshots.document import Line
from metrics.snapshots.numbers import A_WEEK, Numbers
from metrics.snapshots.records import record

NOTABLE = 2.0  # noises from which a value that is inside of the expected range is still worth naming
MISSED = ("off_track", "at_risk")
ORDINARY = 1.0  # and below which nobody asks where a change sits


@dataclass(frozen=True)
class Standing:
    """One line as the status sentence needs it."""

    label: str
    gap: str
    status: Status
    worse: bool = False


def when(line: Line) -> str:
    """`on Sun 22 Nov`, `in 16–22 Nov`, of a line."""
    return f"{'at' if line.grain == 'hour' else 'on' if line.grain == 'day' else 'in'} {line.period_text}"


def period_text(kpi: KpiCommon, period: pd.Timestamp, year: int) -> str:
    """`on Sun 22 Nov`, `in 16–22 Nov`, `in October 2026`."""
    return f"{'at' if kpi.grain == 'hour' else 'on' if kpi.grain == 'day' else 'in'} " + fmt.period_text(
        period, kpi.grain, year
    )


def against(kpi: KpiCommon, before: pd.Timestamp, year: int) -> str:
    """`vs Sun 15 Nov`, `vs the week before`."""
    if kpi.grain in A_WEEK:
        return f"vs {fmt.period_text(before, kpi.grain, year)}"
    return fmt.against_text(kpi.grain)


def sentence(label: str, numbers: Numbers, value: str, status: Status, gap: str, year: int) -> str:
    """value: as text. `98.4% on Sun 22 Nov, −0.6 points vs Sun 15 Nov; 0.8 points under target.`"""
    kpi, last, before = numbers.kpi, numbers.last, numbers.before
    if last is None or pd.isna(last["value"]):
        return f"{label} is not known: {status.why[:1].lower()}{status.why[1:]}"
    text = f"{value} {period_text(kpi, last['period'], year)}"
    change = numbers.change_text
    if change and before is not None:
        text += f", {change} {against(kpi, before['period'], year)}"
    if status.slug == "waiting_for_data":
        return f"{text}. Not of this week: {status.why[:1].lower()}{status.why[1:]}"
    told = gap and status.slug not in MISSED  # a miss is told in a sentence of its own
    return f"{text}; {gap}." if told else f"{text}."


def expected_text(low: str, high: str) -> str:
    """`99.1% to 99.3% was expected`."""
    return f"{low} to {high} was expected"


def record_text(numbers: Numbers) -> str:
    """`The highest in 26 weeks.`; empty if it is no record that means something."""
    final = numbers.final
    if final.empty:
        return ""
    found = record(
        pd.Series(final["value"].to_numpy("float64"), index=pd.DatetimeIndex(final["period"])), numbers.kpi.grain
    )
    return f"The {found[0]} in {found[1]} {numbers.kpi.grain}s." if found else ""


def miss(line_label: str, kpi: KpiCommon, status: Status, gap: str) -> str:
    """`Error-free sessions missed: 0.8 points under target; owner platform@…`; empty if nothing is missed."""
    if status.slug not in MISSED:
        return ""
    what = gap or status.why.rstrip(".")
    return f"{line_label} is {status.label.lower()}, {what[:1].lower()}{what[1:]}; owner {kpi.owner or 'not named'}."


def most_moved(lines: Sequence[Line]) -> Line | None:
    """The line that is farthest from what was expected; None if none is known to be far."""
    known = [line for line in lines if line.odd is not None and line.status != "waiting_for_data" and line.ranged]
    best = max(known, key=lambda line: (abs(line.odd or 0.0), line.title), default=None)
    return best if best is not None and abs(best.odd or 0.0) >= NOTABLE else None


def moved_text(line: Line) -> str:
    """`Error-free sessions moved most: 98.4% on Sun 22 Nov, where 99.1% to 99.3% was expected.`"""
    said = f"{line.text} {when(line)}, where {line.expected_text}."
    inside = line.value is not None and line.low is not None and line.high is not None
    if inside and line.low <= line.value <= line.high:  # type: ignore[operator]
        side = "lower" if (line.odd or 0.0) < 0 else "upper"
        return f"{line.title} moved most, to the {side} end: {said}"
    return f"{line.title} moved most against what was expected: {said}"


def status_sentence(standings: Sequence[Standing], alerts: Sequence[str] = ()) -> str:
    """`2 of 14 off track; worst Error-free sessions, 0.8 points under target.` alerts: titles of open critical ones."""
    return f"{headline(sorted(standings, key=rank), alerts)}."


def week_text(start: pd.Timestamp, name: str) -> str:
    """`16–22 Nov 2026, week 47`."""
    shown = fmt.period_text(start, "week", 0)
    return f"{shown}, week {int(name[-2:])}"
