"""How much of a segment's part of a change sampling alone gives: what is smaller is no place where a change sits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from metrics.catalog.models.kpi import KpiCommon
from metrics.engine import drivers, types
from metrics.engine.sampling import Floats, Z, numbers, shares
from metrics.engine.value_variance import pooled, unit_of

RATE = ("value", "numerator", "denominator")


def with_sampling(kpi: KpiCommon, split: drivers.Split, before: pd.DataFrame, after: pd.DataFrame) -> drivers.Split:
    """A split whose parts say what sampling alone gives their change, where that is known from what is stored.

    before, after: the rows of an answer that it was made of, as of `drivers.between`.
    """
    sides = [pooled(side, "segment").set_index("segment") for side in (before, after)]
    if pd.concat([before, after])["denominator"].notna().any():
        variances = [_of_rates(kpi, side) for side in sides]
        people = [max(float(side["n"].sum()), 1.0) for side in sides]
        level = (
            sum(
                side["numerator"].sum() * unit_of(*(numbers(side, name) for name in RATE)) / side["denominator"].sum()
                for side in sides
            )
            / 2
        )
        return replace(split, parts=tuple(_of_rate(part, variances, people, level) for part in split.parts))
    means = [
        pd.Series(types.sampling(kpi, side.reset_index()) / max(1, frame["period"].nunique()) ** 2, index=side.index)
        for side, frame in zip(sides, (before, after), strict=True)
    ]
    return replace(split, parts=tuple(replace(part, sampling=_half(part.segment, means)) for part in split.parts))


def _of_rates(kpi: KpiCommon, side: pd.DataFrame) -> pd.Series:
    """Sampling variance of each segment's rate; a share of counts as if each counted answered alone."""
    found: Floats = types.sampling(kpi, side.reset_index())
    if kpi.is_share and np.isnan(found).all():
        found = shares(numbers(side, "value"), numbers(side, "denominator"))
    return pd.Series(found, index=side.index)


def _of_rate(part: drivers.Part, variances: list[pd.Series], people: list[float], level: float) -> drivers.Part:
    """By its own rate, and by its share of the whole, which is of so many people, too."""
    if not all(part.shares):  # new or gone: it has a rate on one side only
        return part
    own = _half(part.segment, variances)
    moved = sum(share * (1 - share) / n for share, n in zip(part.shares, people, strict=True))
    apart = (part.before + part.after) / 2 - level
    half = None if own is None else float(np.hypot(part.weight * own, Z * apart * np.sqrt(moved)))
    return replace(part, sampling=half)


def _half(segment: str, variances: list[pd.Series]) -> float | None:
    """Half of the interval of a difference of two sides; a segment without rows on one has no chance there."""
    total = sum(float(side.get(segment, 0.0)) for side in variances)
    return Z * float(np.sqrt(total)) if np.isfinite(total) else None
