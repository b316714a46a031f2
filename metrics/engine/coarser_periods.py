"""Longer periods out of those of a shorter grain: the last, the mean or the greatest (`period_agg`)."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from metrics.engine import frames, periods
from metrics.engine.query import FACT_COLUMNS, Scope


def coarser(short: pd.DataFrame, scope: Scope, dataset: str, how: str) -> pd.DataFrame:
    """One value for each period of the scope out of its observed shorter ones. how: last, mean or max.

    With `last` it is complete when its last one is, otherwise when all are. It has no parts.
    """
    how = how if how in ("mean", "max") else "last"
    known = short[short["n"].notna().to_numpy()]
    codes, segments = pd.factorize(known["segment"].astype("object"))
    periods_of = periods.floors(known["period"], scope.grain, scope.week_start_days).to_numpy(dtype="datetime64[us]")
    order = np.lexsort((periods_of, codes))  # stable: the last of a group is its last row
    codes, at = codes[order], periods_of[order]
    moved = (codes[1:] != codes[:-1]) | ~((at[1:] == at[:-1]) | (np.isnat(at[1:]) & np.isnat(at[:-1])))
    firsts = np.flatnonzero(np.concatenate([[True], moved])) if len(codes) else np.array([], dtype=int)
    lasts = np.append(firsts[1:], len(codes))[: len(firsts)] - 1
    values, done = known["value"].to_numpy("float64")[order], known["complete"].to_numpy(dtype=bool)[order]
    if how == "last":
        taken, ready = values[lasts], done[lasts]
    else:
        group = np.repeat(np.arange(len(firsts)), np.diff(np.append(firsts, len(codes))))
        taken = getattr(pd.Series(values).groupby(group), how)().to_numpy()
        ready = np.logical_and.reduceat(done, firsts) if len(firsts) else done
    whole = pd.DataFrame({"segment": segments[codes[firsts]], "period": at[firsts], "value": taken})
    n = known["n"].to_numpy("float64")[order][lasts]
    result = frames.spined(whole.assign(n=n, numerator=ready), scope, dataset, zero=False)
    keep = (result["numerator"] == 1) | (scope.grain == periods.TOTAL)
    return result.assign(complete=result["complete"] & keep, numerator=float("nan"))[FACT_COLUMNS]


def finer_scope(scope: Scope, grain: str) -> Scope:
    """The scope in periods of a shorter grain: those that begin in it."""
    start = periods.floor(scope.start, grain, scope.week_start_days)
    return dataclasses.replace(
        scope, grain=grain, start=start, end=periods.ceil(scope.end, grain, scope.week_start_days)
    )
