"""Another unit."""

from __future__ import annotations

import pandas as pd


def scale(values: pd.Series, *, factor: float) -> pd.Series:
    """Each value times `factor`."""
    return values * factor
