"""Relative change against an earlier period."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def relative_change(value: Any, base: Any) -> Any:
    """(value − base) / |base|, so it has the sign of the difference; unknown where the base is 0 or unknown.

    Numbers, arrays or Series. Whatever is told as a share of an earlier value is computed here.
    """
    size = np.abs(base)
    with np.errstate(all="ignore"):
        return (value - base) / np.where(size > 0, size, np.nan)


def percent_change(values: pd.Series, *, periods: int = 1) -> pd.Series:
    """The change since `periods` earlier as a share of the value then (0.05 = 5%); unknown where that was 0."""
    if periods < 1:
        raise ValueError("periods must be 1 or more: a transform looks back, never ahead")
    changes: pd.Series = relative_change(values, values.shift(periods))
    return changes
