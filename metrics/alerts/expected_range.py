"""What a KPI's next value is expected to be, and how odd the value is that came: a robust seasonal baseline.

Online: the judgement of a period reads that period and earlier ones only. Measured in docs/alert-quality.md; the idea
and the figures of other methods are there, too. Not tuned per series: one set of numbers for days, one for hours.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

import numpy as np
import pandas as pd

from metrics.alerts.level_shift import Moving, shifted

SENSITIVITIES = ("sensitive", "default", "quiet")


class Phase(StrEnum):
    """How much a baseline knows: nothing yet, a band without alerts, everything."""

    NONE = "none"
    LEARNING = "learning"
    READY = "ready"


@dataclass(frozen=True)
class Tuning:
    """Numbers of one grain. Counts are periods; scales are those of the transformed value."""

    season: int  # periods after which the shape repeats; 1 = no shape
    level: float  # share of a residual that moves the level
    keep: int  # earlier values of the same place in the season that make its offset
    noise: int  # residuals that the noise is told from
    renew: int  # periods between two readings of the noise
    run: int  # periods in a row on one side that count together
    band_from: int  # known periods before a band is drawn
    ready_from: int  # known periods before alerts
    limits: tuple[float, float, float]  # z of sensitive, default, quiet
    tail: float = 0.97  # quantile of absolute residuals that the noise is held to
    outlier: float = 4.0  # a residual enters the noise with no more than this many noises
    rolling: int = 0  # periods of the plain rolling mean and deviation that are averaged in; 0 = none
    share: float = 0.0  # its share of the score
    moving: Moving | None = None  # how a move of the level is told; None = it is not


TUNING = {
    "hour": Tuning(
        *(168, 0.02, 4, 504, 24, 6, 335, 335, (3.75, 4.25, 5.0)),
        *(0.993, 5.0, 168, 0.35, Moving(together=24, keep=3, noise=504, limit=4.0)),
    ),
    "day": Tuning(7, 0.25, 4, 70, 7, 3, 14, 56, (3.5, 4.25, 5.0), moving=Moving(5, keep=4, noise=120, limit=3.5)),
    "week": Tuning(1, 0.25, 4, 52, 1, 3, 14, 26, (3.5, 4.25, 5.0)),
    "month": Tuning(1, 0.25, 4, 36, 1, 2, 14, 24, (3.5, 4.25, 5.0)),
    "quarter": Tuning(1, 0.25, 4, 36, 1, 2, 14, 24, (3.5, 4.25, 5.0)),
    "year": Tuning(1, 0.25, 4, 36, 1, 2, 14, 24, (3.5, 4.25, 5.0)),
}
CLIP = 2.5  # a residual moves the level by no more than this many noises
MAD = 1.4826
RECENT = 28  # values whose middle says how much chance there is in one
FLOOR = 0.01  # least noise of a logarithm: one percent


@dataclass(frozen=True)
class Expectation:
    """One series judged: arrays as long as it, NaN where nothing can be told.

    z: score; positive = above. expected, low, high: in the KPI's unit; outside of low..high a value alone is odd at
    `limit`. ready: where it may alert. limit: the z that an alert starts at. phase: what is known at the end.
    """

    z: np.ndarray
    expected: np.ndarray
    low: np.ndarray
    high: np.ndarray
    ready: np.ndarray
    limit: float
    phase: Phase


class Scale:
    """The scale in which noise is even: logarithm, square root of small counts, log odds of rates, or as it is."""

    def __init__(self, early: np.ndarray, rate: bool) -> None:
        known = early[~np.isnan(early)] if not np.isnan(early).all() else np.zeros(1)
        self.middle = float(np.median(np.abs(known)))
        if rate and known.min() >= 0 and known.max() <= 1:
            self.kind, self.floor = "odds", 0.02
        elif known.min() < 0 or (self.middle == 0 and known.max() == 0):
            self.kind, self.floor = "raw", FLOOR * max(self.middle, 1e-9)
        elif self.middle < 20 and bool(np.all(known == np.floor(known))):
            self.kind, self.floor = "root", 0.3
        else:
            self.kind, self.floor = "log", FLOOR
        self.offset = 0.05 * self.middle or 1.0

    def there(self, values: np.ndarray, n: np.ndarray) -> np.ndarray:
        """Values on the scale. n: rows behind a rate, which keep 0 and 1 finite."""
        if self.kind == "log":
            return np.asarray(np.log(np.maximum(values, 0) + self.offset))
        if self.kind == "root":
            return np.asarray(2 * np.sqrt(np.maximum(values, 0) + 0.375))
        if self.kind == "odds":
            edge = np.where(n >= 1, 0.5 / np.maximum(n, 1), 0.001)
            share = np.clip(values, edge, 1 - edge)
            return np.asarray(np.log(share / (1 - share)))
        return values

    def back(self, y: np.ndarray) -> np.ndarray:
        """Scaled numbers as values."""
        if self.kind == "log":
            return np.asarray(np.maximum(np.exp(np.minimum(y, 700)) - self.offset, 0))
        if self.kind == "root":
            return np.asarray(np.maximum((np.maximum(y, 0) / 2) ** 2 - 0.375, 0))
        if self.kind == "odds":
            return np.asarray(1 / (1 + np.exp(-np.clip(y, -700, 700))))
        return y

    def sampling(self, y: np.ndarray, n: np.ndarray, deviation: np.ndarray) -> np.ndarray:
        """The deviation that n rows alone give a rate, on the scale; of others the one given, 0 where it is not known.

        deviation: of each value, by sampling.
        """
        if self.kind != "odds":
            if not deviation.any():
                return np.zeros(len(y))
            values = self.back(y)
            slope = {"log": values + self.offset, "root": np.sqrt(np.maximum(values, 0.5))}.get(
                self.kind, np.ones(len(y))
            )
            return np.asarray(np.nan_to_num(deviation / slope))
        p = 1 / (1 + np.exp(-np.clip(y, -30, 30)))
        rows = np.where(n >= 1, n, np.inf)
        return np.asarray(1 / np.sqrt(rows * np.maximum(p * (1 - p), 0.5 / rows)))


class Spread:
    """The noise of the last residuals: the wider of their median and their tail, read from a sorted window."""

    __slots__ = ("_full", "_outlier", "_sorted", "_tail", "_tail_z", "_window")

    def __init__(self, tuning: Tuning) -> None:
        self._window: deque[float] = deque()
        self._sorted: list[float] = []
        self._full, self._outlier = tuning.noise, tuning.outlier
        self._tail, self._tail_z = tuning.tail, NormalDist().inv_cdf((1 + tuning.tail) / 2)

    def add(self, residual: float) -> None:
        """Take one in; the oldest goes."""
        size = residual if residual >= 0 else -residual
        if len(self._sorted) == self._full:
            del self._sorted[bisect_left(self._sorted, self._window.popleft())]
        self._window.append(size)
        insort(self._sorted, size)

    def __len__(self) -> int:
        return len(self._sorted)

    def without_outliers(self, floor: float) -> None:
        """Hold what came before the noise was known to it: a first day of half a day's data is no noise."""
        most = self._outlier * max(MAD * _median(self._sorted), floor)
        self._window = deque(min(size, most) for size in self._window)
        self._sorted = sorted(self._window)

    def noise(self, floor: float) -> float:
        """One deviation, not below `floor`."""
        count = len(self._sorted)
        place = self._tail * (count - 1)
        left = int(place)
        right = min(left + 1, count - 1)
        tail = self._sorted[left] + (place - left) * (self._sorted[right] - self._sorted[left])
        return max(MAD * _median(self._sorted), tail / self._tail_z, floor)


class Baseline:
    """Level, season and noise of one series, period by period. The inner loop: plain attributes and comparisons."""

    __slots__ = (
        "_before",
        "_early",
        "_forget",
        "_jump_noise",
        "_jumps",
        "_left",
        "_level",
        "_noise",
        "_offsets",
        "_phi",
        "_products",
        "_run",
        "_run_spread",
        "_same",
        "_season",
        "_spread",
        "_squares",
        "floor",
        "ready",
        "tuning",
    )

    def __init__(self, tuning: Tuning, floor: float) -> None:
        self.tuning, self.floor = tuning, floor
        self.ready = False  # whether a value can be judged
        self._early: list[tuple[int, float]] | None = []
        self._level = 0.0
        self._season: dict[int, deque[float]] = {}
        self._offsets: dict[int, float] = {}  # the median of each place of the season
        self._spread, self._jumps = Spread(tuning), Spread(tuning)
        self._noise = self._jump_noise = math.inf
        self._phi, self._products, self._squares = 0.0, 0.0, 0.0
        self._forget = 1 - 1 / tuning.noise
        self._before = 0.0  # the last residual, clipped
        self._run: deque[float] = deque(maxlen=tuning.run)
        self._same, self._run_spread = 0, 1.0  # residuals in a row on one side; deviation of a run's mean in noises
        self._left = max(8, min(2 * tuning.season, 168))  # values until the noise is read next

    def step(self, place: int, y: float, sampling: float) -> tuple[float, float, float, float, float] | None:
        """Judge a value, then learn it.

        Returns (z, level expectation, its noise, expectation after the last residual, its noise), None while learning.
        """
        if self._early is not None:
            self._begin(place, y, self._early)
            return None
        base = self._level + self._offsets.get(place, 0.0)
        after = base + self._phi * self._before
        residual, jump = y - base, y - after
        if self._left == 0:
            self._renew()
        self._left -= 1
        if not self.ready:
            self._learn(place, y, residual, residual, jump)
            return None
        most = self.tuning.outlier
        noise = sampling if sampling > self._noise else self._noise
        jump_noise = sampling if sampling > self._jump_noise else self._jump_noise
        z = self._score(residual / noise, jump / jump_noise, residual, noise)
        self._learn(
            place, y, _clip(residual, CLIP * noise), _clip(residual, most * noise), _clip(jump, most * jump_noise)
        )
        return z, base, noise, after, jump_noise

    def skip(self) -> None:
        """A period that is not to be learnt from: a holiday, a gap."""
        self._before = 0.0

    def rebase(self, recent: Sequence[float]) -> None:
        """A new normal: the level moves at once by the middle of recent residuals."""
        if self._early is None and recent:
            self._level += _median(sorted(recent))
            self._before, self._same = 0.0, 0

    def residual(self, place: int, y: float) -> float:
        """Distance from the expectation, without learning."""
        return y - self._level - self._offsets.get(place, 0.0)

    def _begin(self, place: int, y: float, early: list[tuple[int, float]]) -> None:
        early.append((place, y))
        if len(early) < max(self.tuning.season, 4):
            return
        self._level, self._early = _median(sorted(value for _, value in early)), None
        for earlier, value in early:
            self._remember(earlier, value - self._level)

    def _remember(self, place: int, offset: float) -> None:
        if self.tuning.season == 1:
            return
        found = self._season.get(place)
        if found is None:
            found = self._season[place] = deque(maxlen=self.tuning.keep)
        found.append(offset)
        self._offsets[place] = _median(sorted(found))

    def _renew(self) -> None:
        if not self.ready:
            self._spread.without_outliers(self.floor)
            self._jumps.without_outliers(self.floor)
        self._left, self.ready = self.tuning.renew, True
        self._noise = self._spread.noise(self.floor)
        self._jump_noise = self._jumps.noise(0.5 * self._noise)
        self._phi = min(0.9, max(0.0, self._products / self._squares)) if self._squares > 0 else 0.0
        size, phi = self.tuning.run, self._phi
        spread = size + 2 * sum((size - lag) * phi**lag for lag in range(1, size))
        self._run_spread = math.sqrt(spread) / size

    def _score(self, level_z: float, jump_z: float, residual: float, noise: float) -> float:
        """The larger of the point's z, odd both as a level and as a jump, and that of a run on one side."""
        if level_z > 0:
            point = (level_z if level_z < jump_z else jump_z) if jump_z > 0 else 0.0
            self._same = self._same + 1 if self._same > 0 else 1
        else:
            point = (level_z if level_z > jump_z else jump_z) if jump_z < 0 else 0.0
            self._same = self._same - 1 if self._same < 0 else -1
        self._run.append(residual)
        if -self.tuning.run < self._same < self.tuning.run:
            return point
        run = sum(self._run) / self.tuning.run / (noise * self._run_spread)
        return run if abs(run) > abs(point) else point

    def _learn(self, place: int, y: float, clipped: float, kept: float, jump: float) -> None:
        forget = self._forget
        self._products = forget * self._products + clipped * self._before
        self._squares = forget * self._squares + clipped * clipped
        self._level += self.tuning.level * clipped
        self._remember(place, y - self._level)
        self._spread.add(kept)
        self._jumps.add(jump)
        self._before = clipped


def expectation(  # noqa: PLR0913 (what a series may bring along, by name)
    values: pd.Series,
    grain: str,
    *,
    zone: str = "UTC",
    sensitivity: str = "default",
    muted: np.ndarray | None = None,
    n: np.ndarray | None = None,
    rate: bool = False,
    normal_from: Sequence[pd.Timestamp] = (),
    sampling: np.ndarray | None = None,
) -> Expectation:
    """Judge every period of one series.

    values: index = periods (naive: UTC for hours, else local), rising; NaN = unknown. muted: periods that neither
    alert nor are learnt from. n: rows behind each value of a rate. normal_from: periods from which a new level is
    normal. sampling: sampling variance of each value that is no rate, NaN = not known: the range is never narrower
    than that at the limit. Memory and time grow with the length only.
    """
    tuning, periods = TUNING[grain], pd.DatetimeIndex(values.index)
    limit = tuning.limits[SENSITIVITIES.index(sensitivity)]
    plain = values.to_numpy("float64")
    quiet = np.isnan(plain) if muted is None else np.isnan(plain) | muted
    sizes = np.full(len(plain), np.nan) if n is None else n.astype("float64")
    scale = Scale(plain[: tuning.band_from], rate)
    y = scale.there(plain, sizes)
    people = np.zeros(len(plain)) if sampling is None else np.sqrt(_recent(sampling))
    middle = plain if sampling is None else _recent(plain)
    chance = scale.sampling(scale.there(middle, sizes), sizes, people)
    rebases = {int(periods.searchsorted(at)) for at in normal_from}
    rows = _walked(y, chance, quiet, _places(periods, grain, zone), scale, tuning, rebases)
    z, base = rows.T[:2]
    edges = _edges(scale, rows, limit)
    if tuning.rolling:
        z, edges = _with_rolling(plain, sizes, rows, scale, tuning, limit, edges, people)
    if tuning.moving is not None:
        gone = shifted(np.where(quiet, np.nan, y), rebases, tuning.season, tuning.moving, scale.floor, chance)
        z, moved = _with_moves(z, gone.score, tuning, limit)
        rows[moved, 3] += gone.before[moved] - base[moved]
        rows[moved, 1] = gone.before[moved]  # most likely is what was before the move, which the level has followed
        edges = [np.where(moved, new, old) for new, old in zip(_edges(scale, rows, limit), edges, strict=True)]
    known = np.cumsum(~quiet)
    band, ready = known > tuning.band_from, (known > tuning.ready_from) & ~np.isnan(base)
    z, low, expected, high = (np.where(band, part, np.nan) for part in (z, edges[0], scale.back(base), edges[1]))
    last = int(known[-1]) if len(known) else 0
    phase = Phase.READY if last > tuning.ready_from else Phase.LEARNING if last > tuning.band_from else Phase.NONE
    return Expectation(z, expected, low, high, ready, limit, phase)


def _edges(scale: Scale, rows: np.ndarray, limit: float) -> list[np.ndarray]:
    """The least and the greatest value that is not odd alone."""
    _, base, noise, after, jump = rows.T
    return [
        scale.back(side(base + sign * limit * noise, after + sign * limit * jump))
        for sign, side in ((-1, np.minimum), (1, np.maximum))
    ]


def _with_moves(z: np.ndarray, score: np.ndarray, tuning: Tuning, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """The score with that of a move of the level where that is odder; and where it is so odd that it alerts."""
    assert tuning.moving is not None
    usual = tuning.limits[SENSITIVITIES.index("default")]
    found = np.nan_to_num(score) * (usual / tuning.moving.limit)
    odder = np.abs(found) > np.abs(np.nan_to_num(z))
    return np.where(odder & ~np.isnan(z), found, z), odder & ~np.isnan(z) & (np.abs(found) >= limit)


def _recent(values: np.ndarray) -> np.ndarray:
    """The middle of the last known ones, itself among them: one value says little of how large its own chance is."""
    found: np.ndarray = pd.Series(values).rolling(RECENT, min_periods=1).median().to_numpy("float64")
    return found


def _walked(
    y: np.ndarray,
    sampling: np.ndarray,
    quiet: np.ndarray,
    places: list[int],
    scale: Scale,
    tuning: Tuning,
    rebases: set[int],
) -> np.ndarray:
    """What `Baseline.step` says of each period, one row each."""
    baseline, nothing = Baseline(tuning, scale.floor), (math.nan,) * 5
    rows: list[float] = []  # flat: a million small tuples would keep the garbage collector busy
    for index, (value, noise, skip, place) in enumerate(
        zip(y.tolist(), sampling.tolist(), quiet.tolist(), places, strict=True)
    ):
        if index in rebases:
            near = [i for i in range(max(0, index - tuning.run + 1), index + 1) if not quiet[i]]
            baseline.rebase([baseline.residual(places[i], float(y[i])) for i in near])
        if skip:
            baseline.skip()
            rows += nothing
        else:
            rows += baseline.step(place, value, noise) or nothing
    return np.array(rows, dtype="float64").reshape(len(y), 5)


def _with_rolling(  # noqa: PLR0913 (a series, what was walked of it, and its scales)
    plain: np.ndarray,
    sizes: np.ndarray,
    rows: np.ndarray,
    scale: Scale,
    tuning: Tuning,
    limit: float,
    edges: list[np.ndarray],
    people: np.ndarray,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The score with that of a plain rolling mean and deviation averaged in, and the band that solves for it."""
    z, base, noise, after, jump = rows.T
    window = pd.Series(plain).shift(1).rolling(tuning.rolling, min_periods=48)
    middle, spread = window.mean().to_numpy(), window.std().to_numpy()
    spread = np.where(spread > 0, np.fmax(spread, people), np.inf)
    joint = tuning.share * np.nan_to_num((plain - middle) / spread) + (1 - tuning.share) * z
    solved = []
    for sign, edge in zip((-1, 1), edges, strict=True):
        other = np.where(np.isfinite(spread), middle + sign * limit * spread, edge)
        low, high = np.fmin(edge, other), np.fmax(edge, other)
        for _ in range(30):
            x = (low + high) / 2
            y = scale.there(x, sizes)
            point = np.minimum(sign * (y - base) / noise, sign * (y - after) / jump)
            inside = tuning.share * np.nan_to_num(sign * (x - middle) / spread) + (1 - tuning.share) * point < limit
            grows = inside if sign > 0 else ~inside
            low, high = np.where(grows, x, low), np.where(grows, high, x)
        solved.append((low + high) / 2)
    return joint, solved


def _places(periods: pd.DatetimeIndex, grain: str, zone: str) -> list[int]:
    """The place of each period in its season: day of the week, local hour of the week."""
    if grain == "hour":
        local = periods.tz_localize("UTC").tz_convert(zone)
        return [int(p) for p in local.day_of_week * 24 + local.hour]
    return [int(p) for p in periods.day_of_week] if grain == "day" else [0] * len(periods)


def _clip(value: float, most: float) -> float:
    return most if value > most else -most if value < -most else value


def _median(ordered: Sequence[float]) -> float:
    middle, odd = divmod(len(ordered), 2)
    return ordered[middle] if odd else 0.5 * (ordered[middle - 1] + ordered[middle])
