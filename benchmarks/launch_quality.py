"""How good the launch verdict is: launches that never were and launches of +5%, beside what people do.

    python benchmarks/launch_quality.py [BENCH_DIR] [--launches 300] [--people 100] [--seed 0]

BENCH_DIR: labelled series of the alert bench, for random dates at which nothing was launched. Prints the tables of
docs/launch-quality.md. Simulated: 300 days before a launch and 14 after, weekly season, trend; `stationary` noise is
AR(1), `drifting` noise a random walk under noise of the day; controls share part of the noise with what is launched.
Worlds of people, with an oracle beside: launch_worlds/worlds.py; --people launches of each kind and noise, from --seed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.launch_worlds.others import Interval, ordinary, t_test  # noqa: E402
from benchmarks.launch_worlds.table import people, summed  # noqa: E402
from metrics.catalog.holidays import public_holidays  # noqa: E402
from metrics.launches.impact import Impact, Panel, history_needed, impact  # noqa: E402

HISTORY, AFTER, EFFECT = 300, 14, float(np.log(1.05))
NOISE = 0.03  # of a day, of the logarithm
OWN = 0.6  # part of it that each series has for itself where there are controls
Drawn = tuple[np.ndarray, np.ndarray]  # what is launched (t), controls (t, k)


def stationary(rng: np.random.Generator, days: int) -> np.ndarray:
    """AR(1), memory .3 to .6."""
    memory, noise = rng.uniform(0.3, 0.6), np.empty(days)
    noise[0] = rng.normal(0, NOISE)
    for day in range(1, days):
        noise[day] = memory * noise[day - 1] + rng.normal(0, NOISE * np.sqrt(1 - memory**2))
    return noise


def drifting(rng: np.random.Generator, days: int) -> np.ndarray:
    """A random walk under noise of the day."""
    walk = np.cumsum(rng.normal(0, 0.12 * NOISE, days))
    return walk + rng.normal(0, NOISE * 0.8, days)


NOISES: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {"stationary": stationary, "drifting": drifting}


def drawn(seed: int, noise: str, controls: int, effect: float) -> Drawn:
    """One product: a series with a launch on day HISTORY, and series that were not touched."""
    rng, days = np.random.default_rng(seed), HISTORY + AFTER
    day = np.arange(days)
    common = rng.normal(0, 0.08, 7)[day % 7] + rng.normal(0, 0.001) * day
    own = NOISES[noise]
    if controls:
        common = common + 0.8 * own(rng, days)
    mine = common + (OWN if controls else 1.0) * own(rng, days) + effect * (day >= HISTORY)
    others = [common + rng.normal(0, 0.0002) * day + OWN * own(rng, days) for _ in range(controls)]
    return mine, np.column_stack(others) if others else np.empty((days, 0))


def panel_of(mine: np.ndarray, others: np.ndarray, first: int) -> Panel:
    """As the product makes it."""
    index = pd.date_range("2025-01-06", periods=len(mine), freq="D")
    share = (np.arange(len(mine)) >= first).astype(float)
    return Panel(
        pd.DataFrame({"all": mine}, index), pd.DataFrame({"all": share}, index), pd.DataFrame(others, index), "day"
    )


def measured(panel: Panel, first: int, after: int) -> Impact | None:
    """The product's answer."""
    index = panel.treated.index
    return impact(panel, index[first], index[first] + pd.Timedelta(days=after))


def intervals(mine: np.ndarray, others: np.ndarray, first: int) -> dict[str, Interval]:
    """Each method's 95% interval."""
    found = measured(panel_of(mine, others, first), first, AFTER)
    if found is None:
        raise ValueError("too little history")
    y = mine - others.mean(axis=1) if others.shape[1] else mine
    return {
        "t-test before/after": t_test(y, first, AFTER),
        "OLS interrupted time series": ordinary(y, first, AFTER),
        "Bellwether, uncalibrated": (found.raw_low, found.raw_high),
        "Bellwether": (found.low, found.high),
    }


def simulated(launches: int) -> Iterator[dict[str, object]]:
    """One row per noise, controls and method."""
    for noise in NOISES:
        for controls in (0, 3):
            tally: dict[str, list[tuple[bool, bool, bool]]] = {}
            for seed in range(launches):
                nothing = intervals(*drawn(seed, noise, controls, 0.0), HISTORY)
                launched = intervals(*drawn(100_000 + seed, noise, controls, EFFECT), HISTORY)
                for method, (low, high) in nothing.items():
                    with_effect = launched[method]
                    tally.setdefault(method, []).append(
                        (not low <= 0 <= high, with_effect[0] <= EFFECT <= with_effect[1], with_effect[0] > 0)
                    )
            for method, rows in tally.items():
                wolf, covered, seen = np.mean(rows, axis=0)
                yield {
                    "noise": noise,
                    "controls": controls,
                    "method": method,
                    "false": wolf,
                    "coverage": covered,
                    "power": seen,
                }


def staged(launches: int) -> Iterator[dict[str, object]]:
    """Five segments that get it three days apart, each held against those that wait; a share of people that grows."""
    for noise in NOISES:
        for kind in ("five segments, three days apart", "10%, 50%, 100% of people, 5 days apart"):
            rows = []
            for seed in range(launches):
                found = []
                for plus, effect in ((0, 0.0), (100_000, EFFECT)):
                    panel = (
                        _by_segment(plus + seed, noise, effect)
                        if "segments" in kind
                        else _by_share(plus + seed, noise, effect)
                    )
                    answer = measured(panel, HISTORY, AFTER)
                    mean = effect * float(panel.exposure.iloc[HISTORY:].to_numpy().mean())
                    found.append((answer.low, answer.high, mean) if answer else (np.nan, np.nan, mean))
                (low, high, _), (low_5, high_5, effect) = found
                rows.append((not low <= 0 <= high, low_5 <= effect <= high_5, low_5 > 0))
            wolf, covered, seen = np.mean(rows, axis=0)
            yield {"noise": noise, "rollout": kind, "false": wolf, "coverage": covered, "power": seen}


_SHARES = np.repeat([0.1, 0.5, 1.0], [5, 5, 4])


def _by_segment(seed: int, noise: str, effect: float) -> Panel:
    _, others = drawn(seed, noise, 5, 0.0)
    day = np.arange(len(others))[:, None]
    share = (day >= HISTORY + 3 * np.arange(5)[None, :]).astype(float)
    index = pd.date_range("2025-01-06", periods=len(others), freq="D")
    return Panel(
        pd.DataFrame(others + effect * share, index), pd.DataFrame(share, index), pd.DataFrame(index=index), "day"
    )


def _by_share(seed: int, noise: str, effect: float) -> Panel:
    mine, none = drawn(seed, noise, 0, 0.0)
    share = np.zeros(len(mine))
    share[HISTORY:] = _SHARES
    plain = panel_of(mine + effect * share, none, HISTORY)
    return Panel(plain.treated, pd.DataFrame({"all": share}, plain.treated.index), plain.controls, "day")


def real(bench: Path, dates: int) -> Iterator[dict[str, object]]:
    """Random dates of real daily series, nothing launched: how often an effect is seen. One row per series."""
    labels = json.loads((bench / "labels.json").read_text())
    for name, label in labels.items():
        if label["grain"] != "D":
            continue
        table = pd.read_csv(bench / "series" / f"{name}.csv", parse_dates=["timestamp"]).set_index("timestamp")["value"]
        values = np.log(table.where(table > 0))
        free = values.copy()
        if label["country"]:
            free[free.index.isin(public_holidays(label["country"], free.index[0].year, free.index[-1].year))] = np.nan
        first, last = history_needed("day", AFTER), len(values) - AFTER
        if last - first < 30:
            continue
        rng = np.random.default_rng(1)
        for kind in ("all", "unlabelled"):
            rows = []
            for at in rng.integers(first, last, dates):
                if kind == "unlabelled" and _labelled(label, values.index[at]):
                    continue
                share = pd.DataFrame({"all": (np.arange(len(free)) >= at) * 1.0}, free.index)
                panel = Panel(pd.DataFrame({"all": free}), share, pd.DataFrame(index=free.index), "day")
                found = measured(panel, int(at), AFTER)
                if found is None:
                    continue
                filled = values.interpolate(limit_direction="both").to_numpy()
                t, o = t_test(filled, at, AFTER), ordinary(filled, at, AFTER)
                rows.append(
                    [
                        not low <= 0 <= high
                        for low, high in (t, o, (found.raw_low, found.raw_high), (found.low, found.high))
                    ]
                )
            if rows:
                wolf = np.mean(rows, axis=0)
                yield {
                    "series": name,
                    "dates": kind,
                    "tried": len(rows),
                    "t-test": wolf[0],
                    "OLS": wolf[1],
                    "uncalibrated": wolf[2],
                    "calibrated": wolf[3],
                }


def _labelled(label: dict[str, Any], at: pd.Timestamp) -> bool:
    begin, end = at - pd.Timedelta(days=120), at + pd.Timedelta(days=AFTER)
    return any(pd.Timestamp(w["start"]) < end and pd.Timestamp(w["end"]) >= begin for w in label["windows"])


def speed() -> float:
    """Seconds for a scorecard's measurement: 10 KPIs, 26 placebos each, three controls."""
    panels = [panel_of(*drawn(seed, "drifting", 3, EFFECT), HISTORY) for seed in range(10)]
    start = time.perf_counter()
    for panel in panels:
        measured(panel, HISTORY, AFTER)
    return time.perf_counter() - start


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("bench", nargs="?")
    parser.add_argument("--launches", type=int, default=300)
    parser.add_argument("--dates", type=int, default=100)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"10 KPIs x 26 placebos: {speed():.2f} s")
    if options.people:
        rows = pd.DataFrame(people(options.people, options.seed))
        print(f"Worlds of people, seeds {options.seed} to {options.seed + options.people - 1}")
        for by in (["kind", "noise"], ["kind"], ["noise"], []):
            print(summed(rows, by).round(3).to_string())
    if not options.launches:
        return
    print(pd.DataFrame(simulated(options.launches)).round(3).to_string(index=False))
    print(pd.DataFrame(staged(options.launches)).round(3).to_string(index=False))
    if options.bench:
        table = pd.DataFrame(real(Path(options.bench), options.dates))
        print(table.round(3).to_string(index=False))
        print(table.groupby("dates")[["t-test", "OLS", "uncalibrated", "calibrated"]].mean().round(3))


if __name__ == "__main__":
    main()
