"""Launches in worlds of people: how often each method is wrong, how often it sees the effect, how wide it is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from benchmarks.launch_worlds.oracle import Oracle
from benchmarks.launch_worlds.others import Interval, ordinary, t_test
from benchmarks.launch_worlds.worlds import KINDS, NOISES, World, world
from metrics.launches.impact import impact


def answers(made: World) -> dict[str, Interval]:
    """Each method's 95% interval of the mean effect since launch."""
    panel, index = made.panel, made.panel.treated.index
    found = impact(panel, index[made.first], index[-1] + pd.Timedelta(days=1))
    if found is None:
        raise ValueError("too little history")
    y = panel.treated.mean(axis=1).to_numpy(dtype=np.float64)
    if panel.controls.shape[1]:
        y = y - panel.controls.mean(axis=1).to_numpy(dtype=np.float64)
    both = pd.concat([panel.treated, panel.controls], axis=1).sort_index(axis=1)
    return {
        "t-test": t_test(y, made.first, made.after),
        "OLS": ordinary(y, made.first, made.after),
        "uncalibrated": (found.raw_low, found.raw_high),
        "Bellwether": (found.low, found.high),
        "oracle": Oracle(made.truth).interval(both.to_numpy(dtype=np.float64)),
    }


def people(launches: int, seed: int = 0) -> Iterator[dict[str, object]]:
    """A row per kind, noise, launch and method: false, held (of both), seen, width over the oracle's.

    Each kind and noise has `launches` without effect and as many with one, of the seeds from `seed`.
    """
    for kind in KINDS:
        for noise in NOISES:
            for number in range(seed, seed + launches):
                nothing = answers(world(kind, noise, number, launched=False))
                launched = world(kind, noise, number, launched=True)
                for method, (low, high) in answers(launched).items():
                    without = nothing[method]
                    widest = nothing["oracle"][1] - nothing["oracle"][0]
                    yield {
                        "kind": kind,
                        "noise": noise,
                        "method": method,
                        "false": not without[0] <= 0 <= without[1],
                        "held": (low <= launched.effect <= high) / 2 + (without[0] <= 0 <= without[1]) / 2,
                        "seen": low > 0,
                        "width": (without[1] - without[0]) / widest,
                    }


def summed(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Rows of `people` by method and what is named: false, coverage, power, width over the oracle's (median)."""
    grouped = rows.groupby([*by, "method"], sort=False)
    found = grouped.agg(false=("false", "mean"), coverage=("held", "mean"), power=("seen", "mean"))
    return found.assign(width=grouped["width"].median())
