"""sql: a SELECT that gives period, value (or numerator and denominator), n and dimensions.

Its rows of one period are disjoint parts: numerator, denominator and n (value, where there are no
parts) add up over its dimensions.
"""

from __future__ import annotations

import dataclasses

import pandas as pd
from sqlglot import exp

from connectors.errors import QueryRefused
from metrics.catalog import sql
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.types.sql import Sql
from metrics.engine import frames, periods
from metrics.engine.query import FACT_COLUMNS, Scope
from metrics.engine.sql import trees
from metrics.engine.together import by_each
from metrics.engine.types.contract import ends_with_its_period, unchanged_or_everything

dirty_ranges = unchanged_or_everything
settled_at = ends_with_its_period


def facts(kpi: Sql, scope: Scope) -> pd.DataFrame:
    """What the SELECT gives at its home grain; coarser grains only by an explicit `period_agg`."""
    if scope.entities is not None:
        raise QueryRefused("a KPI of type sql cannot be limited to a set of entities", where=kpi.name)
    if scope.grain == kpi.grain:
        return _home(kpi, scope)
    if kpi.period_agg not in ("last", "mean", "max"):
        raise QueryRefused(
            f"a KPI of type sql has its {kpi.grain} values only; at grain {scope.grain} it has no exact one",
            where=kpi.name,
            hint="Ask at its home grain, or state `period_agg: last`, `mean` or `max`.",
        )
    start = periods.floor(scope.start, kpi.grain, scope.week_start_days)
    home = _home(kpi, dataclasses.replace(scope, grain=kpi.grain, start=start))
    home["period"] = periods.floors(home["period"], scope.grain, scope.week_start_days)
    known = home[home["value"].notna()]
    grouped = known.groupby(["segment", "period"], sort=False, dropna=False)
    taken = grouped.agg(value=("value", kpi.period_agg), n=("n", "last")).reset_index()
    return frames.spined(taken, scope, kpi.dataset, zero=False, maturity=kpi.maturity)


def _home(kpi: Sql, scope: Scope) -> pd.DataFrame:
    found = by_each(scope, lambda one: trees.run(_select(kpi, one), one))
    result = frames.spined(found, scope, kpi.dataset, zero=False, maturity=kpi.maturity)
    index = frames.scope_index(scope)
    datasets = scope.catalogue.datasets_of(kpi)
    done = pd.Series(frames.complete(index, scope, datasets, kpi.maturity), index=index)
    result["complete"] = done.reindex(result["period"]).to_numpy()
    if kpi.maturity:  # an immature cohort is unknown, not low
        ripe = pd.Series(frames.ripe(index, scope, datasets, kpi.maturity), index=index)
        low = ~ripe.reindex(result["period"]).to_numpy(dtype=bool)
        result.loc[low, ["value", "numerator", "denominator"]] = float("nan")
    return result[FACT_COLUMNS]


def _select(kpi: Sql, scope: Scope) -> exp.Select:
    tree = sql.select(kpi.sql, None)
    given = tree.named_selects
    own = {cte.alias_or_name for cte in tree.find_all(exp.CTE)}
    datasets = scope.catalogue.datasets
    used = [t for t in tree.find_all(exp.Table) if t.name in datasets and t.name not in own]
    for table in used:
        alias = table.alias or table.name
        table.set("alias", exp.TableAlias(this=exp.to_identifier(alias)))
        table.set("this", exp.to_identifier(trees.cte_name(table.name)))
    local = exp.cast(exp.column("period", "given"), "TIMESTAMP")
    parts = "numerator" in given and "denominator" in given
    total: dict[str, exp.Expr] = {
        c: exp.Sum(this=exp.column(c, "given")) for c in given if c in ("value", "numerator", "denominator", "n")
    }
    if parts:
        top, bottom = exp.cast(total["numerator"].copy(), "DOUBLE"), total["denominator"].copy()
        total["value"] = exp.Div(this=top, expression=exp.func("NULLIF", bottom, 0))
    if "n" not in total and parts:
        total["n"] = total["denominator"].copy()
    segment = exp.Literal.string("") if scope.by is None else trees.text(exp.column(scope.by, "given"))
    query = exp.select(
        trees.period(local, scope).as_(trees.PERIOD),
        segment.as_(trees.SEGMENT),
        *(tree_.as_(trees.VALUE if c == "value" else c) for c, tree_ in total.items()),
    ).from_(exp.Subquery(this=tree, alias=exp.TableAlias(this=exp.to_identifier("given"))))
    for name in dict.fromkeys(t.name.removeprefix("dataset__") for t in used):
        rows = trees.body(datasets[name]) or trees.from_dataset(exp.select("*"), datasets[name])
        query = query.with_(trees.cte_name(name), as_=rows)
    query = query.where(trees.in_range(local, scope.start, scope.end))
    for item in scope.filters:
        query = query.where(trees.matches(exp.column(item.dimension, "given"), item))
    return query.group_by(exp.Literal.number(1), exp.Literal.number(2))


def per_person(kpi: Sql, catalogue: Catalogue) -> str:
    """Why it has no value of one person."""
    return "its own SQL says nothing of single people"
