"""derived: arithmetic of other KPIs; what is unknown in one part is unknown in the result."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import reduce

import pandas as pd
from sqlglot import exp

from connectors.errors import QueryRefused
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.formula import Reference, formula
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.types.derived import Derived
from metrics.engine import periods, types
from metrics.engine.dirty_ranges import DirtyRanges, shifted, union
from metrics.engine.query import FACT_COLUMNS, Scope
from metrics.engine.sql.people_by_day import People
from metrics.engine.sql.sums import Sums
from metrics.engine.types.contract import Rows, ends_with_its_period

STEP = 1e-4  # by which a reference is moved to see what that does, as a share of it

settled_at = ends_with_its_period


def facts(kpi: Derived, scope: Scope) -> pd.DataFrame:
    """The formula of each period; n is the least n of its parts."""
    parsed = formula(kpi.expr)
    found = [_part(reference, scope) for reference in parsed.references]
    segments = list(dict.fromkeys(s for frame, *_ in found for s in frame["segment"]))
    parts = [_named(frame, part, inner, shift, i, segments) for i, (frame, part, inner, shift) in enumerate(found)]
    both = parts[0]
    if types.same_periods(parts):
        own = [part.drop(columns=["segment", "period"]).set_axis(both.index) for part in parts[1:]]
        both = pd.concat([both, *own], axis=1)
    else:
        both = reduce(lambda a, b: a.merge(b, on=["segment", "period"], how="outer"), parts)
    count = range(len(parts))
    columns = {f"p{i}": both[f"p{i}"] for i in count}
    done = [periods.known_complete(both[f"complete{i}"]) for i in count]
    result = both.assign(
        value=_evaluate(parsed.tree, columns),
        numerator=float("nan"),
        denominator=float("nan"),
        n=both[[f"n{i}" for i in count]].min(axis=1, skipna=False).astype("Int64"),
        complete=reduce(lambda a, b: a & b, done),
        parts=None,
    )
    return result[FACT_COLUMNS]


def _part(reference: Reference, scope: Scope) -> tuple[pd.DataFrame, KpiCommon, Scope, int]:
    """Facts of one reference, its KPI, the scope they were asked in, and by how many periods they are shifted."""
    kpi = scope.catalogue.kpi(reference.kpi)
    inner, shift = scope, 0
    if reference.offset:
        if scope.grain == periods.TOTAL:
            raise QueryRefused("an offset has no meaning over a whole range", hint="Ask at a grain.")
        shift = periods.offset_periods(scope.grain, reference.offset, reference.offset_grain)
        start, end = (periods.after(at, scope.grain, -shift) for at in (scope.start, scope.end))
        inner = dataclasses.replace(scope, start=start, end=end)
    return types.facts(kpi, inner), kpi, inner, shift


def _named(
    frame: pd.DataFrame, kpi: KpiCommon, inner: Scope, shift: int, index: int, segments: list[str]
) -> pd.DataFrame:
    """A part's columns under its own names, its periods moved to those that read them."""
    frame = types.with_segments(frame, kpi, segments, inner)
    if shift:
        frame = frame.assign(period=periods.shifted(frame["period"], inner.grain, shift))
    names = {"value": f"p{index}", "n": f"n{index}", "complete": f"complete{index}"}
    return frame.rename(columns=names)[["segment", "period", *names.values()]]


def _evaluate(tree: exp.Expr, columns: dict[str, pd.Series]) -> pd.Series:
    """The tree over pandas columns. Division by 0 is unknown."""
    if isinstance(tree, exp.Paren):
        return _evaluate(tree.this, columns)
    if isinstance(tree, exp.Column):
        return columns[tree.name]
    if isinstance(tree, exp.Literal):
        return pd.Series(float(tree.this), index=columns["p0"].index)
    if isinstance(tree, exp.Neg):
        return -_evaluate(tree.this, columns)
    if isinstance(tree, exp.Abs):
        return _evaluate(tree.this, columns).abs()
    left = _evaluate(tree.this, columns)
    if isinstance(tree, (exp.Least, exp.Greatest)):
        several = pd.concat([left, *(_evaluate(e, columns) for e in tree.expressions)], axis=1)
        return several.min(axis=1, skipna=False) if isinstance(tree, exp.Least) else several.max(axis=1, skipna=False)
    right = _evaluate(tree.expression, columns)
    if isinstance(tree, exp.Add):
        return left + right
    if isinstance(tree, exp.Sub):
        return left - right
    return left * right if isinstance(tree, exp.Mul) else left / right.where(right != 0)


def propagated(kpi: Derived, values: Mapping[str, pd.Series], variances: Mapping[str, pd.Series]) -> pd.Series:
    """Sampling variance of each period by the delta method; values, variances: of the KPIs that it names, by name.

    Taken as if those had nothing to do with each other. Not known (NaN) where it looks at earlier periods, too.
    """
    parsed = formula(kpi.expr)
    total = pd.Series(float("nan") if kpi.offsets else 0.0, index=next(iter(values.values())).index)
    for moved, variance in variances.items():
        step, sides = STEP * values[moved].abs().clip(lower=STEP), []
        for sign in (1, -1):
            near = {n: value + sign * step * (n == moved) for n, value in values.items()}
            sides.append(_evaluate(parsed.tree, {f"p{i}": near[r.kpi] for i, r in enumerate(parsed.references)}))
        total = total + ((sides[0] - sides[1]) / (2 * step)) ** 2 * variance
    return total


def sums(kpi: Derived, catalogue: Catalogue) -> list[tuple[Sums, int]]:
    """Those of the KPIs that it names."""
    return [one for name in catalogue.references(kpi) for one in types.sums(catalogue.kpi(name), catalogue)]


def people_of(kpi: Derived, catalogue: Catalogue) -> list[People]:
    """Those of the KPIs that it names."""
    return [one for name in catalogue.references(kpi) for one in types.people_of(catalogue.kpi(name), catalogue)]


def dirty_ranges(kpi: Derived, catalogue: Catalogue, rows: Rows) -> DirtyRanges | None:
    """Those of the KPIs that it names, and as many grains later as its offsets say."""
    return union(
        shifted(types.dirty_ranges(catalogue.kpi(r.kpi), catalogue, rows), r.offset_grain, r.offset)
        for r in formula(kpi.expr).references
    )


def per_person(kpi: Derived, catalogue: Catalogue) -> str:
    """Why it has no value of one person."""
    return "a formula of other KPIs has no value of one person: name the KPIs that it is made of"
