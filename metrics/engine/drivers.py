"""Where a change sits: segments whose parts of it add up to the whole. Says where, never why.

Additive values: differences of segments. Rates: the change of each segment's rate and of its share (Kitagawa,
symmetric), which add up exactly, also for segments that are new or gone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

TOP = 3  # segments that a dimension is ranked by


@dataclass(frozen=True)
class Part:
    """One segment's part of the change, in the KPI's unit. rate and mix add up to change; mix is 0 if additive.

    weight: its share of the whole, the mean of both periods: the part of an even change that it would have.
    shares: of the whole, before and after. n: rows or entities behind it, after. sampling:
    half of the 95% interval that sampling alone gives the change, None = not known.
    """

    segment: str
    before: float
    after: float
    change: float
    rate: float
    mix: float
    weight: float
    shares: tuple[float, float] = field(default=(0.0, 0.0), kw_only=True)
    n: int = field(default=0, kw_only=True)
    sampling: float | None = field(default=None, kw_only=True)

    @property
    def by_chance(self) -> bool:
        """Whether the change is one that sampling alone gives."""
        return self.sampling is not None and abs(self.change) <= self.sampling


@dataclass(frozen=True)
class Split:
    """A change by one dimension. parts: largest first; they add up to change. held: share of the top parts."""

    dimension: str
    change: float
    parts: tuple[Part, ...]
    held: float


def additive(dimension: str, before: pd.Series, after: pd.Series) -> Split:
    """Segments' values of two periods, whose sums are the totals."""
    index = before.index.union(after.index)
    old, new = before.reindex(index).fillna(0.0), after.reindex(index).fillna(0.0)
    size = (old.abs() + new.abs()) / max(float((old.abs() + new.abs()).sum()), 1e-300)
    was, now = (side.abs() / max(float(side.abs().sum()), 1e-300) for side in (old, new))
    change = new - old
    columns = (old, new, change, change, change * 0, size)
    parts = [
        Part(str(s), *(float(column[s]) for column in columns), shares=(float(was[s]), float(now[s]))) for s in index
    ]
    return _split(dimension, parts)


def ratio(dimension: str, before: pd.DataFrame, after: pd.DataFrame) -> Split:
    """Segments' numerators and denominators of two periods, columns `numerator` and `denominator`."""
    index = before.index.union(after.index)
    old, new = (frame.reindex(index).fillna(0.0) for frame in (before, after))
    shares, rates, totals = [], [], []
    for frame in (old, new):
        whole = float(frame["denominator"].sum())
        if whole == 0:
            return Split(dimension, float("nan"), (), 0.0)
        shares.append(frame["denominator"] / whole)
        rates.append(frame["numerator"] / frame["denominator"].where(frame["denominator"] != 0))
        totals.append(float(frame["numerator"].sum()) / whole)
    # A segment that is new or gone has the rate of the period that knows it: all of its part is mix.
    rate_old, rate_new = rates[0].fillna(rates[1]).fillna(0.0), rates[1].fillna(rates[0]).fillna(0.0)
    mean_share, mean_rate = (shares[0] + shares[1]) / 2, (rate_old + rate_new) / 2
    rate = mean_share * (rate_new - rate_old)
    mix = (mean_rate - (totals[0] + totals[1]) / 2) * (shares[1] - shares[0])
    change = rate + mix
    columns = (rate_old, rate_new, change, rate, mix, mean_share)
    parts = [
        Part(str(s), *(float(column[s]) for column in columns), shares=(float(shares[0][s]), float(shares[1][s])))
        for s in index
    ]
    return _split(dimension, parts)


def between(dimension: str, before: pd.DataFrame, after: pd.DataFrame, *, adds_up: bool) -> Split | None:
    """The change from the periods of `before` to those of `after`, by segment; None where no parts of it add up.

    Frames: segment, period, value, numerator, denominator (engine answers). Rates: over all periods of each side;
    values that add up: the mean period of each side. A factor between parts and value (100 of a score) is kept.
    """
    if before.empty or after.empty:
        return None
    both = pd.concat([before, after])
    if both["denominator"].notna().any():
        shown = both["value"] / (both["numerator"] / both["denominator"]).where(both["numerator"] != 0)
        unit = float(shown.median()) if shown.notna().any() else 1.0
        sums = [side.groupby("segment")[["numerator", "denominator"]].sum() for side in (before, after)]
        return _counted(ratio(dimension, *(side.assign(numerator=side["numerator"] * unit) for side in sums)), after)
    if not adds_up:
        return None
    means = [side.groupby("segment")["value"].sum() / max(1, side["period"].nunique()) for side in (before, after)]
    return _counted(additive(dimension, *means), after)


def _counted(split: Split, after: pd.DataFrame) -> Split:
    """With the rows or entities behind each part."""
    n = after.groupby("segment")["n"].sum().to_dict()
    return replace(split, parts=tuple(replace(part, n=int(n.get(part.segment, 0))) for part in split.parts))


def _split(dimension: str, parts: list[Part]) -> Split:
    ordered = sorted(parts, key=lambda part: (-abs(part.change), part.segment))
    change = float(np.sum([part.change for part in ordered])) if ordered else 0.0
    whole = sum(abs(part.change) for part in ordered)
    held = sum(abs(part.change) for part in ordered[:TOP]) / whole if whole else 0.0
    return Split(dimension, change, tuple(ordered), held)


def share_of_change(split: Split, part: Part) -> float:
    """What part of the change one segment holds; beyond 1 where others went the other way."""
    return part.change / split.change if split.change else float("nan")
