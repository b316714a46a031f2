"""Worlds of people: what they do by day, a launch of known effect, and the covariance that only an oracle knows.

A world has series (what is launched, what is not), each with a weekly season, a noise that all of them share, one of
its own, shocks of single days, the sampling of its people, and two other launches in its history. Its
effect is as large as an oracle sees in nine launches of ten, so that worlds of any noise are told apart equally well.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.launch_worlds.oracle import Oracle, Truth
from metrics.launches.impact import Panel

Floats = NDArray[np.float64]
KINDS = ("rate with control", "rate", "revenue", "people", "staged", "share", "variant", "NPS")
NOISES = ("stationary", "drifting", "growing")
AFTER = 28
SEEN = 1.96 + 1.2816  # effects of so many standard errors are seen in nine launches of ten
SHOCK, SHOCKS = 4.0, 0.02  # of a day, in standard deviations of its sampling; how many days have one
TOUCHED = 28  # days over which another launch's effect may still arrive


@dataclass(frozen=True)
class World:
    """A panel with a launch on row `first`; effect: the true mean since. truth: what the oracle knows."""

    panel: Panel
    first: int
    effect: float
    truth: Truth

    @property
    def after(self) -> int:
        """Days since launch."""
        return len(self.panel.treated) - self.first


@dataclass
class _Series:
    """Latent means by day, the variance of their sampling, and how many people are behind a day."""

    people: float
    exposure: Floats
    touched: bool
    level: float
    mean: Floats = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True)
class _Measure:
    """How a KPI comes from people. level, growth: on its scale; sampling: variance of a day of one person."""

    level: float
    growth: tuple[float, float]  # a year's, on the panel's scale
    sampling: float
    people: tuple[float, float]


_MEASURES = {
    "rate": _Measure(0.35, (0.03, 0.12), 0.35 * 0.65, (300, 2000)),
    "revenue": _Measure(0.0, (0.1, 0.9), 5.3, (1500, 8000)),
    "people": _Measure(0.0, (0.1, 0.9), 0.567, (800, 5000)),
    "NPS": _Measure(0.30, (0.05, 0.20), 0.61, (80, 400)),
}


def world(kind: str, noise: str, seed: int, *, launched: bool, history: int | None = None, after: int = AFTER) -> World:
    """One product. kind, noise: of KINDS, NOISES. history: days before the launch; default 300 to 420, by the seed."""
    rng = np.random.default_rng([KINDS.index(kind), NOISES.index(noise), seed, int(launched)])
    first = int(rng.integers(300, 421)) if history is None else history
    series = _cast(rng, kind, _MEASURES.get(kind, _MEASURES["rate"]), first, after)
    truth = _truth(rng, kind, noise, series, first, after)
    latent = truth.drawn(rng)
    oracle = Oracle(truth)
    full = SEEN * oracle.error if launched else 0.0
    share = np.column_stack([s.exposure for s in series])
    latent = latent + full * share
    values = np.column_stack([_people(rng, kind, s, latent[:, i]) for i, s in enumerate(series)])
    index = pd.date_range("2025-01-06", periods=first + after, freq="D")
    names = [f"s{i}" for i in range(len(series))]
    treated = [i for i, s in enumerate(series) if s.touched or kind == "staged"]
    others = [i for i in range(len(series)) if i not in treated]
    frame, shares = pd.DataFrame(values, index, names), pd.DataFrame(share, index, names)
    touched = np.zeros(first + after, dtype=bool)
    for at in truth.launches:
        touched[at : at + TOUCHED] = True
    panel = Panel(
        frame.iloc[:, treated], shares.iloc[:, treated], frame.iloc[:, others], "day", touched=pd.Series(touched, index)
    )
    had = share[first:, share.any(axis=0)]
    return World(panel, first, full * float(had.mean()), truth)


def _cast(rng: np.random.Generator, kind: str, measure: _Measure, first: int, after: int) -> list[_Series]:
    """Who is there, and who gets it when."""
    day, people = np.arange(first + after), rng.uniform(*measure.people)
    at_once, never = (day >= first).astype(float), np.zeros(first + after)
    mine = _Series(people, at_once, True, measure.level)
    other = _Series(people * rng.uniform(0.5, 1.5), never, False, measure.level * rng.uniform(0.9, 1.1))
    if kind == "staged":
        count, apart, rest = int(rng.integers(2, 6)), int(rng.integers(2, 6)), bool(rng.random() < 0.5)
        found = []
        for i in range(count):
            own = never if rest and i == count - 1 else (day >= first + apart * i).astype(float)
            size = people * rng.uniform(0.3, 1.0)
            found.append(_Series(size, own, bool(own.any()), measure.level * rng.uniform(0.9, 1.1)))
        return found
    if kind == "share":
        grown = np.select([day < first, day < first + 5, day < first + 10], [0.0, 0.1, 0.5], 1.0)
        mine = _Series(people, grown, True, measure.level)
    if kind == "variant":
        part = rng.choice([0.2, 0.5])
        return [
            _Series(people * part, at_once, True, measure.level),
            _Series(people * (1 - part), never, False, measure.level),
        ]
    alone = kind in ("rate", "share") or (kind != "rate with control" and bool(rng.random() < 0.5))
    return [mine] if alone else [mine, other]


def _truth(rng: np.random.Generator, kind: str, noise: str, series: list[_Series], first: int, after: int) -> Truth:
    """Means and covariance of all series; units: the standard deviation of a day's sampling of the first."""
    days, measure = first + after, _MEASURES.get(kind, _MEASURES["rate"])
    sampling = [np.sqrt(measure.sampling / s.people) for s in series]
    unit = sampling[0]
    shared_day, shared, memory = rng.uniform(0.3, 1.0), rng.uniform(0.3, 0.8), rng.uniform(0.3, 0.7)
    own, own_memory = rng.uniform(0.2, 0.6), rng.uniform(0.3, 0.7)
    walk, shared_walk = (rng.uniform(0.03, 0.08), rng.uniform(0.03, 0.08)) if noise == "drifting" else (0.0, 0.0)
    day, means = np.arange(days), []
    growth = rng.uniform(*measure.growth) * rng.choice([-0.4, 1.0], p=[0.2, 0.8]) if noise == "growing" else 0.0
    launches = tuple(int(at) for at in rng.integers(60, first - 35, 2))
    season = rng.normal(0, 1.5 * unit, 7)
    for s in series:
        mean = s.level + season[day % 7] + growth * rng.uniform(0.8, 1.2) * day / 365
        if s.touched:
            for at in launches:
                mean = mean + rng.normal(0, 1.0) * unit * (day >= at)
        means.append(mean)
    return Truth(
        np.column_stack(means),
        np.column_stack([s.exposure for s in series]),
        first,
        launches,
        np.array([s.touched for s in series]),
        shared_day=unit * shared_day,
        shared=(unit * shared, memory),
        shared_walk=unit * shared_walk,
        own=(unit * own, own_memory),
        own_walk=unit * walk,
        shock=unit * SHOCK,
        shocks=SHOCKS,
        sampling=np.array(sampling),
        grows=noise == "growing",
        apart=kind == "staged",
    )


def _people(rng: np.random.Generator, kind: str, s: _Series, latent: Floats) -> Floats:
    """What people do on each day of a latent mean, on the panel's scale."""
    days = len(latent)
    count = np.maximum(rng.poisson(s.people, days), 5)
    if kind == "revenue":  # three in ten pay, and what they pay is skewed
        found = np.empty(days)
        for day in range(days):
            paid = rng.lognormal(-0.32, 0.8, rng.binomial(count[day], 0.3))
            found[day] = np.exp(latent[day]) * max(paid.sum(), 0.05) / (0.3 * count[day])
        return np.log(found)
    if kind == "people":  # of a population three times as large, with habits that differ
        habits = np.linspace(0.05, 0.95, 19)
        there = np.floor(3 * s.people / 19 * np.exp(latent)[:, None] + np.arange(19) / 19).astype(int)
        return np.asarray(np.log(rng.binomial(there, habits / habits.mean() / 3).sum(axis=1)), dtype=np.float64)
    if kind == "NPS":
        promoters = np.clip((latent + 1) / 2, 0.02, 0.98) * 0.8
        detractors = np.clip(promoters - latent, 0.01, 0.98 - promoters)
        answers = rng.multinomial(count, np.column_stack([promoters, detractors, 1 - promoters - detractors]))
        return np.asarray((answers[:, 0] - answers[:, 1]) / count, dtype=np.float64)
    return np.asarray(rng.binomial(count, np.clip(latent, 0.001, 0.999)) / count, dtype=np.float64)
