"""A stand-in for unknown values."""

from __future__ import annotations

from typing import Literal

import pandas as pd


def fill(values: pd.Series, *, method: Literal["previous", "value"] = "previous", value: float = 0.0) -> pd.Series:
    """Unknown values become the last known one, or `value`."""
    return values.ffill() if method == "previous" else values.fillna(value)
