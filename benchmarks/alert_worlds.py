"""Series with events that are known, for benchmarks/alert_quality.py: generated ones, and NAB's.

    python benchmarks/alert_worlds.py OUT_DIR [--seeds 6]
    python benchmarks/alert_worlds.py OUT_DIR --nab NAB_FOLDER

The first writes sixteen kinds of hourly and daily series, `--seeds` of each: dips, spikes, shifts and ramps are put
into two of three, the third has none. The second makes hours of the series of NAB (github.com/numenta/NAB, AGPL-3.0,
no part of this repository) that are long enough and in no other set of ours. Layout: series/<id>.csv, labels.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Random = np.random.Generator
Numbers = NDArray[np.float64]
Label = dict[str, Any]
LEARN = {"H": 21 * 24, "D": 90}  # periods before the first that counts
FIRST, EVERY = {"H": 28 * 24, "D": 120}, {"H": 9 * 24, "D": 50}  # where events begin, and how far apart they are
TYPES = ("dip1", "dipN", "spike1", "shift", "ramp")
# Of NAB, in the labelled series that the numbers were chosen on.
CHOSEN_ON = frozenset(
    (
        *("exchange-2_cpc_results", "exchange-3_cpm_results", "exchange-4_cpc_results", "nyc_taxi"),
        *("Twitter_volume_AAPL", "Twitter_volume_FB", "Twitter_volume_KO"),
    )
)


def remembering(random: Random, count: int, memory: float, size: float) -> Numbers:
    """AR(1) noise of this standard deviation."""
    drawn, found = random.normal(0, size, count), np.zeros(count)
    for i in range(1, count):
        found[i] = memory * found[i - 1] + drawn[i] * np.sqrt(1 - memory**2)
    return found


def hourly(random: Random, kind: str, days: int = 75) -> pd.Series:
    """One series of hours."""
    at = np.arange(days * 24)
    hour, day, count = at % 24, at // 24, len(at)
    week = np.where(day % 7 >= 5, random.uniform(0.5, 0.8), 1.0) * (1 + 0.03 * random.normal(0, 1, 7)[day % 7])
    evening = random.uniform(0.6, 1.1) * np.exp(-(((hour - 20) / 2.2) ** 2))
    two, one = 0.25 + np.exp(-(((hour - 10) / 2.5) ** 2)) + evening, 0.3 + np.exp(-(((hour - 14) / 4.5) ** 2))

    def noise(memory: float, size: float) -> Numbers:
        found: Numbers = np.exp(remembering(random, count, memory, size))
        return found

    def bursty() -> NDArray[Any]:
        shape = random.uniform(1.2, 3)
        return random.negative_binomial(shape, shape / (shape + random.uniform(5, 25) * one * week * noise(0.9, 0.25)))

    def queue() -> NDArray[Any]:
        bursts = np.where(random.random(count) < 0.02, random.uniform(1.5, 3, count), 1)
        return random.poisson(random.uniform(30, 80) * one * week * noise(0.5, 0.1)) * bursts

    night = np.maximum(0, np.sin((hour - 6) / 16 * np.pi)) ** 1.5
    makers: dict[str, Callable[[], NDArray[Any]]] = {
        "two_peaks": lambda: random.poisson(random.uniform(300, 3000) * two * week * noise(0.8, 0.05)),
        "payments": lambda: _sums(random, random.uniform(20, 120) * one * week * noise(0.6, 0.05), 3, 1.1),
        "bursty_errors": bursty,
        "latency": lambda: (
            random.uniform(150, 600)
            * (1 + 0.25 * two * week)
            * noise(0.7, 0.04)
            * np.exp(0.04 * random.standard_t(3, count))
        ),
        "few_sign_ups": lambda: random.poisson(random.uniform(3, 9) * one * week),
        "growing": lambda: random.poisson(
            random.uniform(200, 1500) * one * week * np.exp(0.006 * day) * noise(0.85, 0.05)
        ),
        "quiet_nights": lambda: random.poisson(random.uniform(40, 200) * night * week * noise(0.7, 0.08)),
        "queue_bursts": queue,
    }
    return pd.Series(makers[kind]().astype(float), pd.date_range("2026-03-02", periods=count, freq="h"))


def daily(random: Random, kind: str, days: int = 500) -> pd.Series:
    """One series of days."""
    at = np.arange(days)
    week, place = np.exp(random.normal(0, 0.12, 7))[at % 7], random.random()

    def year(size: float) -> Numbers:
        found: Numbers = np.exp(size * np.sin(2 * np.pi * (at / 365.25 + place)))
        return found

    def noise(memory: float, size: float) -> Numbers:
        found: Numbers = np.exp(remembering(random, days, memory, size))
        return found

    def rate() -> NDArray[Any]:
        rows = random.poisson(random.uniform(500, 2500) * week)
        return random.binomial(rows, np.clip(0.12 * noise(0.6, 0.05), 0, 1)) / np.maximum(rows, 1)

    drift = np.exp(np.cumsum(random.normal(0, 0.008, days)) + random.normal(0, 0.03, days))
    uneven = np.exp(random.normal(0, 0.6, 7))[at % 7]
    makers: dict[str, Callable[[], NDArray[Any]]] = {
        "growing_users": lambda: random.poisson(
            random.uniform(800, 9000) * np.exp(0.0015 * at) * noise(0.6, 0.03) * week
        ),
        "revenue": lambda: _sums(random, random.uniform(80, 300) * week * year(0.12) * noise(0.4, 0.05), 3.2, 1.2),
        "few_tickets": lambda: random.poisson(random.uniform(4, 14) * week),
        "seasonal_orders": lambda: random.poisson(random.uniform(200, 900) * week * year(0.2) * noise(0.5, 0.05)),
        "rate": rate,
        "uneven_weekdays": lambda: random.poisson(random.uniform(100, 600) * uneven * noise(0.4, 0.07)),
        "drifting": lambda: random.uniform(500, 3000) * week * drift,
        "young": lambda: random.poisson(60 * np.exp(np.minimum(0.02 * at, 3)) * noise(0.5, 0.06) * week),
    }
    return pd.Series(makers[kind]().astype(float), pd.date_range("2025-01-06", periods=days, freq="D"))


KINDS = {
    "H": (
        *("two_peaks", "payments", "bursty_errors", "latency", "few_sign_ups", "growing"),
        *("quiet_nights", "queue_bursts"),
    ),
    "D": (
        *("growing_users", "revenue", "few_tickets", "seasonal_orders", "rate", "uneven_weekdays"),
        *("drifting", "young"),
    ),
}


def _sums(random: Random, mean: Numbers, middle: float, spread: float) -> Numbers:
    """What so many people pay: sums of amounts of which few are large."""
    return np.array([random.lognormal(middle, spread, n).sum() for n in random.poisson(mean)])


def with_events(values: pd.Series, random: Random, grain: str) -> tuple[pd.Series, list[dict[str, str]]]:
    """Events put in, each of a size between faint and plain; and where they are."""
    values, found = values.copy(), list[dict[str, str]]()
    whole, types = bool((values == values.round()).all()), list(TYPES)
    random.shuffle(types)
    at = FIRST[grain] + int(random.integers(0, EVERY[grain] // 3))
    while at + EVERY[grain] < len(values):
        kind = types[len(found) % len(types)]
        last = at + _event(values, random, grain, kind, at)
        found.append({"start": str(values.index[at]), "end": str(values.index[last]), "type": kind})
        at += EVERY[grain] + int(random.integers(0, EVERY[grain] // 4))
    return (values.round() if whole else values), found


def _event(values: pd.Series, random: Random, grain: str, kind: str, at: int) -> int:
    """Put one in; how many periods after `at` its window ends."""
    hours, sign = grain == "H", random.choice([-1, 1])
    if kind in ("dip1", "spike1"):
        length = int(random.integers(1, 3)) if hours else 1
        size = -random.uniform(0.35, 0.8) if kind == "dip1" else random.uniform(0.5, 1.5)
    elif kind == "dipN":
        length, size = int(random.integers(4, 13) if hours else random.integers(2, 5)), -random.uniform(0.25, 0.6)
    elif kind == "shift":
        values.iloc[at:] *= 1 + sign * random.uniform(0.18, 0.4)
        return 47 if hours else 6
    else:
        length, size = (72 if hours else 14), sign * random.uniform(0.25, 0.5)
        values.iloc[at:] *= 1 + size * np.minimum(np.arange(1, len(values) - at + 1) / length, 1)
        return length
    values.iloc[at : at + length] *= 1 + size
    return length - 1


def generated(seeds: int) -> Iterator[tuple[str, pd.Series, Label]]:
    """Id, series and label of each."""
    for seed in range(seeds):
        for grain, kinds in KINDS.items():
            for number, kind in enumerate(kinds):
                random = np.random.default_rng((1000 * seed + number, ord(grain)))
                values = (hourly if grain == "H" else daily)(random, kind)
                windows: list[dict[str, str]] = []
                if seed % 3 != 2:
                    values, windows = with_events(values, random, grain)
                yield f"{grain.lower()}_{kind}_{seed}", values, _label(values, grain, kind, windows)


def of_nab(folder: Path) -> Iterator[tuple[str, pd.Series, Label]]:
    """Hours of what is long enough: sums of counts, means of the rest."""
    labelled = json.loads((folder / "labels" / "combined_windows.json").read_text())
    for path, windows in labelled.items():
        name = Path(path).stem
        if not path.startswith("real") or name in CHOSEN_ON:
            continue
        raw = pd.read_csv(folder / "data" / path, parse_dates=["timestamp"]).set_index("timestamp")["value"]
        hours = raw.resample("h")
        counts = "Twitter" in name  # and an hour that is not whole is low for no reason
        values = hours.sum(min_count=1).iloc[1:-1] if counts else hours.mean()
        if len(values) >= LEARN["H"] + 7 * 24:
            marked = [{"start": a[:19], "end": b[:19], "type": "labelled"} for a, b in windows]
            yield (
                name.lower().replace("-", "_"),
                values,
                _label(values, "H", "real-labelled", marked, path.split("/")[0]),
            )


def _label(values: pd.Series, grain: str, kind: str, windows: list[dict[str, str]], source: str = "") -> Label:
    begins = str(values.index[LEARN[grain]])
    return {
        **{"grain": grain, "country": None, "kind": kind, "eval_start": begins, "windows": windows},
        **{"ignore": [], "source": source or kind},
    }


def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--nab", type=Path)
    options = parser.parse_args()
    (options.out / "series").mkdir(parents=True, exist_ok=True)
    labels = {}
    for name, values, label in of_nab(options.nab) if options.nab else generated(options.seeds):
        values.rename_axis("timestamp").rename("value").to_csv(options.out / "series" / f"{name}.csv")
        labels[name] = label
    (options.out / "labels.json").write_text(json.dumps(labels, indent=1))


if __name__ == "__main__":
    main()
