"""What a launch did to a series: effect, interval, expected path, and how often the method cried wolf before.

Model: weekday, trend, the step of the launch, noise that remembers itself (regression.py). With series that the
launch did not touch, their mean is taken off first (difference-in-differences). With segments that got it on different
days, each is held against those that did not have it yet. Then the same model runs at 26 earlier dates a week apart,
where nothing was launched, and the interval is widened by what it got wrong there: never narrowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd
from scipy import special

from metrics.launches.regression import Fit, Floats, fit

BEFORE = {"day": 60, "week": 16}  # periods that the level before is read from, where there are as many
BEFORE_COMPARED = {"day": 120, "week": 26}  # beside a control: what both have, as the time of the year, is gone
PLACEBOS = 26
METHOD = 1  # raise it when the same values give another effect or interval
FEWEST_BEFORE = {"day": 28, "week": 8}
WEEK = {"day": 7, "week": 1}  # periods
LEVEL = 0.95


class Words(StrEnum):
    """What may be said of an effect. Never "no effect": only what is too small to be seen."""

    UP = "moved up"
    DOWN = "moved down"
    UNCLEAR = "no clear change"


@dataclass(frozen=True)
class Panel:
    """What is measured, on one scale; frames by period (naive timestamps, one row per period, NaN = unknown).

    treated: a column per segment that gets the launch (one, if all get it at once). exposure: same columns, the share
    0..1 of each that has it. controls: a column per series that never gets it; may be empty. grain: day or week.
    """

    treated: pd.DataFrame
    exposure: pd.DataFrame
    controls: pd.DataFrame
    grain: str

    @property
    def compared(self) -> bool:
        """Whether anything that was not touched stands beside what was."""
        return bool(self.controls.shape[1]) or self.treated.shape[1] > 1


@dataclass(frozen=True)
class Impact:
    """An effect on the panel's scale, on average over the periods since launch, with its 95% interval.

    raw_low, raw_high: before calibration. factor: how much wider it became; None = uncalibrated. placebos: earlier
    dates tried; cried: how many of them looked like an effect. periods: complete ones since launch. expected: frame by
    period with columns actual, expected, low, high. exposure: mean share of the periods since launch.
    """

    effect: float
    low: float
    high: float
    raw_low: float
    raw_high: float
    factor: float | None
    placebos: int
    cried: int
    periods: int
    expected: pd.DataFrame
    exposure: float

    @property
    def words(self) -> Words:
        """The verdict of the calibrated interval."""
        return Words.UP if self.low > 0 else Words.DOWN if self.high < 0 else Words.UNCLEAR

    @property
    def smallest(self) -> float:
        """Half the interval: what is smaller cannot be seen."""
        return (self.high - self.low) / 2


def history_needed(grain: str, after: int) -> int:
    """Periods before the launch that calibration needs: 249 days at D+14."""
    return BEFORE[grain] + (PLACEBOS - 1) * WEEK[grain] + after


def impact(panel: Panel, start: pd.Timestamp, end: pd.Timestamp) -> Impact | None:
    """The effect from `start` (the first period with exposure) to before `end`; None with too little before it."""
    periods = pd.DatetimeIndex(panel.treated.index)
    first, last = int(periods.searchsorted(start)), int(periods.searchsorted(end))
    after = last - first
    if after < 1:
        return None
    share = panel.exposure.to_numpy(dtype=np.float64)[first:last]
    found = _fitted(panel, first, after, share)
    if found is None:
        return None
    estimate, low, high = found.interval
    tried = _placebos(panel, first, after, share)
    factor = _factor(tried, after, panel.grain) if len(tried) == PLACEBOS else None
    wide = factor or 1.0
    return Impact(
        estimate,
        estimate - wide * (estimate - low),
        estimate + wide * (high - estimate),
        low,
        high,
        factor,
        len(tried),
        int(np.sum(np.array(tried) > 1)),
        after,
        _path(panel, found, first, after, wide),
        float(share[:, share.any(axis=0)].mean()) if share.any() else 0.0,
    )


@dataclass(frozen=True)
class _Fitted:
    fit: Fit
    interval: tuple[float, float, float]
    rows: np.ndarray  # positions in the panel
    design: Floats  # of one treated series; the last column is the step


def _fitted(panel: Panel, first: int, after: int, share: Floats) -> _Fitted | None:
    """The model at one date. share (period, segment): exposure of the periods from `first` on."""
    grain = panel.grain
    begin = max(0, first - (BEFORE_COMPARED if panel.compared else BEFORE)[grain])
    if first - begin < FEWEST_BEFORE[grain]:
        return None
    window = slice(begin, first + after)
    values = panel.treated.to_numpy(dtype=np.float64)[window]
    controls = panel.controls.to_numpy(dtype=np.float64)[window]
    step = np.zeros_like(values)
    step[first - begin :] = share
    had = step.any(axis=0)
    if not had.any():
        return None
    step = step / step[first - begin :, had].mean()  # so that the coefficient is the mean effect since launch
    known = np.isfinite(values).all(axis=1) & np.isfinite(controls).all(axis=1)
    rows = np.flatnonzero(known)
    if (rows < first - begin).sum() < FEWEST_BEFORE[grain] * 0.8 or not (rows >= first - begin).any():
        return None
    values, step, controls = values[rows], step[rows], controls[rows]
    if controls.shape[1]:
        values = values - controls.mean(axis=1, keepdims=True)
    elif values.shape[1] > 1:
        values, step = _against_the_others(values, step)
    base = _shape(begin + rows, begin, pd.DatetimeIndex(panel.treated.index), grain)
    used = step.any(axis=0)
    scales = _roughness(values[:, used], WEEK[grain])
    at = tuple(int(r) for r in rows - rows[0])
    try:
        fitted = fit(values[:, used] / scales, step[:, used] / scales, base, at)
    except ValueError:
        return None
    return _Fitted(fitted, fitted.interval(LEVEL), begin + rows, np.column_stack([base, step[:, used].mean(axis=1)]))


def _against_the_others(values: Floats, step: Floats) -> tuple[Floats, Floats]:
    """Each segment less the mean of all, in value and in exposure: what all share, day by day, is gone."""
    return values - values.mean(axis=1, keepdims=True), step - step.mean(axis=1, keepdims=True)


def _roughness(values: Floats, lag: int) -> Floats:
    """How much each series (t, segment) moves from week to week, so that loud segments weigh less."""
    moved = values[lag:] - values[:-lag]
    scale: Floats = np.maximum(1.4826 * np.median(np.abs(moved - np.median(moved, axis=0)), axis=0), 1e-12)
    return scale if values.shape[1] > 1 else np.ones(1)


def _shape(rows: np.ndarray, begin: int, index: pd.DatetimeIndex, grain: str) -> Floats:
    """What goes on without a launch: level, trend, and the weekday's own."""
    away = (rows - begin) / max(1, rows[-1] - begin) - 0.5
    columns = [np.ones(len(rows)), away]
    if grain == "day":
        weekday = np.asarray(index[rows].day_of_week)
        present = sorted(set(weekday))
        columns += [(weekday == day).astype(float) - 1 / len(present) for day in present[:-1]]
    return np.column_stack(columns)


def _placebos(panel: Panel, first: int, after: int, share: Floats) -> list[float]:
    """|estimate| / half-width at earlier dates a week apart whose days since do not reach the launch."""
    tried = []
    week, before = WEEK[panel.grain], BEFORE[panel.grain]
    for back in range(PLACEBOS):
        at = first - after - back * week
        if at < before:
            break
        found = _fitted(panel, at, after, share)
        if found is not None:
            estimate, low, high = found.interval
            tried.append(abs(estimate) / max((estimate - low) if estimate > 0 else (high - estimate), 1e-300))
    return tried


def _factor(tried: list[float], after: int, grain: str) -> float:
    """How much wider the interval must be to have held at the earlier dates: by their 95% quantile, and by their mean
    square, which uses all of them. Dates whose days overlap count as fewer.
    """
    independent = min(PLACEBOS, PLACEBOS * WEEK[grain] / after)
    typical = float(np.sqrt(np.mean(np.square(tried)))) * float(special.stdtrit(max(4.0, independent), 0.975))
    return max(1.0, typical, float(np.quantile(tried, LEVEL, method="higher")))


def _path(panel: Panel, found: _Fitted, first: int, after: int, wide: float) -> pd.DataFrame:
    """Actual and expected of the treated whole: before the launch what the model says, after it without the step."""
    index = pd.DatetimeIndex(panel.treated.index)
    actual = panel.treated.mean(axis=1)
    estimate, low, high = found.interval
    rows = found.rows
    if panel.treated.shape[1] > 1:  # segments: what was seen, less what the launch is taken to have done
        step = panel.exposure.mean(axis=1).to_numpy(dtype=np.float64)[rows]
        mean = panel.exposure.to_numpy(dtype=np.float64)[first : first + after].mean() or 1.0
        expected = actual.to_numpy()[rows] - estimate * step / mean
        half = wide * np.maximum(high - estimate, estimate - low) * (step / mean)
    else:
        base = found.design[:, :-1]
        expected = base @ found.fit.base
        if panel.controls.shape[1]:
            expected = expected + panel.controls.mean(axis=1).to_numpy(dtype=np.float64)[rows]
        half = 1.96 * wide * found.fit.spread(base)
    return pd.DataFrame(
        {"actual": actual.to_numpy()[rows], "expected": expected, "low": expected - half, "high": expected + half},
        index=index[rows],
    )
