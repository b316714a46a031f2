"""The sampling variance of a KPI's values: by its people, by what is stored with them, or by what it is made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine import types
from metrics.engine.sampling import People

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

    by: "segment" = of several periods, as that of all of them, by segment.

    value: of rates and scores from their sums, in the unit of the first known; else the sum.
    """
    sums = frame.groupby(by)[["numerator", "denominator", "n"]].sum(min_count=1).astype(float)
    if frame["denominator"].notna().any():
        shown = frame["value"] / (frame["numerator"] / frame["denominator"]).where(frame["numerator"] != 0)
        unit = float(shown.median()) if shown.notna().any() else 1.0
        sums["value"] = unit * sums["numerator"] / sums["denominator"].where(sums["denominator"] != 0)
    else:
        sums["value"] = frame.groupby(by)["value"].sum(min_count=1)
    parts = (
        frame[frame["parts"].notna()]
        .groupby(by)["parts"]
        .agg(lambda rows: tuple(np.nansum(np.array(rows.tolist(), dtype=float), axis=0).tolist()))
    )
    sums["parts"] = parts.reindex(sums.index).astype(object)
    return sums.reset_index()
