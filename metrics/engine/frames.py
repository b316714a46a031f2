"""Facts as frames: from the rows an engine returns to every period of the range, each known or unknown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from connectors.warehouse.contract import DatasetState
from metrics.engine import periods
from metrics.engine.grids import Days
from metrics.engine.query import FACT_COLUMNS, Scope


def watermark(scope: Scope, datasets: Iterable[str], grain: str) -> pd.Timestamp | None:
    """The least watermark of these datasets on the grain's clock; None if one observed nothing."""
    marks = [scope.states[name].watermark if name in scope.states else None for name in datasets]
    known = [mark for mark in marks if mark is not None]
    return periods.on_clock(min(known), grain, scope.zone) if known and len(known) == len(marks) else None


def begins(scope: Scope, datasets: Iterable[str], grain: str) -> pd.Timestamp | None:
    """From when on all of these datasets are observed, on the grain's clock; None if one is not.

    A first row stands for its whole day (hour, at that grain); what a source states is taken at its word.
    """
    found = [_begin(scope.states.get(name), grain, scope.zone) for name in datasets]
    known = [at for at in found if at is not None]
    return max(known) if known and len(known) == len(found) else None


def _begin(state: DatasetState | None, grain: str, zone: str) -> pd.Timestamp | None:
    if state is None or state.watermark is None:
        return None
    if state.since is not None:
        return periods.on_clock(state.since, grain, zone)
    first = state.source_first_at or state.first_at
    return None if first is None else periods.floor(periods.on_clock(first, grain, zone), _finest(grain))


def _finest(grain: str) -> str:
    return "hour" if grain == "hour" else "day"


def earliest(state: DatasetState | None, grain: str, zone: str) -> pd.Timestamp | None:
    """The first moment that anything is known of: a row, of its source or its own, or what the source states."""
    stated = () if state is None else (state.first_at, state.source_first_at, state.since)
    known = [at for at in stated if at is not None]
    return periods.floor(periods.on_clock(min(known), grain, zone), _finest(grain)) if known else None


def spined(
    found: pd.DataFrame,
    scope: Scope,
    dataset: str,
    *,
    zero: bool | Collection[str],
    maturity: timedelta = timedelta(0),
    parts: Sequence[str] = (),
) -> pd.DataFrame:
    """`found` over every period of the scope and every segment found, with `complete`.

    found: segment, period, value, n and maybe numerator, denominator and `parts`. zero: which columns are 0 in an
    observed period without rows, else unknown; True = value. Unobserved periods are unknown either way.
    Returns FACT_COLUMNS.
    """
    index = scope_index(scope)
    segments = found[_given(found, "segment")].astype("object") if scope.by else None
    codes, known = pd.factorize(segments) if segments is not None else (np.zeros(len(found), dtype=int), [""])
    names = [*known, *(s for s in scope.segments if scope.by and s not in set(known))]
    moments = pd.DatetimeIndex(found[_given(found, "period")])
    at = index.get_indexer(moments) if scope.grain != periods.TOTAL else 0 * codes
    inside = at >= 0
    place = (codes * len(index) + at)[inside]
    columns = _empty_columns(len(names), index, scope, dataset, zero=zero, parts=parts)
    for column, values in columns.items():
        given = _given(found, column)
        fresh = pd.to_numeric(found[given]).to_numpy(dtype="float64", na_value=np.nan) if given in found else None
        values[place] = np.nan if fresh is None else fresh[inside]
    return _frame(names, index, columns, complete(index, scope, (dataset,), maturity))


def filled(
    days: Days, scope: Scope, dataset: str, *, zero: bool | Collection[str], parts: Sequence[str] = ()
) -> pd.DataFrame:
    """What `spined` gives, of grids whose periods are some of the scope's, one after the other."""
    index = scope_index(scope)
    known = list(days.segments) or ([] if scope.by else [""])
    names = [*known, *(s for s in scope.segments if scope.by and s not in set(known))]
    at, count = int(index.searchsorted(days.index[0])) if len(days.index) else 0, len(days.segments)
    columns = _empty_columns(len(names), index, scope, dataset, zero=zero, parts=parts)
    for column, values in columns.items():
        place = values.reshape(len(names), len(index))[:count, at : at + len(days.index)]
        place[days.rows] = days.columns[column][days.rows] if column in days.columns else np.nan
    return _frame(names, index, columns, _once(scope, "complete", dataset, lambda: complete(index, scope, (dataset,))))


def _once(scope: Scope, what: str, dataset: str, tell: Callable[[], list[bool]]) -> list[bool]:
    """What is known of a dataset in each period of a scope: told once to all KPIs of a refresh."""
    if scope.shared is None:
        return tell()
    key = what, dataset, scope.grain, scope.start, scope.end
    if key not in scope.shared.flags:
        scope.shared.flags[key] = tell()
    return scope.shared.flags[key]


def known_value(value: Any) -> float | None:
    """A value of a frame; None if it is unknown."""
    return None if pd.isna(value) else float(value)


def empty_periods(names: list[str], scope: Scope, dataset: str, *, zero: bool) -> pd.DataFrame:
    """FACT_COLUMNS of these segments as if they had no rows: n 0 and value 0 or unknown where observed."""
    index = scope_index(scope)
    columns = _empty_columns(len(names), index, scope, dataset, zero=zero)
    return _frame(names, index, columns, complete(index, scope, (dataset,)))


def _empty_columns(
    count: int,
    index: pd.DatetimeIndex,
    scope: Scope,
    dataset: str,
    *,
    zero: bool | Collection[str],
    parts: Sequence[str] = (),
) -> dict[str, np.ndarray[Any, Any]]:
    seen = np.array(
        _once(scope, "observed", dataset, lambda: observed(index, scope.states.get(dataset), scope)), dtype=bool
    )
    zeros = {"n", *(zero if isinstance(zero, Collection) else ("value",) if zero else ())}
    names = ("value", "numerator", "denominator", "n", *parts)
    return {name: np.tile(np.where(seen & (name in zeros), 0.0, np.nan), count) for name in names}


def _frame(
    names: list[str], index: pd.DatetimeIndex, columns: dict[str, np.ndarray[Any, Any]], done: list[bool]
) -> pd.DataFrame:
    """FACT_COLUMNS of every segment over every period. One construction: refreshes make thousands of these."""
    n = columns.pop("n")
    unknown = np.isnan(n)
    values = {name: columns.pop(name) for name in ("value", "numerator", "denominator")}
    return pd.DataFrame(
        {
            "segment": pd.array(names, dtype="str").take(np.repeat(np.arange(len(names)), len(index))),
            "period": np.tile(index.to_numpy(dtype="datetime64[us]"), len(names)),
            **values,
            "n": pd.arrays.IntegerArray(np.where(unknown, 0, n).astype("int64"), unknown),
            "complete": np.tile(np.array(done, dtype=bool), len(names)),
            "parts": tuples(list(columns.values()), len(n)),
        }
    )


def tuples(columns: Sequence[np.ndarray[Any, Any]], length: int) -> np.ndarray[Any, Any]:
    """One tuple of each row's values; None where there are no columns."""
    result = np.full(length, None, dtype=object)
    if columns:
        result[:] = list(zip(*(column.tolist() for column in columns), strict=True))
    return result


def shared(frame: pd.DataFrame, *, factor: float = 1.0) -> pd.DataFrame:
    """`frame` with value = factor × numerator / denominator; unknown where that is 0 or unknown."""
    return frame.assign(value=factor * frame["numerator"] / frame["denominator"].where(frame["denominator"] != 0))


def only_mature(frame: pd.DataFrame, scope: Scope, datasets: Sequence[str], maturity: timedelta) -> pd.DataFrame:
    """`frame` with `complete` by all datasets and the maturity; what is not mature is unknown, not low.

    The base (denominator and n, the first of the parts) is known before. Without maturity the value so far stays.
    Where a dataset after the first begins later than that, nobody could be seen to follow: unknown, too.
    """
    index = scope_index(scope)
    low = ~_followed(index, scope, datasets[1:], maturity)
    if maturity and not scope.so_far:
        low |= ~np.array(ripe(index, scope, datasets, maturity), dtype=bool)
    count = len(frame) // max(1, len(index))
    result = frame.assign(complete=np.tile(np.array(complete(index, scope, datasets, maturity), dtype=bool), count))
    low = np.tile(low, count)
    result.loc[low, ["value", "numerator"]] = float("nan")
    parts = result["parts"].to_numpy(dtype=object, copy=True)
    for row in np.flatnonzero(low):
        if parts[row] is not None:
            parts[row] = (parts[row][0], *(float("nan"),) * (len(parts[row]) - 1))
    result["parts"] = pd.Series(parts, index=result.index, dtype=object)
    return result[FACT_COLUMNS]


def _followed(
    index: pd.DatetimeIndex, scope: Scope, datasets: Sequence[str], maturity: timedelta
) -> np.ndarray[Any, Any]:
    """For each period, whether each of these datasets begins before its end plus the maturity."""
    ends = [scope.end] if scope.grain == periods.TOTAL else list(periods.ends(index, scope.grain))
    begin = begins(scope, datasets, scope.grain)
    if not datasets or not maturity:
        return np.ones(len(ends), dtype=bool)
    return np.array([begin is not None and bool(end + maturity > begin) for end in ends], dtype=bool)


def _given(found: pd.DataFrame, column: str) -> str:
    """The name that a column of FACT_COLUMNS has in what an engine returned."""
    return f"__{column}" if f"__{column}" in found else column


def scope_index(scope: Scope) -> pd.DatetimeIndex:
    """The periods of the scope; a single NaT for total."""
    if scope.grain == periods.TOTAL:
        return pd.DatetimeIndex([pd.NaT], dtype="datetime64[us]")
    return periods.spine(scope.start, scope.end, scope.grain)


def observed(index: pd.DatetimeIndex, state: DatasetState | None, scope: Scope) -> list[bool]:
    """For each period, whether any of it lies between where a dataset begins and its watermark."""
    first = _begin(state, scope.grain, scope.zone)
    if state is None or state.watermark is None or first is None:
        return [False] * len(index)
    if scope.grain == periods.TOTAL:
        return [True]
    mark = periods.on_clock(state.watermark, scope.grain, scope.zone)
    ends = periods.ends(index, scope.grain)
    return list(((ends > first) & (index < mark)).tolist())


def complete(
    index: pd.DatetimeIndex, scope: Scope, datasets: Iterable[str], maturity: timedelta = timedelta(0)
) -> list[bool]:
    """For each period, whether all of it was observed and the watermark has passed its end plus the maturity."""
    names = tuple(datasets)
    begin, starts = begins(scope, names, scope.grain), [scope.start] if scope.grain == periods.TOTAL else index
    if begin is None:
        return [False] * len(index)
    begun = (pd.DatetimeIndex(starts) >= begin).tolist()
    return [a and b for a, b in zip(begun, ripe(index, scope, names, maturity), strict=True)]


def ripe(
    index: pd.DatetimeIndex, scope: Scope, datasets: Iterable[str], maturity: timedelta = timedelta(0)
) -> list[bool]:
    """For each period, whether the watermark has passed its end plus the maturity."""
    mark = watermark(scope, datasets, scope.grain)
    if mark is None:
        return [False] * len(index)
    if scope.grain == periods.TOTAL:  # the default range ends with the day the watermark lies in
        open_day = periods.floor(mark, "day")
        return [bool(mark >= scope.end + maturity or (scope.end == periods.after(open_day, "day") and not maturity))]
    ends = periods.ends(index, scope.grain)
    if maturity:  # elapsed time, also where clocks are set in between
        ends = pd.DatetimeIndex([periods.elapsed(end, maturity, scope.grain, scope.zone) for end in ends])
    return list((ends <= mark).tolist())


def normal(found: pd.DataFrame) -> pd.DataFrame:
    """Columns in order, with the types of FACT_COLUMNS; missing parts become unknown."""
    frame = found.rename(columns={"__segment": "segment", "__period": "period", "__value": "value"})
    for column in ("value", "numerator", "denominator"):
        given = frame[column] if column in frame else float("nan")
        frame[column] = pd.to_numeric(given).astype("float64") if column in frame else given
    frame["n"] = pd.to_numeric(frame["n"]).astype("Int64") if "n" in frame else pd.array([pd.NA] * len(frame), "Int64")
    frame["segment"] = frame["segment"].astype("str")
    frame["period"] = pd.to_datetime(frame["period"]).astype("datetime64[us]")
    return frame[["segment", "period", "value", "numerator", "denominator", "n"]]
