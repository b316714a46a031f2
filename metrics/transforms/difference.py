"""Change against an earlier period."""

from __future__ import annotations

import pandas as pd


def difference(values: pd.Series, *, periods: int = 1) -> pd.Series:
    """This value minus the one `periods` earlier."""
    if periods < 1:
        raise ValueError("periods must be 1 or more: a transform looks back, never ahead")
    return values - values.shift(periods)
