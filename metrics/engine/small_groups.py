"""Values of few people are not shown to some roles, nor what they could be told from.

Such a role asks for a KPI at its own grain, whole or by one dimension at a time: then the only sums that tie its
answers together are those of one period, whose whole is that of its segments. Where a segment is of few people, the
smallest segment of enough people is masked with it, so that the whole less what is shown is of enough people, too. A
filter is a sum of segments, shown where it cuts no masked segment from the others.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from connectors.errors import Withheld
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.small_groups import PEOPLE, people_behind
from metrics.engine import types
from metrics.engine.query import Query, Scope

HIDDEN = ("value", "numerator", "denominator")
HOW = "Ask for it at its own grain, whole or by one dimension, without a range as one."


def refuse(query: Query, kpi: KpiCommon, grain: str) -> None:
    """Raises Withheld for questions whose answers, held against others, could tell values of few people."""
    parts = len({f.dimension for f in query.where}) + (query.by is not None)
    why = ""
    if grain != kpi.grain:
        why = f"your role sees it at grain {kpi.grain} only: sums of other ranges would tell small groups"
    elif parts > 1 or query.row_scope or query.entities:
        why = "your role sees it by one dimension at a time: several would tell small groups"
    elif query.compare == "to_date":
        why = "your role sees no part of a period: the rest would tell small groups"
    if why:
        raise Withheld(why, where=kpi.name, hint=HOW)


def masked(frame: pd.DataFrame, kpi: KpiCommon, scope: Scope, few: int) -> pd.DataFrame:
    """The answer (FACT_COLUMNS) without values of fewer people than `few`, and what tells them. Raises Withheld."""
    people = _people(frame, kpi, scope)
    hidden = _small(people, few) if scope.by is None else _with_another(people, few)
    if scope.by is None and scope.filters:
        hidden |= _cuts(kpi, scope, few).reindex(hidden.index.get_level_values("period")).fillna(False).to_numpy()
    cells = pd.MultiIndex.from_frame(frame[["segment", "period"]])
    at = hidden.reindex(cells).fillna(False).to_numpy(dtype=bool)
    found = frame.copy()
    found.loc[at, list(HIDDEN)] = np.nan
    found["n"] = found["n"].mask(at)
    shown = [
        None if hide or parts is None or any(0 < abs(x) < few for x in parts if x == x) else parts
        for hide, parts in zip(at, found["parts"], strict=True)
    ]
    found["parts"] = pd.Series(shown, index=found.index, dtype=object)
    return found


def _people(frame: pd.DataFrame, kpi: KpiCommon, scope: Scope) -> pd.DataFrame:
    """People behind each cell (segment, period): a column for each part of the KPI."""
    behind = people_behind(kpi, scope.catalogue)
    if isinstance(behind, str):
        raise Withheld(behind, where=kpi.name)
    if not behind:
        return frame.set_index(["segment", "period"])[["numerator", "denominator"]].astype(float)
    columns = {}
    for place, counting in enumerate(behind):
        kpis = {**scope.catalogue.kpis, PEOPLE: counting}
        found = types.facts(
            counting, dataclasses.replace(scope, catalogue=dataclasses.replace(scope.catalogue, kpis=kpis))
        )
        columns[place] = found.set_index(["segment", "period"])["value"].astype(float)
    cells = pd.MultiIndex.from_frame(frame[["segment", "period"]])
    return pd.DataFrame(columns).reindex(cells).fillna(0.0)


def _small(people: pd.DataFrame, few: int) -> pd.Series:
    """Whether any part of a cell is of some people and too few. Of nobody is a zero, which names no one."""
    return ((people > 0) & (people < few)).any(axis=1)


def _with_another(people: pd.DataFrame, few: int) -> pd.Series:
    """Small cells, and in each period that has one the smallest cell of enough people with them."""
    hidden = _small(people, few)
    least = people.min(axis=1)
    large = least[~hidden & (least > 0)].rename("people").reset_index()
    periods = set(hidden[hidden].index.get_level_values("period"))
    large = large[large["period"].isin(periods)].sort_values(["people", "segment"], kind="stable")
    for segment, period in large.drop_duplicates("period")[["segment", "period"]].itertuples(index=False):
        hidden.loc[(segment, period)] = True
    return hidden


def _cuts(kpi: KpiCommon, scope: Scope, few: int) -> pd.Series:
    """period → whether the filter takes some masked segments of its dimension and leaves others."""
    (item,) = scope.filters
    whole = dataclasses.replace(scope, filters=(), by=item.dimension)
    frame = types.facts(kpi, whole)
    hidden = _with_another(_people(frame, kpi, whole), few)
    inside = hidden.index.get_level_values("segment").isin(item.values)
    taken = hidden[inside].groupby("period").any()
    left = hidden[~inside].groupby("period").any()
    both = pd.DataFrame({"taken": taken, "left": left}).fillna(False).astype(bool)
    return both["taken"] & both["left"]
