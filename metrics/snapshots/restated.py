"""Restated since: which published numbers are different now, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd

from metrics.catalog.catalogue import Catalogue
from metrics.engine.query import Filter
from metrics.presentation import format as fmt
from metrics.presentation.precision import same
from metrics.snapshots.document import Document, Line
from metrics.snapshots.inputs import WeekInputs

LATE, REDEFINED, BOTH, GONE = "late data", "changed definition", "late data and changed definition", "removed"
Old = Callable[[], Catalogue]
Published = tuple[pd.Timestamp, str, float | None, bool]  # period, its name, value, whether the headline


@dataclass(frozen=True)
class Restatement:
    """One published number that is different now. headline: the KPI's number, else one of its weeks or months."""

    kpi: str
    title: str
    segment: dict[str, str]
    grain: str
    period: str
    period_text: str
    published: float | None
    now: float | None
    published_text: str
    now_text: str
    cause: str
    headline: bool


def restated(document: Document, inputs: WeekInputs, old: Old, *, points: bool = True) -> tuple[Restatement, ...]:
    """Every published number that today's data and definitions answer differently, headlines first.

    old: the definitions that the document was made with, for telling late rows from a changed definition.
    points: False = headlines only, without weeks and months.
    """
    found = [item for line in document.lines for item in _of_line(line, inputs, old, points)]
    return tuple(sorted(found, key=lambda item: not item.headline))


def _of_line(line: Line, inputs: WeekInputs, old: Old, points: bool) -> Iterator[Restatement]:
    if line.period is None:
        return
    kpi = inputs.catalogue.kpis.get(line.kpi)
    where = tuple(Filter(dimension, (value,)) for dimension, value in line.segment.items())
    for grain, numbers in (_published(line) if points else _headline(line)).items():
        values = inputs.values(line.kpi, grain, where) if kpi is not None else None
        if kpi is not None and grain != line.grain and (values is None or grain not in kpi.offered_grains):
            continue  # made of those of the home grain
        for period, name, published, headline in numbers:
            now = values.get(period) if values is not None else None
            if same(published, now):
                continue
            cause = GONE
            if kpi is not None:
                cause = _cause(line, inputs, old, _Differing(grain, period, where, published, now))
            if kpi is not None:
                shown, text = fmt.value_texts((published, now), kpi)
            else:
                shown, text = line.text if headline else str(published), fmt.UNKNOWN
            yield Restatement(
                line.kpi,
                line.title,
                line.segment,
                grain,
                f"{period:%Y-%m-%d}",
                name,
                published,
                now,
                shown,
                text,
                cause,
                headline,
            )


def _headline(line: Line) -> dict[str, list[Published]]:
    """Grain → the KPI's number."""
    return {line.grain: [(pd.Timestamp(line.period).tz_localize(None), line.period_text, line.value, True)]}


def _published(line: Line) -> dict[str, list[Published]]:
    """Grain → what was published of it, each period once. Points taken from shorter periods are not of their own."""
    found = _headline(line)
    at = found[line.grain][0][0]
    for grain, points, note in (("week", line.weeks, line.weeks_note), ("month", line.months, line.months_note)):
        for point in points if not note else ():
            period = pd.Timestamp(point.period)
            if (grain, period) != (line.grain, at):
                found.setdefault(grain, []).append((period, point.name, point.value, False))
    return found


@dataclass(frozen=True)
class _Differing:
    """A number that is not what was published: its place, what was published, what is live now."""

    grain: str
    period: pd.Timestamp
    where: tuple[Filter, ...]
    published: float | None
    now: float | None


def _cause(line: Line, inputs: WeekInputs, old: Old, number: _Differing) -> str:
    """By the definition of then on the rows of today: what it gives tells which of both made the difference."""
    if inputs.catalogue.definition(line.kpi) == line.definition:
        return LATE
    then = old()
    if line.kpi not in then.kpis or then.definition(line.kpi) != line.definition:
        return REDEFINED
    values = inputs.values_by(then, line.kpi, number.grain, number.where)
    if values is None:
        return REDEFINED
    before = values.get(number.period)
    if same(before, number.published):
        return REDEFINED
    return LATE if same(before, number.now) else BOTH
