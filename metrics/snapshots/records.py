"""Records that mean something: over a stated span, of a KPI known for twice as long that does not set one each week."""

from __future__ import annotations

import numpy as np
import pandas as pd

# Periods that a record is over; the longest of which twice as many are known. None is over all that is known.
SPANS = {
    "hour": (672,),
    "day": (364, 91),
    "week": (52, 26),
    "month": (24, 12),
    "quarter": (8,),
    "year": (5,),
}
A_WEEK = {"hour": 168, "day": 7}  # periods that belong to the record itself: it is told once a week
MOST = 3  # records the same way in the span before: of more, a KPI grows, and each of its periods is one


def record(values: pd.Series, grain: str) -> tuple[str, int] | None:
    """(`highest` or `lowest`, periods); values: of rising periods without a gap between them, NaN = unknown."""
    plain = values.to_numpy("float64")
    for span in SPANS[grain]:
        seen = plain[-2 * span :]
        if len(seen) < 2 * span or np.isnan(seen).any():
            continue
        for word, sign in (("highest", 1.0), ("lowest", -1.0)):
            beats = _records(sign * seen, span)
            if beats[-1] and int(beats[: -A_WEEK.get(grain, 1)].sum()) <= MOST:
                return word, span
    return None


def _records(values: np.ndarray, span: int) -> np.ndarray:
    """Whether each of the last `span` values is above all of the span before it."""
    windows = np.lib.stride_tricks.sliding_window_view(values, span)[-span:]
    return np.asarray(windows[:, -1] > windows[:, :-1].max(axis=1))
