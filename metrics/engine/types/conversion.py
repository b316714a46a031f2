"""conversion: who of a period's base converts within the window; or what is credited to the base's last row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
from sqlglot import exp

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.types.conversion import Conversion
from metrics.engine import frames
from metrics.engine.per_person import PerPerson, any_row
from metrics.engine.query import Scope
from metrics.engine.sampling import Floats, numbers, shares
from metrics.engine.sql import trees
from metrics.engine.sql.entity_rows import DAY, Rows, entity_rows, falling, reach, rising, window_function
from metrics.engine.sql.measures import counted_days
from metrics.engine.sql.next_event import REACHED_1, next_event, place_of_hit, within
from metrics.engine.sql.people_by_day import ALL, People, flagged
from metrics.engine.sql.shared_reading import Reading
from metrics.engine.together import by_each
from metrics.engine.types.contract import ends_with_its_period, starts_within_its_window

KEYS = {"segment": "TEXT", "period": "TIMESTAMP", "base_at": "TIMESTAMP"}


dirty_ranges = starts_within_its_window
settled_at = ends_with_its_period


def facts(kpi: Conversion, scope: Scope) -> pd.DataFrame:
    """Entities of the period's base that convert / base; of events: conversions credited to it / its rows."""
    if (shared := _shared(kpi, scope)) is not None:
        return shared
    if scope.together and kpi.of == "entities":  # of some dimensions they are shared
        return by_each(scope, lambda one: facts(kpi, one))
    base, _ = entity_rows(kpi, scope)
    found = by_each(scope, lambda one: trees.run(_select(kpi, one), one))
    zero = ("numerator", "denominator") if base.dataset.empty == "zero" else ()
    return _ripened(kpi, frames.spined(found, scope, base.dataset.name, zero=zero), scope)


def _select(kpi: Conversion, scope: Scope) -> exp.Select:
    base, conversion = entity_rows(kpi, scope)
    made = _entities if kpi.of == "entities" else _events
    return made(kpi, scope, base, conversion)


CONVERTED = "converted"


def people_of(kpi: Conversion, catalogue: Catalogue) -> list[People]:
    """The base, and who of it converts."""
    if kpi.of != "entities":
        return []
    base = next(iter(kpi.conditions.values())).dataset
    said = kpi.model_dump_json()
    return [People((kpi.name, said), base, (ALL, CONVERTED), lambda *of: _days(kpi, said, *of), joined=True)]


def _days(kpi: Conversion, said: str, reading: Reading, named: Sequence[str], conditions: Sequence[str]) -> exp.Select:
    """Who is of the base on a day, and whether the row of any moment of it is followed by a conversion."""
    dataset = reading.dataset(named, (said,))
    datasets = {**reading.scope.catalogue.datasets, dataset.name: dataset}
    scope = replace(reading.scope, catalogue=replace(reading.scope.catalogue, datasets=datasets))
    base, conversion = entity_rows(kpi, scope)
    segments = {f"d{i}": trees.segment(dataset, name) for i, name in enumerate(named)}
    entries = base.select(
        base.entity.as_("entity"),
        base.period("day").as_("day"),
        base.at.copy().as_("base_at"),
        *(segment.as_(name) for name, segment in segments.items()),
        start=scope.start,
        end=scope.end,
    )
    followed = _followed(
        {"day": "TIMESTAMP", "base_at": "TIMESTAMP", **dict.fromkeys(segments, "TEXT")}, base, conversion
    )
    met = [flagged(_converted(kpi)).as_("f0")] if CONVERTED in conditions else []
    final = exp.select("day", "entity", *segments, *met).from_("followed")
    return trees.assembled(final, base=entries, conversions=_hits(kpi, scope, base, conversion), followed=followed)


def _shared(kpi: Conversion, scope: Scope) -> pd.DataFrame | None:
    """What a refresh counts for all grains and dimensions at once; None where it does not."""
    scans = scope.shared.scans if scope.shared else None
    for people in people_of(kpi, scope.catalogue) if scans else ():
        if scans and (found := scans.people(people, scope)) is not None:
            at = [trees.PERIOD, trees.SEGMENT]
            both = found[0].merge(found[1].rename(columns={"people": "numerator"}), on=at, how="left")
            both = both.assign(numerator=both["numerator"].fillna(0), denominator=both["people"], n=both["people"])
            dataset = scope.catalogue.datasets[people.dataset]
            zero = ("numerator", "denominator") if dataset.empty == "zero" else ()
            return _ripened(kpi, frames.spined(both, scope, dataset.name, zero=zero), scope)
    return None


def from_days(kpi: Conversion, daily: pd.DataFrame, scope: Scope) -> pd.DataFrame | None:
    """Rows and what is credited to them add up; whoever converts on two days counts once."""
    if kpi.of != "events" or kpi.calculation == "count":
        return None
    base = next(iter(kpi.conditions.values())).dataset
    zero = ("numerator", "denominator") if scope.catalogue.datasets[base].empty == "zero" else ()
    return counted_days(daily, scope, base, lambda frame: _ripened(kpi, frame, scope), zero=zero)


def _ripened(kpi: Conversion, found: pd.DataFrame, scope: Scope) -> pd.DataFrame:
    names = tuple(dict.fromkeys(condition.dataset for condition in kpi.conditions.values()))
    found = frames.only_mature(found, scope, names, kpi.window or timedelta(0))
    if kpi.calculation == "count":
        return found.assign(value=found["numerator"], numerator=float("nan"), denominator=float("nan"))
    return frames.shared(found)


def sampling(kpi: Conversion, frame: pd.DataFrame) -> Floats:
    """Each of the base converts or not. Of a count: given how large the base was, at the least."""
    value, n = numbers(frame, "value"), numbers(frame, "n")
    if kpi.calculation == "rate":
        return shares(value, n)
    base = np.where(n >= 1, n, np.nan)
    return np.asarray(shares(value / base, n) * base**2)


def _hits(kpi: Conversion, scope: Scope, base: Rows, conversion: Rows) -> exp.Select:
    place = place_of_hit(conversion, [base], kpi.ties)
    columns = conversion.entity.as_("entity"), conversion.at.copy().as_("seen_at"), place.as_("place")
    return conversion.select(*columns, start=scope.start - DAY, end=reach(scope.end, _span(kpi)))


def _entities(kpi: Conversion, scope: Scope, base: Rows, conversion: Rows) -> exp.Select:
    """An entity converts if any of its base rows in the period is followed by a conversion within the window."""
    entries = base.select(
        base.segment.as_("segment"),
        base.entity.as_("entity"),
        base.period().as_("period"),
        base.at.copy().as_("base_at"),
        start=scope.start,
        end=scope.end,
        asked=True,
    )
    followed_by = _followed(KEYS, base, conversion)
    who = exp.Case(ifs=[exp.If(this=_converted(kpi), true=exp.column("entity"))])
    total = exp.Count(this=exp.Distinct(expressions=[exp.column("entity")]))
    final = (
        exp.select(
            exp.column("segment").as_(trees.SEGMENT),
            exp.column("period").as_(trees.PERIOD),
            exp.Count(this=exp.Distinct(expressions=[who])).as_("numerator"),
            total.as_("denominator"),
            total.copy().as_("n"),
        )
        .from_("followed")
        .group_by("segment", "period")
    )
    hits = _hits(kpi, scope, base, conversion)
    return trees.assembled(final, base=entries, conversions=hits, followed=followed_by)


def _followed(keys: dict[str, str], base: Rows, conversion: Rows) -> exp.Select:
    """Each row of the base with the first conversion after it."""
    days = conversion.is_date and not base.is_date
    place = exp.Literal.number(REACHED_1)
    return next_event("base", "conversions", keys=keys, at="base_at", place=place, whole_days=days)


def _converted(kpi: Conversion) -> exp.Expr:
    return within(exp.column("hit"), exp.column("base_at"), kpi.window)


def _events(kpi: Conversion, scope: Scope, base: Rows, conversion: Rows) -> exp.Select:
    """Each conversion is credited to the last base row at or before it, within the window (last touch).

    A row that is both is credited to one before it.
    """
    at = base.at.copy()
    if conversion.is_date and not base.is_date:
        at = exp.cast(exp.TimestampTrunc(this=at, unit=exp.var("DAY")), "TIMESTAMP")
    entries = base.select(
        base.segment.as_("segment"),
        base.entity.as_("entity"),
        base.local.copy().as_("base_local"),
        base.at.copy().as_("base_at"),
        at.as_("line_at"),
        start=scope.start,
        end=reach(scope.end, _span(kpi)),
        asked=True,
    )
    # A conversion may be credited in each segment that its entity has base rows in.
    pairs = exp.select("segment", "entity").distinct().from_("base")
    order = [rising(exp.column("line_at")), falling(exp.column("place"))]

    def last(column: str) -> exp.Expr:
        return window_function(exp.Max(this=exp.column(column)), by=["segment", "entity"], order=order, running=True)

    touched = exp.select(
        "segment", "line_at", "kind", last("base_local").as_("local"), last("base_at").as_("touched_at")
    ).from_(_time_line().subquery("time_line"))
    credited = exp.and_(exp.column("kind").eq(1), within(exp.column("line_at"), exp.column("touched_at"), kpi.window))
    period = trees.period(exp.column("local"), scope)
    count = trees.times(exp.column("kind").eq(0))
    final = (
        exp.select(
            exp.column("segment").as_(trees.SEGMENT),
            period.as_(trees.PERIOD),
            trees.times(credited).as_("numerator"),
            count.as_("denominator"),
            count.copy().as_("n"),
        )
        .from_("touched")
        .where(trees.in_range(exp.column("local"), scope.start, scope.end))
        .group_by(exp.Literal.number(1), exp.Literal.number(2))
    )
    hits = _hits(kpi, scope, base, conversion)
    return trees.assembled(final, base=entries, conversions=hits, pairs=pairs, touched=touched)


def _time_line() -> exp.Query:
    """Base rows and conversions together, each conversion once for each segment of its entity's base rows."""
    seen = (
        exp.select(
            exp.column("segment", "pairs"),
            exp.column("entity", "pairs"),
            trees.null("TIMESTAMP").as_("base_local"),
            trees.null("TIMESTAMP").as_("base_at"),
            exp.column("seen_at", "conversions").as_("line_at"),
            exp.column("place", "conversions"),
            exp.Literal.number(1).as_("kind"),
        )
        .from_("conversions")
        .join("pairs", on="pairs.entity = conversions.entity")
    )
    line = exp.select(
        *("segment", "entity", "base_local", "base_at", "line_at"),
        exp.Literal.number(REACHED_1).as_("place"),
        exp.Literal.number(0).as_("kind"),
    )
    return exp.union(line.from_("base"), seen, distinct=False)


def _span(kpi: Conversion) -> pd.Timedelta | None:
    return None if kpi.window is None else pd.Timedelta(kpi.window)


def per_person(kpi: Conversion, catalogue: Catalogue) -> PerPerson | str:
    """Whether a person converted within the window from the exposure on."""
    if kpi.of == "events":
        return "its conversions are credited to rows, not to people: write `of: entities`"
    return PerPerson(any_row(list(kpi.conditions.values())[1].dataset, kpi.conversion.filter), window=kpi.window)
