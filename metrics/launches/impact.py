"""What a launch did to a series: effect, interval, expected path, and how often the method cried wolf before.

Model: level, weekday, growth and season that may be none, the steps of other launches and of this one, noise that
remembers itself (regression.py), over all that is known of 400 days before. Series that the launch did not touch are
taken off (difference-in-differences), as far as the KPI moved along with them before. Segments that got it on different
days are held against those that did not have it yet. Then the same model runs at 26 earlier dates a week apart, where
nothing was launched, and the interval is widened by what it got wrong there: never narrowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd

from metrics.launches.controls import mix
from metrics.launches.regression import Fit, Floats, Problem, fits, intervals
from metrics.launches.sampling_floor import half_width, widened

BEFORE = {"day": 400, "week": 58}  # periods that are looked at before a launch, where there are as many
SHOWN = {"day": 60, "week": 26}  # of those on the picture
PLACEBO_BEFORE = {"day": 60, "week": 16}  # periods before an earlier date
PLACEBOS = 26
METHOD = 3  # raise it when the same values give another effect or interval
FEWEST_BEFORE = {"day": 28, "week": 8}
WEEK = {"day": 7, "week": 1}  # periods
MONTH = {"day": 28, "week": 4}  # periods
NONE = 1e-6
YEAR = {"day": 365.25, "week": 365.25 / 7}
# What four weeks may add, how far a year may swing, and how far a young series may have been from where it settles, in
# noises: nothing, little, much.
SHAPES = (
    (NONE, NONE, NONE),
    (0.3, NONE, NONE),
    (3.0, NONE, NONE),
    (0.3, 3.0, NONE),
    (0.3, NONE, 30.0),
)
SETTLES = (1.0, 3.0)  # months after which a third of the distance is left
TAKEN = 0.5  # a control's weight before one looks: between nothing and all
CONTROL = 0.5  # how far it may be from that, in noises by the control's own moves from week to week
MOVED = 3.0  # what another launch may have added, in noises
BELIEVED = 6.0  # independent earlier dates that the interval is worth before any was tried
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
    touched: periods in which the effect of another launch may arrive, each run of them begins with its first day.
    calibrated: whether earlier dates are tried.
    """

    treated: pd.DataFrame
    exposure: pd.DataFrame
    controls: pd.DataFrame
    grain: str
    sampling: pd.DataFrame | None = None
    overlap: int = 1
    touched: pd.Series | None = None
    calibrated: bool = True

    @property
    def begins(self) -> pd.Timestamp:
        """The first period that had any of it. Raises IndexError if none had."""
        exposed = self.exposure.max(axis=1)
        return exposed.index[exposed > 0][0]


@dataclass(frozen=True)
class Impact:
    """An effect on the panel's scale, on average over the periods since launch, with its 95% interval.

    raw_low, raw_high: before calibration. factor: how much wider it became; None = uncalibrated. placebos: earlier
    dates tried; cried: how many of them looked like an effect. periods: complete ones since launch. expected: frame by
    period with columns actual, expected, low, high. exposure: mean share of the periods since launch.
    sampling: half of the interval that sampling alone gives; None = not known. floor: the interval was widened to it.
    weights: how much of each control's moves was taken off; empty without one, or where segments wait. event: how
    likely it is that something moved the control on the day, too.
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
    weights: tuple[float, ...] = ()
    event: float = 0.0

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
    return PLACEBO_BEFORE[grain] + (PLACEBOS - 1) * WEEK[grain] + after


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
    dates, enough = series.placebos(first, after) if panel.calibrated else ([], False)
    earlier = [series.posed(at, share) for at in dates]
    all_posed = [posed, *(item for item in earlier if item is not None)]
    solved = fits([item.problem for item in all_posed])
    found, *without = intervals(solved, LEVEL)
    estimate, low, high = found
    tried = [_cry(*interval) for interval in without]
    factor = _factor(tried, after, panel.grain) if enough and len(tried) >= PLACEBOS // 2 else None
    wide = factor or 1.0
    weights = posed.weights(solved[0])
    measured = Impact(
        estimate,
        low - (wide - 1) * (estimate - low),
        high + (wide - 1) * (high - estimate),
        low,
        high,
        factor,
        len(tried),
        int(np.sum(np.array(tried) > 1)),
        after,
        _path(panel, posed, solved[0], found, slice(first, last), wide),
        float(share[:, share.any(axis=0)].mean()) if share.any() else 0.0,
        weights=weights,
        event=solved[0].event,
    )
    begin = max(0, first - BEFORE[panel.grain])
    return widened(measured, half_width(panel, begin, first, last, weights))


@dataclass(frozen=True)
class _Posed:
    """The regression of one date. rows: positions in the panel. apart: of segments that are held against each other.

    mixed: how much of each control; control: (t) what is taken off at weight 1; unit: of the problem's witness.
    """

    problem: Problem
    rows: np.ndarray
    apart: bool
    mixed: Floats | None = None
    control: Floats | None = None
    unit: float = 1.0

    def weights(self, solved: Fit) -> tuple[float, ...]:
        """How much of each control's moves is taken off, on average over what may have happened on the day."""
        if self.mixed is None:
            return ()
        weight = solved.event + (1 - solved.event) * (1 + solved.witness / self.unit)
        return tuple(float(weight * part) for part in self.mixed)


class _Series:
    """A panel's values, read once for all dates."""

    def __init__(self, panel: Panel) -> None:
        self.grain = panel.grain
        self.values = panel.treated.to_numpy(dtype=np.float64)
        controls = panel.controls.to_numpy(dtype=np.float64)
        self.known = np.isfinite(self.values).all(axis=1) & np.isfinite(controls).all(axis=1)
        exposure = panel.exposure.to_numpy(dtype=np.float64)
        self.at_once = bool((exposure == exposure[:, :1]).all())
        if self.at_once:  # segments that all got it together are one series: they cannot be held against each other
            self.values = self.values.mean(axis=1, keepdims=True)
        self.controls = controls if controls.shape[1] and self.at_once else None
        if self.controls is None and controls.shape[1]:
            self.values = np.column_stack([self.values, controls])
        none = np.zeros(len(self.values), dtype=bool)
        self.touched = none if panel.touched is None else panel.touched.to_numpy(dtype=bool)
        self.moved = np.flatnonzero(self.touched & ~np.concatenate([[False], self.touched[:-1]]))
        self.weekday = np.asarray(pd.DatetimeIndex(panel.treated.index).day_of_week)

    def posed(self, first: int, share: Floats) -> _Posed | None:
        """The model at one date; None with too little around it. share (period, segment): exposure from `first` on."""
        grain, after = self.grain, len(share)
        begin = max(0, first - BEFORE[grain])
        if first - begin < FEWEST_BEFORE[grain] or not share.any():
            return None
        rows = np.flatnonzero(self.known[begin : first + after])
        if (rows < first - begin).sum() < FEWEST_BEFORE[grain] * 0.8 or not (rows >= first - begin).any():
            return None
        had = share[:, share.any(axis=0)].mean()
        step = np.zeros((first + after - begin, self.values.shape[1]))
        step[first - begin :, : 1 if self.at_once else share.shape[1]] = share[:, :1] if self.at_once else share
        values, step = self.values[begin + rows], step[rows] / had  # so that the coefficient is the mean since launch
        if not self.at_once:
            values, step = _against_the_others(values, step, WEEK[grain])
        base, priors = self._base(begin, rows, first)
        at = tuple((rows - rows[0]).tolist())
        try:
            if self.controls is None:
                return _Posed(Problem(values, step, base, at, priors), begin + rows, not self.at_once)
            mixed = mix(self.values[begin:first, 0], self.controls[begin:first], WEEK[grain])
            control = self.controls[begin + rows] @ mixed
            unit, slow = _moves(control, WEEK[grain]), _slow(control, int((rows < first - begin).sum()), MONTH[grain])
            base = np.column_stack([base, (slow - slow.mean()) / unit, (control - slow) / unit])
            priors = np.column_stack([priors, np.full((len(priors), 2), CONTROL)])
            problem = Problem(values - control[:, None], step, base, at, priors, 2, (TAKEN - 1) * unit, -unit)
        except ValueError:
            return None
        return _Posed(problem, begin + rows, False, mixed, control, unit)

    def placebos(self, first: int, after: int) -> tuple[list[int], bool]:
        """Earlier dates a week apart whose days since reach neither the launch nor another one; whether they suffice.

        Dates that another launch touches, and those with nothing known since, make way for still earlier ones; where
        there are none, half of them will do.
        """
        known = range(first - after, PLACEBO_BEFORE[self.grain] - 1, -WEEK[self.grain])
        free = [at for at in known if self.known[at : at + after].any() and not self.touched[at : at + after].any()][
            :PLACEBOS
        ]
        return free, len(known) >= PLACEBOS

    def _base(self, begin: int, rows: np.ndarray, first: int) -> tuple[Floats, Floats]:
        """What goes on without this launch, (t, column), and how large each may be, (alternative, column): level and
        weekday anything, growth, the season of a year and settling by SHAPES, the steps of other launches some noises.
        """
        columns: list[Floats] = [np.ones(len(rows))]
        if self.grain == "day":
            weekday = self.weekday[begin + rows]
            present = np.flatnonzero(np.bincount(weekday))
            columns += [np.asarray((weekday == day) - 1 / len(present)) for day in present[:-1]]
        free = len(columns)
        columns.append((rows - rows.mean()) / MONTH[self.grain])
        turn = 2 * np.pi * rows / YEAR[self.grain]
        columns += [np.cos(turn), np.sin(turn)]
        columns += [np.exp(-rows / (months * MONTH[self.grain])) for months in SETTLES]
        columns += [np.where(begin + rows >= at, 0.5, -0.5) for at in self.moved if begin < at < first]
        priors = np.full((len(SHAPES), len(columns)), np.inf)
        priors[:, free : free + 5], priors[:, free + 5 :] = np.array(SHAPES)[:, [0, 1, 1, 2, 2]], MOVED
        return np.column_stack(columns), priors


def _against_the_others(values: Floats, step: Floats, lag: int) -> tuple[Floats, Floats]:
    """Segments (t, segment) without what all share, day by day: one series less, each with noise of its own.

    Each is divided by its own noise. Then what is shared has the direction 1 / noise, and what is left are series at
    right angles to it: two segments are one difference, not two that are each other's mirror image.
    """
    scales = _own_noise(values, lag)
    shared = (1 / scales)[:, None]
    apart = np.linalg.svd(shared)[0][:, 1:]
    return values / scales @ apart, step / scales @ apart


def _own_noise(values: Floats, lag: int) -> Floats:
    """How much each segment (t, segment) moves from week to week apart from all, so that loud ones weigh less.

    Of two segments' difference the variance is the sum of theirs. Three differences tell three variances: each is taken
    from the two segments that it differs least from.
    """
    count = values.shape[1]
    if count == 2:
        return np.ones(2)
    between = values[:, :, None] - values[:, None, :]
    moved = between[lag:] - between[:-lag]
    apart = (1.4826 * np.median(np.abs(moved - np.median(moved, axis=0)), axis=0)) ** 2
    found = np.empty(count)
    for i in range(count):
        others = np.delete(np.arange(count), i)
        j, k = others[np.argsort(apart[i, others])[:2]]
        found[i] = max((apart[i, j] + apart[i, k] - apart[j, k]) / 2, 0.1 * apart[i, j], 1e-24)
    scales: Floats = np.sqrt(found)
    return scales


def _moves(control: Floats, lag: int) -> float:
    """How much a control (t) moves from week to week; 1 where it does not."""
    return float(np.std(control[lag:] - control[:-lag])) / 2**0.5 or 1.0


def _slow(control: Floats, before: int, month: int) -> Floats:
    """A control (t) as the mean of the month around, on either side of the launch apart: a step is all of it slow.

    What is shared by the month and what is shared by the day are not the same part of it: days are mostly chance.
    """
    parts = [
        pd.Series(part).rolling(month + 1, center=True, min_periods=1).mean()
        for part in (control[:before], control[before:])
    ]
    return np.concatenate([part.to_numpy(dtype=np.float64) for part in parts])


def _cry(estimate: float, low: float, high: float) -> float:
    """|estimate| / half-width: above 1 it looks like an effect."""
    return abs(estimate) / max((estimate - low) if estimate > 0 else (high - estimate), 1e-300)


def _factor(tried: list[float], after: int, grain: str) -> float:
    """How much wider the interval must be to have held at the earlier dates: by their mean square and by the furthest,
    which is what 26 say of 95% of all. Each only as far as they are many: dates whose days overlap count as fewer.
    """
    independent = min(len(tried), len(tried) * WEEK[grain] / after)
    part = independent / (independent + BELIEVED)
    typical = float(np.mean(np.square(tried))) * 1.96**2  # 1 where the interval is right
    return max(1.0, float(np.sqrt(1 + part * (typical - 1))), 1 + part * (max(tried) - 1))


def _path(
    panel: Panel, posed: _Posed, solved: Fit, interval: tuple[float, float, float], since: slice, wide: float
) -> pd.DataFrame:
    """Actual and expected of the treated whole: before the launch what the model says, after it without the step."""
    shown = posed.rows >= since.start - SHOWN[panel.grain]
    rows = posed.rows[shown]
    actual = panel.treated.mean(axis=1).to_numpy()[rows]
    estimate, low, high = interval
    if posed.apart:  # segments: what was seen, less what the launch is taken to have done
        exposure = panel.exposure.to_numpy(dtype=np.float64)
        share = exposure.mean(axis=1)[rows] / (exposure[since].mean() or 1.0)
        expected = actual - estimate * share
        half = wide * np.maximum(high - estimate, estimate - low) * share
    else:
        base = posed.problem.base[shown]
        expected = base @ solved.base - solved.moved * posed.problem.step[shown, 0]
        if posed.control is not None:
            expected = expected + posed.control[shown]
        half = 1.96 * wide * solved.spread(base)
    return pd.DataFrame(
        {"actual": actual, "expected": expected, "low": expected - half, "high": expected + half},
        index=pd.DatetimeIndex(panel.treated.index)[rows],
    )
