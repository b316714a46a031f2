"""Grids of segments × periods: what adds up, and longer periods made of shorter ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from metrics.engine.together import named

Grid = np.ndarray[Any, Any]  # segments × periods


@dataclass(frozen=True)
class Days:
    """Sums by segment and day (or hour). rows: where there are any; columns: by name, NaN = none of them is known."""

    segments: Grid  # names
    index: pd.DatetimeIndex
    rows: Grid
    columns: Mapping[str, Grid]

    def within(self, start: pd.Timestamp, end: pd.Timestamp) -> Days:
        """Those of [start, end), of segments that have rows there."""
        a, b = (int(at) for at in self.index.searchsorted(pd.DatetimeIndex([start, end]).as_unit("us")))
        there = self.rows[:, a:b].any(axis=1)
        return Days(
            self.segments[there],
            self.index[a:b],
            self.rows[there, a:b],
            {name: values[there, a:b] for name, values in self.columns.items()},
        )

    def longer(self, index: pd.DatetimeIndex, ways: Mapping[str, str]) -> Days:
        """Those of longer periods, each of whole days of these. ways: column → count, sum, min or max."""
        at = index.searchsorted(self.index, side="right") - 1  # the period that each day lies in
        starts = np.flatnonzero(np.diff(at, prepend=-1))  # its first day
        inside = index[at[starts]] if len(starts) else index[:0]
        if not len(starts):
            return Days(self.segments, inside, self.rows, self.columns)
        return Days(
            self.segments,
            inside,
            np.logical_or.reduceat(self.rows, starts, axis=1),
            {name: _added(values, ways[name], self.columns["n"], starts) for name, values in self.columns.items()},
        )


def joined(several: Mapping[str, Days | None]) -> Days | None:
    """The same days of several dimensions as one grid, by the names of their segments; None if one is lacking."""
    known = {dimension: days for dimension, days in several.items() if days is not None}
    if not known or len(known) < len(several):
        return None
    first, *others = known.values()
    if any(not days.index.equals(first.index) for days in others):
        return None
    names = [named(days.segments, dimension, len(days.segments)) for dimension, days in known.items()]
    return Days(
        np.concatenate(names),
        first.index,
        np.concatenate([days.rows for days in known.values()]),
        {name: np.concatenate([days.columns[name] for days in known.values()]) for name in first.columns},
    )


def grid(
    frame: pd.DataFrame, index: pd.DatetimeIndex, names: Collection[str], parts: Sequence[str], zero: Collection[str]
) -> Days:
    """These of the FACT_COLUMNS of single days as grids. parts: of the frame, by name; zero: what is 0 without rows.

    Rows of which nothing is known are told from none by what they leave unknown, or 0. The 0 of days without any is
    left out again: beside it a day of which nothing is known would add up to 0.
    """
    codes, segments = pd.factorize(frame["segment"].astype("object"))
    at = index.get_indexer(pd.DatetimeIndex(frame["period"]))

    def laid(values: Grid) -> Grid:
        found = np.full((len(segments), len(index)), np.nan)
        found[codes, at] = values
        return found

    columns = {n: laid(frame[n].to_numpy(dtype="float64", na_value=np.nan)) for n in names if n not in parts}
    if parts:
        unknown = (np.nan,) * len(parts)
        each = np.array([unknown if row is None else tuple(row) for row in frame["parts"]], dtype="float64")
        columns |= {name: laid(each[:, i]) for i, name in enumerate(parts)} if len(each) else {}
    n = columns["n"]
    odd = [values != 0 if name in zero else ~np.isnan(values) for name, values in columns.items() if name != "n"]
    rows = (n > 0) | ((n == 0) & np.logical_or.reduce(odd))
    columns = {name: np.where(rows, values, np.nan) if name in zero else values for name, values in columns.items()}
    return Days(np.asarray(segments, dtype=object), index, rows, columns)


def _added(values: Grid, how: str, n: Grid, starts: Grid) -> Grid:
    """Values of longer periods. Unknown values of days without any are left out; a number that is none stays one."""
    unknown = np.isnan(values)
    if how in ("min", "max"):
        way = np.fmin if how == "min" else np.fmax
        found = way.reduceat(values, starts, axis=1)
    else:
        found = np.add.reduceat(np.where(unknown, 0.0, values), starts, axis=1)
        found[np.logical_and.reduceat(unknown, starts, axis=1)] = np.nan
    if how != "min":  # for an engine, what is no number is greater than all
        found[np.logical_or.reduceat(unknown & (n > 0), starts, axis=1)] = np.nan
    return found
