"""Facts as frames: from the rows an engine returns to every period of the range, each known or unknown."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import numpy as np
import pandas as pd

from connectors.warehouse.contract import DatasetState
from metrics.engine import periods
from metrics.engine.query import FACT_COLUMNS, Scope


def watermark(scope: Scope, datasets: Iterable[str], grain: str) -> pd.Timestamp | None:
    """The least watermark of these datasets on the grain's clock; None if one observed nothing."""
    marks = [scope.states[name].watermark if name in scope.states else None for name in datasets]
    known = [mark for mark in marks if mark is not None]
    return periods.on_clock(min(known), grain, scope.zone) if known and len(known) == len(marks) else None


def spined(
    found: pd.DataFrame, scope: Scope, dataset: str, *, zero: bool, maturity: timedelta = timedelta(0)
) -> pd.DataFrame:
    """`found` over every period of the scope and every segment found, with `complete`.

    found: segment, period, value, n and maybe numerator, denominator. zero: an observed period
    without rows is 0, else unknown. Unobserved periods are unknown either way. Returns FACT_COLUMNS.
    """
    index, frame = scope_index(scope), normal(found)
    codes, names = pd.factorize(frame["segment"]) if scope.by else (np.zeros(len(frame), dtype=int), [""])
    at = index.get_indexer(pd.DatetimeIndex(frame["period"])) if scope.grain != periods.TOTAL else 0 * codes
    inside = at >= 0
    place = (codes * len(index) + at)[inside]
    result = empty_periods(list(names), scope, dataset, zero=zero, maturity=maturity)
    for column in ("value", "numerator", "denominator", "n"):
        values = result[column].to_numpy(dtype="float64", na_value=np.nan).copy()
        values[place] = frame[column].to_numpy(dtype="float64", na_value=np.nan)[inside]
        result[column] = pd.array(values, dtype="float64") if column != "n" else pd.Series(values).astype("Int64")
    return result


def empty_periods(
    names: list[str], scope: Scope, dataset: str, *, zero: bool, maturity: timedelta = timedelta(0)
) -> pd.DataFrame:
    """FACT_COLUMNS of these segments as if they had no rows: n 0 and value 0 or unknown where observed."""
    index = scope_index(scope)
    seen = np.array(observed(index, scope.states.get(dataset), scope), dtype=bool)
    done = np.array(complete(index, scope, (dataset,), maturity), dtype=bool)
    none = np.full(len(index) * len(names), np.nan)
    result = pd.DataFrame({
        "segment": np.repeat(np.asarray(names, dtype=object), len(index)), "period": np.tile(index, len(names)),
        "value": np.tile(np.where(seen & zero, 0.0, np.nan), len(names)), "numerator": none, "denominator": none,
        "n": np.tile(np.where(seen, 0.0, np.nan), len(names)), "complete": np.tile(done, len(names)),
    })  # fmt: skip
    return result.astype({"segment": "str", "period": "datetime64[us]", "n": "Int64"})[FACT_COLUMNS]


def scope_index(scope: Scope) -> pd.DatetimeIndex:
    """The periods of the scope; a single NaT for total."""
    if scope.grain == periods.TOTAL:
        return pd.DatetimeIndex([pd.NaT], dtype="datetime64[us]")
    return periods.spine(scope.start, scope.end, scope.grain)


def observed(index: pd.DatetimeIndex, state: DatasetState | None, scope: Scope) -> list[bool]:
    """For each period, whether any of it lies between the first event and the watermark."""
    if state is None or state.watermark is None or state.first_at is None:
        return [False] * len(index)
    if scope.grain == periods.TOTAL:
        return [True]
    first = periods.on_clock(state.first_at, scope.grain, scope.zone)
    mark = periods.on_clock(state.watermark, scope.grain, scope.zone)
    ends = periods.ends(index, scope.grain)
    return [bool(end > first and start < mark) for start, end in zip(index, ends, strict=True)]


def complete(
    index: pd.DatetimeIndex, scope: Scope, datasets: Iterable[str], maturity: timedelta = timedelta(0)
) -> list[bool]:
    """For each period, whether the watermark has passed its end plus the maturity."""
    mark = watermark(scope, datasets, scope.grain)
    if mark is None:
        return [False] * len(index)
    if scope.grain == periods.TOTAL:  # the default range ends with the day the watermark lies in
        open_day = periods.floor(mark, "day")
        return [bool(mark >= scope.end + maturity or (scope.end == periods.after(open_day, "day") and not maturity))]
    return [bool(end + maturity <= mark) for end in periods.ends(index, scope.grain)]


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
