"""lifecycle: who is new, returning, resurrected or dormant in each period; the quick ratio of gained to lost."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sqlglot import exp

from connectors.errors import QueryRefused
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.types.lifecycle import PARTS, Lifecycle
from metrics.engine import frames, periods
from metrics.engine.periods import TOTAL
from metrics.engine.query import Scope
from metrics.engine.sampling import Floats, class_counts, numbers
from metrics.engine.sql import trees
from metrics.engine.sql.entity_rows import entity_rows, rising, window_function
from metrics.engine.together import by_each
from metrics.engine.types.contract import ends_with_its_period, from_then_on

dirty_ranges = from_then_on
settled_at = ends_with_its_period


def facts(kpi: Lifecycle, scope: Scope) -> pd.DataFrame:
    """(new + resurrected) / dormant of each period, within each segment; n: who is active."""
    if scope.grain == TOTAL:
        raise QueryRefused(
            "whoever is new or dormant is so against the period before, which a whole range does not have",
            where=kpi.name,
            hint="Ask at a grain.",
        )
    (rows,) = entity_rows(kpi, scope)
    counted = by_each(scope, lambda one: trees.run(_select(one, kpi), one))
    counted = counted.assign(
        numerator=counted["new"] + counted["resurrected"],
        denominator=counted["dormant"],
        n=counted["new"] + counted["returning"] + counted["resurrected"],
    )
    # Whoever was there last is dormant in the period after, also where that has not begun: unknown.
    index = frames.scope_index(scope)
    seen = frames.observed(index, scope.states.get(rows.dataset.name), scope)
    counted = counted[counted[trees.PERIOD].isin(index[seen])]
    zero = ("numerator", "denominator", *PARTS) if rows.dataset.empty == "zero" else ()
    found = frames.shared(frames.spined(counted, scope, rows.dataset.name, zero=zero, parts=PARTS))
    return found.assign(complete=found["complete"] & ~_after_a_part(found["period"], scope, rows.dataset.name))


def sampling(kpi: Lifecycle, frame: pd.DataFrame) -> Floats:
    """Who is gained and who is lost are different people, each of whom decides alone (delta method)."""
    parts = class_counts(frame, len(PARTS))
    if parts is None:
        return np.full(len(frame), np.nan)
    gained, lost = parts[:, 0] + parts[:, 2], parts[:, 3]
    known = (gained + lost >= 1) & (lost >= 1)
    relative = 1 / np.maximum(gained, 0.5) + 1 / np.maximum(lost, 0.5)
    return np.where(known, np.maximum(numbers(frame, "value"), 0.5 / np.maximum(lost, 0.5)) ** 2 * relative, np.nan)


def _after_a_part(period: pd.Series, scope: Scope, dataset: str) -> pd.Series:
    """Whether the period before, which each is held against, was observed in part: who was there then is not known."""
    begin = frames.begins(scope, (dataset,), scope.grain)
    if begin is None:
        return period.notna()
    return (period > begin) & (periods.shifted(period, scope.grain, -1) < begin)


def _select(scope: Scope, kpi: Lifecycle) -> exp.Select:
    (rows,) = entity_rows(kpi, scope)
    columns = rows.segment.as_("segment"), rows.entity.as_("entity"), rows.period().as_("period")
    active = rows.select(*columns, start=None, end=scope.end, asked=True).distinct()
    period = exp.column("period")

    def neighbour(function: type[exp.Expr]) -> exp.Expr:
        return window_function(function(this=period.copy()), by=["segment", "entity"], order=[rising(period)])

    around = exp.select(
        "segment",
        "period",
        neighbour(exp.Lag).as_("earlier"),
        neighbour(exp.Lead).as_("later"),
        trees.later(period, scope.grain).as_("following"),
        trees.later(period, scope.grain, -1).as_("preceding"),
    ).from_("active")
    earlier = exp.column("earlier")
    kinds = exp.Case(
        ifs=[
            exp.If(this=exp.Is(this=earlier.copy(), expression=exp.null()), true=exp.Literal.string("new")),
            exp.If(this=earlier.copy().eq(exp.column("preceding")), true=exp.Literal.string("returning")),
        ],
        default=exp.Literal.string("resurrected"),
    )
    there = exp.select("segment", "period", kinds.as_("kind")).from_("around")
    gone = exp.select("segment", exp.column("following").as_("period"), exp.Literal.string("dormant").as_("kind"))
    gone = gone.from_("around").where("later IS NULL OR later > following")
    every = exp.union(there, gone, distinct=False)
    counts = [trees.times(exp.column("kind").eq(name)).as_(name) for name in PARTS]
    final = exp.select(exp.column("segment").as_(trees.SEGMENT), period.copy().as_(trees.PERIOD), *counts)
    final = final.from_(every.subquery("every_kind")).where(trees.in_range(period, scope.start, scope.end))
    return trees.assembled(final.group_by("segment", "period"), active=active, around=around)


def per_person(kpi: Lifecycle, catalogue: Catalogue) -> str:
    """Why it has no value of one person."""
    return "it counts people who came and went, of which one person has no value"
