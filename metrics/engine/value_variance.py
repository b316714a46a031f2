"""The sampling variance of a KPI's values: by its people, by what is stored with them, or by what it is made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine import types
from metrics.engine.sampling import Floats, People, numbers

Ask = Callable[[str], pd.DataFrame]  # a KPI's name → its answer of one segment or of all together, a row per period
Unit = Callable[[KpiCommon, People], float | None]  # what its people say: people_variance.unit_variance


def value_variance(name: str, catalogue: Catalogue, ask: Ask, unit: Unit) -> pd.Series | None:
    """Variance of each value by period, in the KPI's unit squared; NaN: not known of that one. None: of none.

    Raises KpiError.
    """
    kpi, frame = catalogue.kpi(name), ask(name)
    people = types.people(kpi, catalogue)
    each = unit(kpi, people) if people is not None else None
    found = people.variance(each, frame) if people is not None and each is not None else types.sampling(kpi, frame)
    if not np.isnan(found).all():
        return pd.Series(found, index=pd.DatetimeIndex(frame["period"]))
    return _of_its_references(kpi, catalogue, ask, unit)


def _of_its_references(kpi: KpiCommon, catalogue: Catalogue, ask: Ask, unit: Unit) -> pd.Series | None:
    names = tuple(dict.fromkeys(name for _, name in kpi.references))
    variances = {name: value_variance(name, catalogue, ask, unit) for name in names}
    known = {name: variance for name, variance in variances.items() if variance is not None}
    if not names or len(known) < len(names):
        return None
    values = {name: ask(name).set_index("period")["value"].astype(float) for name in names}
    return types.propagated(kpi, values, known)


def pooled(frame: pd.DataFrame, by: str = "period") -> pd.DataFrame:
    """An answer of several segments as that of all of them together, by period: what adds up is added up.

    by: "segment" = of several periods, as that of all of them, by segment. Columns: that, value, numerator,
    denominator, n, parts. value: of rates and scores from their sums, in their unit; else the sum.
    """
    codes, keys = pd.factorize(frame[by], sort=True)

    def summed(values: Floats) -> Floats:
        known = ~np.isnan(values)
        count = np.bincount(codes, known, len(keys))
        return np.where(count > 0, np.bincount(codes, np.where(known, values, 0.0), len(keys)), np.nan)

    value, top, bottom, n = (numbers(frame, column) for column in ("value", "numerator", "denominator", "n"))
    sums = {"numerator": summed(top), "denominator": summed(bottom), "n": summed(n)}
    if np.isnan(bottom).all():
        sums["value"] = summed(value)
    else:
        sides = sums["numerator"], np.where(sums["denominator"] != 0, sums["denominator"], np.nan)
        sums["value"] = unit_of(value, top, bottom) * sides[0] / sides[1]
    parts, rows = np.full(len(keys), None, dtype=object), frame["parts"].to_numpy(dtype=object)
    told = np.array([isinstance(row, tuple) for row in rows], dtype=bool)
    if told.any():
        each = np.array(list(rows[told]), dtype=np.float64)
        for key in np.unique(codes[told]):
            parts[key] = tuple(np.nansum(each[codes[told] == key], axis=0).tolist())
    return pd.DataFrame({by: keys, **sums, "parts": parts})


def unit_of(value: Floats, numerator: Floats, denominator: Floats) -> float:
    """What numerator / denominator is multiplied by to be the value: 100 of a score, 1 where nothing tells it."""
    known = (numerator != 0) & (denominator != 0) & np.isfinite(value * numerator * denominator)
    return float(np.median(value[known] * denominator[known] / numerator[known])) if known.any() else 1.0
