"""Days whose values may differ after a sync, as half-open ranges on the project's clock.

None in place of ranges = any day may differ: then everything is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from metrics.engine import periods

Span = tuple[pd.Timestamp, pd.Timestamp]
DirtyRanges = Sequence[Span]
FAR = pd.Timestamp("9999-01-01")
NEAR_DAYS, MOST_RANGES = 7, 6
DAY = pd.Timedelta(days=1)


def merged(found: Iterable[tuple[pd.Timestamp, pd.Timestamp]]) -> DirtyRanges:
    """Ranges in order; those that overlap or lie near become one, and so do the nearest of too many."""
    result: list[tuple[pd.Timestamp, pd.Timestamp]] = []
    for a, b in sorted(found):
        if result and a <= result[-1][1] + NEAR_DAYS * DAY:
            result[-1] = (result[-1][0], max(b, result[-1][1]))
        else:
            result.append((a, b))
    while len(result) > MOST_RANGES:
        gaps = [result[i + 1][0] - result[i][1] for i in range(len(result) - 1)]
        i = gaps.index(min(gaps))
        result[i : i + 2] = [(result[i][0], result[i + 1][1])]
    return result


def union(parts: Iterable[DirtyRanges | None]) -> DirtyRanges | None:
    """All of them together."""
    found: list[tuple[pd.Timestamp, pd.Timestamp]] = []
    for part in parts:
        if part is None:
            return None
        found += part
    return merged(found)


def shifted(found: DirtyRanges | None, grain: str, count: int) -> DirtyRanges | None:
    """The days whose value reads these, `count` grains later."""
    if found is None or not count:
        return found
    offset = periods.OFFSETS[grain] * count
    return [(a + offset, b if b >= FAR else b + offset) for a, b in found]
