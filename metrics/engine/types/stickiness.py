"""stickiness: mean actives of the short periods, as a share of the long period's actives."""

from __future__ import annotations

import pandas as pd
from sqlglot import exp

from connectors.errors import QueryRefused
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import Measure
from metrics.catalog.types.stickiness import Stickiness
from metrics.engine import frames, periods
from metrics.engine.query import Scope
from metrics.engine.sampling import People
from metrics.engine.sql import trees
from metrics.engine.sql.entity_rows import entity_rows
from metrics.engine.together import by_each
from metrics.engine.types.contract import ends_with_its_period, own_rows

dirty_ranges = own_rows
settled_at = ends_with_its_period


def facts(kpi: Stickiness, scope: Scope) -> pd.DataFrame:
    """Numerator: mean of the short periods' distinct entities; denominator: the long period's."""
    if scope.grain != kpi.long:
        raise QueryRefused(
            f"it is the share of a {kpi.long}'s people who come on one {kpi.short}; at grain {scope.grain} it is "
            "another KPI",
            where=kpi.name,
            hint=f"Ask at grain {kpi.long}, write a KPI with another `long`, or state `period_agg: mean`.",
        )
    (rows,) = entity_rows(kpi, scope)
    found = by_each(scope, lambda one: trees.run(_select(kpi, one), one))
    zero = ("numerator", "denominator") if rows.dataset.empty == "zero" else ()
    spined = frames.spined(found, scope, rows.dataset.name, zero=zero)
    return frames.shared(spined.assign(numerator=spined["numerator"] / _shorts(kpi, scope, rows.dataset.name, spined)))


def _select(kpi: Stickiness, scope: Scope) -> exp.Select:
    (rows,) = entity_rows(kpi, scope)
    active = rows.select(
        rows.segment.as_("segment"),
        rows.entity.as_("entity"),
        rows.period().as_("period"),
        rows.period(kpi.short).as_("short"),
        start=scope.start,
        end=scope.end,
        asked=True,
    ).distinct()
    actives = exp.Count(this=exp.Distinct(expressions=[exp.column("entity")]))
    final = (
        exp.select(
            exp.column("segment").as_(trees.SEGMENT),
            exp.column("period").as_(trees.PERIOD),
            exp.Count(this=exp.Star()).as_("numerator"),
            actives.as_("denominator"),
            actives.copy().as_("n"),
        )
        .from_("active")
        .group_by("segment", "period")
    )
    return trees.assembled(final, active=active)


def people(kpi: Stickiness, catalogue: Catalogue) -> People | None:
    """On how many days of its week each is there. Not known of months and longer: no two have the same length."""
    if (kpi.short, kpi.long) != ("day", "week"):
        return None
    (condition,) = kpi.conditions.values()
    data = catalogue.datasets[condition.dataset]
    if not data.entity:
        return None
    days = Measure(
        dataset=data.name,
        agg="count_distinct",
        expr=f'CAST("{data.time_dimension}" AS DATE)',
        filter=condition.filter,
    )
    return People(days, days.model_copy(update={"expr": f'"{data.entity}"'}), scale=1 / 7)


def _shorts(kpi: Stickiness, scope: Scope, dataset: str, frame: pd.DataFrame) -> pd.Series:
    """How many short periods of each row's long one were observed: those before the first event are no zeros."""
    state, begin = scope.states.get(dataset), frames.begins(scope, (dataset,), "day")
    if state is None or begin is None or state.watermark is None:
        return pd.Series(float("nan"), index=frame.index)
    first = periods.floor(begin, kpi.short, scope.week_start_days)
    last = periods.ceil(periods.on_clock(state.watermark, "day", scope.zone), kpi.short, scope.week_start_days)
    index = frames.scope_index(scope)
    counts = {
        a: len(periods.spine(max(a, first), min(b, last), kpi.short)) or float("nan")
        for a, b in zip(index, periods.ends(index, scope.grain), strict=True)
    }
    return frame["period"].map(counts).astype("float64")


def per_person(kpi: Stickiness, catalogue: Catalogue) -> str:
    """Why it has no value of one person."""
    return "it is a share of periods, of which one person has no value: name a retention, or active people"
