"""One KPI as a card: its number, period, target, change, status and sparkline."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from connectors.errors import KpiError, counted
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine.answer import answer, behind, behind_text
from metrics.engine.data_context import DataContext
from metrics.engine.frames import known_value
from metrics.engine.query import Filter, Query, Series
from metrics.kpi_views.redefined import redefinition
from metrics.kpi_views.status import Held, Status, held, held_in_part, unvalued
from metrics.presentation import format as fmt
from metrics.presentation.freshness import late_reasons
from metrics.presentation.sparkline import Sparkline, sparkline

SHOWN = {"hour": 72, "day": 60, "week": 26, "month": 13, "quarter": 8, "year": 5}


@dataclass(frozen=True)
class Latest:
    """The number of a KPI: its last complete period of the home grain. before: that of the one it is held against,
    None if that is not complete."""

    period: pd.Timestamp | None
    value: float | None
    before: float | None
    n: int | None
    series: Series


@dataclass(frozen=True)
class Card:
    """Everything a card shows, as text."""

    name: str
    label: str
    area: str
    owner: str
    value: str
    period: str
    target: str
    gap: str
    change: str
    change_is: str  # good, bad or neutral: its colour
    against: str
    status: Status
    spark: Sparkline
    description: str = ""
    notice: str = ""  # that its definition changed lately, or that its file is wrong
    draft: bool = False
    behind: bool = False  # its values are those of an earlier sync

    @property
    def worse(self) -> bool:
        """Whether it went the wrong way, as told."""
        return self.change_is == "bad" and not self.change.startswith("±")

    def as_dict(self) -> dict[str, Any]:
        """Plain values for the component."""
        return {**asdict(self), "status": self.status.slug, "status_label": self.status.label, "why": self.status.why}


def latest(context: DataContext, kpi: KpiCommon, where: tuple[Filter, ...] = ()) -> Latest:
    """The last complete period of the home grain, compared with the one before. Raises KpiError."""
    query = Query(kpi.name, compare="previous_period", where=where)
    series = answer(query, context.catalogue, context.reader)
    frame = series.frame
    done = np.flatnonzero(frame["complete"].to_numpy())
    if not len(done):
        return Latest(None, None, None, None, series)
    columns = ("period", "value", "comparison", "difference", "n")
    period, value, before, difference, n = (frame[column].iat[done[-1]] for column in columns)
    held = None if pd.isna(difference) else known_value(before)
    return Latest(period, known_value(value), held, None if pd.isna(n) else int(n), series)


def card(context: DataContext, name: str, where: tuple[Filter, ...] = ()) -> Card:
    """One KPI's card. Never raises for a bad definition: the card says what is wrong."""
    try:
        kpi = context.catalogue.kpi(name)
        found = latest(context, kpi, where)
        against = _held(context, kpi, found, where)
    except KpiError as error:
        return _broken(context, name, error)
    window = kpi.trailing_window.days if kpi.trailing_window else 1
    return Card(
        name=name,
        label=kpi.title,
        area=kpi.area,
        owner=kpi.owner,
        description=kpi.description,
        value=against.value_text(found.value, kpi, compact=True),
        period=_period(found.period, kpi, context),
        target=f"Target {goal}" if (goal := against.target_text(kpi, compact=True)) else "",
        gap=against.gap,
        change=fmt.change_text(found.value, found.before, kpi, compact=True),
        change_is=good_or_bad(found.value, found.before, kpi),
        against=fmt.against_text(kpi.grain, window),
        status=against.status,
        spark=_spark(kpi, found, None if against.when else against.target),
        notice=_notice(context, kpi),
        draft=kpi.status == "draft",
        behind=behind(Query(name), context.catalogue, context.reader) is not None,
    )


def _held(context: DataContext, kpi: KpiCommon, found: Latest, where: tuple[Filter, ...]) -> Held:
    """Against its target. Only a target of another grain has a question of its own. Raises KpiError."""
    states = context.reader.dataset_states(context.reader.generation.sequence)
    late = late_reasons(kpi, context.catalogue, states, context.runs, context.table_sources, context.now)

    def rows(grain: str) -> pd.DataFrame:
        if grain == kpi.grain:
            return found.series.frame
        return answer(Query(kpi.name, grain, where=where), context.catalogue, context.reader).frame

    part = held_in_part(late) if where and kpi.grows_with_people else None
    return part or held(kpi, context.catalogue, rows, this_year=context.now.year, late=late)


def _notice(context: DataContext, kpi: KpiCommon) -> str:
    failure = behind(Query(kpi.name), context.catalogue, context.reader)
    if failure:
        told = behind_text(failure, context.catalogue, context.reader)
        return f"{told[:1].upper()}{told[1:]}. The values are those of that sync. {failure.hint}"
    held = context.catalogue.held_problems(kpi.name)
    if held:
        place = "/".join(held[0].file.split("/")[-2:])
        what = f"{place}:{held[0].line}: {held[0].message}"
        return f"Its definition has an error; shown by the version published last. {what}"
    return redefinition(context, kpi)


def good_or_bad(value: float | None, before: float | None, kpi: KpiCommon) -> str:
    """The colour of a change: by what it means, not by its sign."""
    if value is None or before is None or value == before or kpi.direction == "neutral":
        return "neutral"
    return "good" if (value > before) == (kpi.direction == "up_is_good") else "bad"


def _spark(kpi: KpiCommon, found: Latest, target: float | None) -> Sparkline:
    frame = found.series.frame
    values = frame["value"].to_numpy()[frame["complete"].to_numpy()][-SHOWN[kpi.grain] :].tolist()
    known = [v for v in values if not math.isnan(v)]
    words = f"{kpi.title}: no values yet"
    if known:
        low, high = fmt.value_texts((min(known), max(known)), kpi)
        words = f"{kpi.title}, last {counted(len(values), kpi.grain)}: between {low} and {high}"
    return sparkline(values, target, words)


def _period(period: pd.Timestamp | None, kpi: KpiCommon, context: DataContext) -> str:
    return "no complete period" if period is None else fmt.period_text(period, kpi.grain, context.now.year)


def _broken(context: DataContext, name: str, error: KpiError) -> Card:
    kpi = context.catalogue.kpis.get(name)
    data = {}
    if kpi is None and f"kpi:{name}" in context.catalogue.documents:
        raw = context.catalogue.documents[f"kpi:{name}"].data
        data = raw if isinstance(raw, dict) else {}
    problems = getattr(error, "problems", ())
    why = str(problems[0]) if problems else error.message
    title = kpi.title if kpi else str(data.get("label") or name.replace("_", " ").capitalize())
    return Card(
        name=name,
        label=title,
        area=kpi.area if kpi else str(data.get("area", "")),
        owner=kpi.owner if kpi else str(data.get("owner", "")),
        value=fmt.UNKNOWN,
        period="",
        target="",
        gap="",
        change="",
        change_is="neutral",
        against="",
        status=Status(unvalued(error), why),
        spark=sparkline([], None, f"{title}: no values"),
    )
