"""The value of an earlier period."""

from __future__ import annotations

import pandas as pd


def shift(values: pd.Series, *, periods: int = 1) -> pd.Series:
    """The value `periods` earlier."""
    if periods < 0:
        raise ValueError("periods must be 0 or more: a transform looks back, never ahead")
    return values.shift(periods)
