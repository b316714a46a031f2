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

from metrics.launches.regression import Fit, Floats, Problem, fits, intervals
from metrics.launches.sampling_floor import half_width, widened

BEFORE = {"day": 60, "week": 16}  # periods that the level before is read from, where there are as many
BEFORE_COMPARED = {"day": 120, "week": 26}  # beside a control: what both have, as the time of the year, is gone
PLACEBOS = 26
METHOD = 2  # raise it when the same values give another effect or interval
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
    sampling: sampling variance of each value, on this scale, columns as treated, then controls; None = not known.
    overlap: periods that each value looks back over, itself included.
    """

    treated: pd.DataFrame
    exposure: pd.DataFrame
    controls: pd.DataFrame
    grain: str
    sampling: pd.DataFrame | None = None
    overlap: int = 1

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
    sampling: half of the interval that sampling alone gives; None = not known. floor: the interval was widened to it.
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
    sampling: float | None = None
    floor: bool = False

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
    series = _Series(panel)
    posed = series.posed(first, share)
    if posed is None:
        return None
    earlier = [series.posed(at, share) for at in _placebos(panel.grain, first, after)]
    all_posed = [posed, *(item for item in earlier if item is not None)]
    solved = fits([item.problem for item in all_posed])
    found, *without = intervals(solved, LEVEL)
    estimate, low, high = found
    tried = [_cry(*interval) for interval in without]
    factor = _factor(tried, after, panel.grain) if len(tried) == PLACEBOS else None
    wide = factor or 1.0
    measured = Impact(
        estimate,
        estimate - wide * (estimate - low),
        estimate + wide * (high - estimate),
        low,
        high,
        factor,
        len(tried),
        int(np.sum(np.array(tried) > 1)),
        after,
        _path(panel, posed, solved[0], found, slice(first, last), wide),
        float(share[:, share.any(axis=0)].mean()) if share.any() else 0.0,
    )
    begin = max(0, first - (BEFORE_COMPARED if panel.compared else BEFORE)[panel.grain])
    return widened(measured, half_width(panel, begin, first, last))


@dataclass(frozen=True)
class _Posed:
    """The regression of one date. rows: positions in the panel."""

    problem: Problem
    rows: np.ndarray


class _Series:
    """A panel's values, read once for all dates."""

    def __init__(self, panel: Panel) -> None:
        self.grain, self.compared = panel.grain, panel.compared
        self.values = panel.treated.to_numpy(dtype=np.float64)
        controls = panel.controls.to_numpy(dtype=np.float64)
        self.known = np.isfinite(self.values).all(axis=1) & np.isfinite(controls).all(axis=1)
        if controls.shape[1]:
            self.values = self.values - controls.mean(axis=1, keepdims=True)
        self.among_themselves = not controls.shape[1] and self.values.shape[1] > 1
        self.weekday = np.asarray(pd.DatetimeIndex(panel.treated.index).day_of_week)

    def posed(self, first: int, share: Floats) -> _Posed | None:
        """The model at one date; None with too little around it. share (period, segment): exposure from `first` on."""
        grain, after = self.grain, len(share)
        begin = max(0, first - (BEFORE_COMPARED if self.compared else BEFORE)[grain])
        if first - begin < FEWEST_BEFORE[grain]:
            return None
        had = share.any(axis=0)
        if not had.any():
            return None
        rows = np.flatnonzero(self.known[begin : first + after])
        if (rows < first - begin).sum() < FEWEST_BEFORE[grain] * 0.8 or not (rows >= first - begin).any():
            return None
        step = np.zeros((first + after - begin, share.shape[1]))
        step[first - begin :] = share / share[:, had].mean()  # so that the coefficient is the mean effect since launch
        values, step = self.values[begin + rows], step[rows]
        if self.among_themselves:
            values, step = _against_the_others(values, step)
        used = step.any(axis=0)
        values, step = values[:, used], step[:, used]
        scales = _roughness(values, WEEK[grain])
        base = _shape(rows, self.weekday[begin + rows] if grain == "day" else None)
        try:
            problem = Problem(values / scales, step / scales, base, tuple((rows - rows[0]).tolist()))
        except ValueError:
            return None
        return _Posed(problem, begin + rows)


def _against_the_others(values: Floats, step: Floats) -> tuple[Floats, Floats]:
    """Each segment less the mean of all, in value and in exposure: what all share, day by day, is gone."""
    return values - values.mean(axis=1, keepdims=True), step - step.mean(axis=1, keepdims=True)


def _roughness(values: Floats, lag: int) -> Floats:
    """How much each series (t, segment) moves from week to week, so that loud segments weigh less."""
    moved = values[lag:] - values[:-lag]
    scale: Floats = np.maximum(1.4826 * np.median(np.abs(moved - np.median(moved, axis=0)), axis=0), 1e-12)
    return scale if values.shape[1] > 1 else np.ones(1)


def _shape(rows: np.ndarray, weekday: np.ndarray | None) -> Floats:
    """What goes on without a launch: level, trend, and by days the weekday's own."""
    columns = [np.ones(len(rows)), rows / max(1, rows[-1]) - 0.5]
    if weekday is not None:
        present = np.flatnonzero(np.bincount(weekday))
        columns += [(weekday == day) - 1 / len(present) for day in present[:-1]]
    return np.column_stack(columns)


def _placebos(grain: str, first: int, after: int) -> list[int]:
    """Earlier dates a week apart whose days since do not reach the launch."""
    dates = [first - after - back * WEEK[grain] for back in range(PLACEBOS)]
    return [at for at in dates if at >= BEFORE[grain]]


def _cry(estimate: float, low: float, high: float) -> float:
    """|estimate| / half-width: above 1 it looks like an effect."""
    return abs(estimate) / max((estimate - low) if estimate > 0 else (high - estimate), 1e-300)


def _factor(tried: list[float], after: int, grain: str) -> float:
    """How much wider the interval must be to have held at the earlier dates: by their 95% quantile, and by their mean
    square, which uses all of them. Dates whose days overlap count as fewer.
    """
    independent = min(PLACEBOS, PLACEBOS * WEEK[grain] / after)
    typical = float(np.sqrt(np.mean(np.square(tried)))) * float(special.stdtrit(max(4.0, independent), 0.975))
    return max(1.0, typical, float(np.quantile(tried, LEVEL, method="higher")))


def _path(
    panel: Panel, posed: _Posed, solved: Fit, interval: tuple[float, float, float], since: slice, wide: float
) -> pd.DataFrame:
    """Actual and expected of the treated whole: before the launch what the model says, after it without the step."""
    rows = posed.rows
    actual = panel.treated.mean(axis=1).to_numpy()[rows]
    estimate, low, high = interval
    if panel.treated.shape[1] > 1:  # segments: what was seen, less what the launch is taken to have done
        exposure = panel.exposure.to_numpy(dtype=np.float64)
        share = exposure.mean(axis=1)[rows] / (exposure[since].mean() or 1.0)
        expected = actual - estimate * share
        half = wide * np.maximum(high - estimate, estimate - low) * share
    else:
        base = posed.problem.base
        expected = base @ solved.base
        if panel.controls.shape[1]:
            expected = expected + panel.controls.mean(axis=1).to_numpy(dtype=np.float64)[rows]
        half = 1.96 * wide * solved.spread(base)
    return pd.DataFrame(
        {"actual": actual, "expected": expected, "low": expected - half, "high": expected + half},
        index=pd.DatetimeIndex(panel.treated.index)[rows],
    )
