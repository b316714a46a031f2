"""A running total."""

from __future__ import annotations

import pandas as pd


def cumulative(values: pd.Series) -> pd.Series:
    """Sum of this and all earlier periods; unknown from the first unknown period on."""
    return values.cumsum(skipna=False)
