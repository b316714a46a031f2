"""An exponentially weighted mean."""

from __future__ import annotations

import pandas as pd


def ewm(values: pd.Series, *, halflife: float) -> pd.Series:
    """Mean of all periods so far, each weighing half as much as one `halflife` periods later."""
    return values.ewm(halflife=halflife).mean()
