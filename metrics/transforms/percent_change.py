"""Relative change against an earlier period."""

from __future__ import annotations

import pandas as pd


def percent_change(values: pd.Series, *, periods: int = 1) -> pd.Series:
    """This value / the one `periods` earlier − 1 (0.05 = 5%); unknown where that one is 0."""
    if periods < 1:
        raise ValueError("periods must be 1 or more: a transform looks back, never ahead")
    earlier = values.shift(periods)
    return values / earlier.where(earlier != 0) - 1
