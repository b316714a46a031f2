"""Longer periods out of those of a shorter grain: the last, the mean or the greatest (`period_agg`)."""

from __future__ import annotations

import dataclasses

import pandas as pd

from metrics.engine import frames, periods
from metrics.engine.query import FACT_COLUMNS, Scope


def coarser(short: pd.DataFrame, scope: Scope, dataset: str, how: str) -> pd.DataFrame:
    """One value for each period of the scope out of its observed shorter ones. how: last, mean or max.

    With `last` it is complete when its last one is, otherwise when all are. It has no parts.
    """
    how = how if how in ("mean", "max") else "last"
    known = short[short["n"].notna()].copy()
    known["period"] = periods.floors(known["period"], scope.grain, scope.week_start_days)
    grouped = known.groupby(["segment", "period"], sort=False, dropna=False)
    taken = grouped.agg(value=("value", how), n=("n", "last")).reset_index()
    if how == "last":  # pandas' last skips what is unknown; the last one may be
        taken["value"] = grouped["value"].nth(-1).to_numpy()
    result = frames.spined(taken[["segment", "period", "value", "n"]], scope, dataset, zero=False)
    ready = grouped["complete"].agg("last" if how == "last" else "all").rename("ready").reset_index()
    merged = result.merge(ready, on=["segment", "period"], how="left")
    keep = merged["ready"].fillna(False).astype(bool) | (scope.grain == periods.TOTAL)
    return merged.assign(complete=merged["complete"] & keep)[FACT_COLUMNS]


def finer_scope(scope: Scope, grain: str) -> Scope:
    """The scope in periods of a shorter grain: those that begin in it."""
    start = periods.floor(scope.start, grain, scope.week_start_days)
    return dataclasses.replace(
        scope, grain=grain, start=start, end=periods.ceil(scope.end, grain, scope.week_start_days)
    )
