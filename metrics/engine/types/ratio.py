"""ratio: sum of parts / sum of parts, at every grain and segment."""

from __future__ import annotations

import numpy as np
import pandas as pd

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon, Measure
from metrics.catalog.types.ratio import Ratio
from metrics.engine import frames, periods, types
from metrics.engine.dirty_ranges import DirtyRanges, union
from metrics.engine.per_person import Part, PerPerson, part_of
from metrics.engine.query import FACT_COLUMNS, Scope
from metrics.engine.sampling import People
from metrics.engine.sql.measures import measure_facts, summed_days
from metrics.engine.sql.people_by_day import People as Counted
from metrics.engine.sql.people_by_day import people_of_rows
from metrics.engine.sql.sums import Column, Sums, measure_sums
from metrics.engine.types.contract import Rows, ends_with_its_period

settled_at = ends_with_its_period


def facts(kpi: Ratio, scope: Scope) -> pd.DataFrame:
    """numerator / denominator of each period; unknown where the denominator is 0 or unknown."""
    parts = [_part(kpi, key, scope) for key in ("numerator", "denominator")]
    segments = list(dict.fromkeys(s for _, frame in parts for s in frame["segment"]))
    top, bottom = (types.with_segments(frame, part, segments, scope) for part, frame in parts)
    if types.same_periods([bottom, top]):
        both = bottom.assign(value_top=top["value"].to_numpy(), complete_top=top["complete"].to_numpy())
    else:
        both = bottom.merge(top, on=["segment", "period"], how="outer", suffixes=("", "_top"))
    numerator, denominator = both["value_top"], both["value"]
    result = both.assign(
        value=numerator / denominator.where(denominator != 0),
        numerator=numerator,
        denominator=denominator,
        parts=None,
        complete=periods.known_complete(both["complete"]) & periods.known_complete(both["complete_top"]),
    )
    return result[FACT_COLUMNS]


def _part(kpi: Ratio, key: str, scope: Scope) -> tuple[KpiCommon | Measure, pd.DataFrame]:
    part = kpi.parts[key]
    if isinstance(part, Measure):
        return part, measure_facts(part, scope)
    named = scope.catalogue.kpi(part)
    return named, types.facts(named, scope)


def sums(kpi: Ratio, catalogue: Catalogue) -> list[tuple[Sums, int]]:
    """Those of its parts."""
    found = []
    for part in kpi.parts.values():
        if not isinstance(part, Measure):
            found += types.sums(catalogue.kpi(part), catalogue)
        elif (one := measure_sums(part)) is not None:
            found.append((one, 0))
    return found


def people_of(kpi: Ratio, catalogue: Catalogue) -> list[Counted]:
    """Those of its parts."""
    found = []
    for part in kpi.parts.values():
        if not isinstance(part, Measure):
            found += types.people_of(catalogue.kpi(part), catalogue)
        elif part.agg == "count_distinct":
            found.append(people_of_rows(part))
    return found


def from_days(kpi: Ratio, daily: pd.DataFrame, scope: Scope) -> pd.DataFrame | None:
    """Both sums of the days, where they are counts and sums of which each day's is known."""
    measures = [_adding(part, scope.catalogue) for part in kpi.parts.values()]
    top, bottom = measures
    if top is None or bottom is None:
        return None
    if daily[["numerator", "denominator"]].isna().any(axis=None) or daily["n"].isna().any():
        return None  # of a sum of nothing known, or before something was observed: its rows tell
    columns = tuple((name, Column("sum")) for name in ("numerator", "denominator", "n"))
    sums = Sums(bottom.dataset, "", columns, quotient=True)
    found = summed_days(daily, sums, scope, zero=("numerator", "denominator"))
    index = frames.scope_index(scope)
    over = np.tile(frames.complete(index, scope, (top.dataset,)), len(found) // max(1, len(index)))
    return found.assign(complete=found["complete"] & over)


def _adding(part: KpiCommon | Measure | str, catalogue: Catalogue) -> Measure | None:
    """A part as a count or a sum; None if it is none, or not of each day's own rows."""
    if isinstance(part, str):
        named = catalogue.kpi(part)
        own = named.is_part and not named.trailing_window and not named.coarser_by and types.sums(named, catalogue)
        part = named.measures[()] if own else named
    return part if isinstance(part, Measure) and part.agg in ("count", "sum") else None


def people(kpi: Ratio, catalogue: Catalogue) -> People | None:
    """Both sums of each person; not known where a part is no sum of rows."""
    found = []
    for part in kpi.parts.values():
        named = None if isinstance(part, Measure) else catalogue.kpi(part)
        whole = named is not None and named.is_part and not named.trailing_window and not named.coarser_by
        measure = part if isinstance(part, Measure) else named.measures[()] if named is not None and whole else None
        if measure is None or measure.agg not in ("count", "sum", "count_distinct"):
            return None
        found.append(measure)
    counts = all(measure.agg in ("count", "count_distinct") for measure in found)
    return People(found[0], found[1], share=counts and kpi.is_share)


def dirty_ranges(kpi: Ratio, catalogue: Catalogue, rows: Rows) -> DirtyRanges | None:
    """Those of its parts."""
    return union(
        rows[part.dataset] if isinstance(part, Measure) else types.dirty_ranges(catalogue.kpi(part), catalogue, rows)
        for part in kpi.parts.values()
    )


def per_person(kpi: Ratio, catalogue: Catalogue) -> PerPerson | str:
    """Both sums of a person."""
    found = []
    for part in kpi.parts.values():
        one = part_of(part, catalogue) if isinstance(part, Measure) else _sum_of(catalogue.kpi(part), catalogue)
        if isinstance(one, str):
            return one
        found.append(one)
    return PerPerson(found[0], found[1])


def _sum_of(kpi: KpiCommon, catalogue: Catalogue) -> Part | str:
    person = types.per_person(kpi, catalogue) if kpi.is_part else ""
    if isinstance(person, str):
        return person or f"its part {kpi.title} is no sum over people"
    alone = person.of is None and person.window is None
    return person.value if alone else f"its part {kpi.title} is no sum over people"
