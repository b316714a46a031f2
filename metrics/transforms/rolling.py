"""An aggregate over the last periods."""

from __future__ import annotations

from typing import Literal

import pandas as pd


def rolling(
    values: pd.Series, *, periods: int, agg: Literal["mean", "sum", "min", "max", "median", "std"] = "mean"
) -> pd.Series:
    """`agg` of this and the `periods` − 1 periods before; unknown where any of them is."""
    return getattr(values.rolling(periods, min_periods=periods), agg)()
