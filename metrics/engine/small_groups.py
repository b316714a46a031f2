"""Values of few people are not shown to some roles, nor what they could be told from.

Such a role asks for a KPI at its own grain, whole or by its first dimension, the only one that it has
(catalog/restriction.py): then the only sums that tie its answers together are those of one period, whose whole is that
of its segments. Where a segment is of few people, the smallest segment of enough people is masked with it, so that the
whole less what is shown is of enough people, too. A filter is a sum of segments, shown where it cuts no masked segment
from the others.
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

NAMELESS = 0.5  # people: more than none, fewer than any number that is asked for
HIDDEN = ("value", "numerator", "denominator")
HOW = "Ask for it at its own grain, whole or by one dimension, without a range as one."


def refuse(query: Query, kpi: KpiCommon, grain: str) -> None:
    """Raises Withheld for questions whose answers, held against others, could tell values of few people."""
    parts = len(query.where) + (query.by is not None)
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
    """The answer (FACT_COLUMNS) without values of fewer people than `few`, and what tells them. Raises Withheld.

    Parts (promoters, passives …) are of people, too, and are not shown. Segments come by name: their order by size
    would tell sizes.
    """
    people = _people(frame, kpi, scope)
    hidden = _small(people, few) if scope.by is None else _with_another(people, _size(frame, kpi, scope), few)
    if scope.by is None and scope.filters:
        hidden |= _cuts(kpi, scope, few).reindex(hidden.index.get_level_values("period")).fillna(False).to_numpy()
    cells = pd.MultiIndex.from_frame(frame[["segment", "period"]])
    at = hidden.reindex(cells).fillna(False).to_numpy(dtype=bool)
    found = frame.assign(parts=pd.Series([None] * len(frame), index=frame.index, dtype=object))
    found.loc[at, list(HIDDEN)] = np.nan
    found["n"] = found["n"].mask(at)
    return found.sort_values(["segment", "period"], kind="stable").reset_index(drop=True)


def _people(frame: pd.DataFrame, kpi: KpiCommon, scope: Scope) -> pd.DataFrame:
    """People behind each cell (segment, period): a column for each part of the KPI.

    NAMELESS: rows without a person and none with one. Of how many people they are nobody knows.
    """
    behind = people_behind(kpi, scope.catalogue)
    if isinstance(behind, str):
        raise Withheld(behind, where=kpi.name)
    cells = pd.MultiIndex.from_frame(frame[["segment", "period"]])
    if not behind:
        return frame.set_index(["segment", "period"])[["numerator", "denominator"]].astype(float).fillna(0.0)
    found = pd.DataFrame({place: _counted(counting, scope, cells) for place, counting in enumerate(behind)})
    rows = frame["n"].astype(float).fillna(0.0).to_numpy()
    found.loc[(found.max(axis=1).to_numpy() == 0) & (rows > 0), 0] = NAMELESS
    return found


def _size(frame: pd.DataFrame, kpi: KpiCommon, scope: Scope) -> pd.Series:
    """People of each cell whatever the KPI counts of them: by it all KPIs of a dataset mask the same cell further."""
    behind = people_behind(kpi, scope.catalogue)
    cells = pd.MultiIndex.from_frame(frame[["segment", "period"]])
    if isinstance(behind, str) or not behind:
        return frame.set_index(["segment", "period"])["denominator"].astype(float).fillna(0.0)
    return _counted(behind[0].model_copy(update={"filter": ""}), scope, cells)


def _counted(counting: KpiCommon, scope: Scope, cells: pd.MultiIndex) -> pd.Series:
    kpis = {**scope.catalogue.kpis, PEOPLE: counting}
    asked = dataclasses.replace(scope, catalogue=dataclasses.replace(scope.catalogue, kpis=kpis))
    found = types.facts(counting, asked)
    return found.set_index(["segment", "period"])["value"].astype(float).reindex(cells).fillna(0.0)


def _small(people: pd.DataFrame, few: int) -> pd.Series:
    """Whether any part of a cell is of some people and too few. Of nobody is a zero, which names no one."""
    return ((people > 0) & (people < few)).any(axis=1)


def _with_another(people: pd.DataFrame, size: pd.Series, few: int) -> pd.Series:
    """Small cells, and in each period that has one a cell of enough people with them, for each part of the KPI.

    Then what is hidden of a part is of enough people together. Where no cell of a part is large enough, all of its
    people are in what is hidden, and the whole tells them only if they are enough.
    """
    hidden = _small(people, few)
    for _, here in people[hidden.groupby("period").transform("any")].groupby("period", sort=False):
        order = sorted(here.index, key=lambda cell: (size[cell], cell[0]))
        for part in people.columns:
            enough = here[part] >= few
            if not (enough & hidden[here.index]).any():
                another = next((cell for cell in order if enough[cell] and not hidden[cell]), None)
                if another is not None:
                    hidden[another] = True
    return hidden


def _cuts(kpi: KpiCommon, scope: Scope, few: int) -> pd.Series:
    """period → whether the filter takes some masked segments of its dimension and leaves others."""
    (item,) = scope.filters
    whole = dataclasses.replace(scope, filters=(), by=item.dimension)
    frame = types.facts(kpi, whole)
    hidden = _with_another(_people(frame, kpi, whole), _size(frame, kpi, whole), few)
    inside = hidden.index.get_level_values("segment").isin(item.values)
    taken = hidden[inside].groupby("period").any()
    left = hidden[~inside].groupby("period").any()
    both = pd.DataFrame({"taken": taken, "left": left}).fillna(False).astype(bool)
    return both["taken"] & both["left"]
