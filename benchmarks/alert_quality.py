"""How good the expected range is: labelled series through `kpi alerts replay`, beside what people do by hand.

    python benchmarks/alert_quality.py BENCH_DIR [--score FILE] [--json]

BENCH_DIR: series/<id>.csv (timestamp, value), labels.json (grain, country, eval_start, windows, ignore) and score.py,
which counts hits and false alarms; alert_worlds.py makes others, whose scorer is FILE. Prints the tables of
docs/alert-quality.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
GRAINS = {"H": "hour", "D": "day"}
Alerts = Mapping[str, pd.DatetimeIndex]


def project_of(bench: Path, folder: Path, labels: Mapping[str, Any]) -> None:
    """A project whose sources are the series: one KPI each, the same rule for all, no number tuned."""
    for part in ("datasets", "kpis"):
        (folder / part).mkdir(parents=True)
    (folder / "settings.yml").write_text("name: Labelled series\nsync_every: never\n")
    sources = []
    for name, label in labels.items():
        path = (bench / "series" / f"{name}.csv").resolve()
        sources.append(f"- {{name: {name}, type: files, table: {name}, path: '{path}'}}")
        (folder / "datasets" / f"{name}.yml").write_text(
            f"name: {name}\nsource: {name}\ntime_dimension: timestamp\nwatermark: data\nempty: unknown\n"
        )
        country = f"holidays: {label['country']}\n" if label["country"] else ""
        (folder / "kpis" / f"{name}.yml").write_text(
            f"name: {name}\ndataset: {name}\nagg: sum\nexpr: value\ngrain: {GRAINS[label['grain']]}\n{country}"
            "alerts: [{name: odd, compare: expected_range}]\n"
        )
    (folder / "sources.yml").write_text("\n".join(sources) + "\n")


def through_the_product(bench: Path, labels: Mapping[str, Any]) -> dict[str, pd.DatetimeIndex]:
    """Series → periods in which `kpi alerts replay` opened an incident."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        project_of(bench, project, labels)
        kpi = [sys.executable, "-m", "cli"]
        environment = {**os.environ, "KPI_PROJECT": str(project)}
        subprocess.run([*kpi, "sync"], env=environment, check=True, capture_output=True)
        found = {}
        for name in labels:
            done = subprocess.run(
                [*kpi, "alerts", "replay", name, "--json"], env=environment, check=True, capture_output=True, text=True
            )
            opened = [row["period"].rstrip("Z") for row in json.loads(done.stdout) if row["event"] == "opened"]
            found[name] = pd.DatetimeIndex(pd.to_datetime(opened))
        return found


def rolling(values: pd.Series, window: int, limit: float) -> pd.DatetimeIndex:
    """What people do: so many deviations from the rolling mean."""
    past = values.shift(1).rolling(window, min_periods=window // 2)
    return pd.DatetimeIndex(values.index[((values - past.mean()).abs() / past.std()) > limit])


def same_weekday(values: pd.Series, season: int, keep: int, limit: float) -> pd.DatetimeIndex:
    """Against the median of the same place of earlier weeks, in pooled median absolute deviations."""
    past = pd.concat([values.shift(season * i) for i in range(1, keep + 1)], axis=1)
    residual = values - past.median(axis=1)
    spread = 1.4826 * residual.abs().shift(1).rolling(season * 8, min_periods=season * 3).median()
    return pd.DatetimeIndex(values.index[(residual.abs() / spread) > limit])


def week_before(values: pd.Series, season: int, limit: float) -> pd.DatetimeIndex:
    """A relative rule: so far from the same time last week."""
    return pd.DatetimeIndex(values.index[((values / values.shift(season)) - 1).abs() > limit])


def detectors() -> dict[str, Callable[[pd.Series, str], pd.DatetimeIndex]]:
    """The methods that are run beside ours; numbers as their users set them."""
    season = {"H": 168, "D": 7}
    return {
        "3 sd of a rolling window (168 h, 28 d)": lambda v, g: rolling(v, {"H": 168, "D": 28}[g], 3),
        "3 sd of a rolling window (24 h, 7 d)": lambda v, g: rolling(v, {"H": 24, "D": 7}[g], 3),
        "same weekday median, 5 MAD": lambda v, g: same_weekday(v, season[g], 6, 5),
        "±50% of the same time last week": lambda v, g: week_before(v, season[g], 0.5),
    }


def intervals(
    score: ModuleType, rows: Mapping[str, dict[str, Any]], draws: int = 2000
) -> dict[str, tuple[float, float]]:
    """95% bootstrap interval of F1 over series, by grain and over all; seed 7."""
    random, found = np.random.default_rng(7), {}
    for grain in ("all", "D", "H"):
        chosen = [row for row in rows.values() if grain in ("all", row["grain"])]
        if not chosen:
            continue
        drawn = [
            score.summarise([chosen[i] for i in random.integers(0, len(chosen), len(chosen))])["f1"]
            for _ in range(draws)
        ]
        found[grain] = (float(np.quantile(drawn, 0.025)), float(np.quantile(drawn, 0.975)))
    return found


def left_out(
    score: ModuleType, labels: Mapping[str, Any], ends: Mapping[str, pd.Timestamp], series: Mapping[str, pd.Series]
) -> dict[str, Any]:
    """Leave one origin out: the limit of each grain is chosen on all other origins, the origin is scored with it."""
    from metrics.alerts.expected_range import expectation

    quiet = _quiet(labels, series)
    scores = {}
    for name, values in series.items():
        found = expectation(values, GRAINS[labels[name]["grain"]], muted=quiet[name])
        ready = found.ready & ~quiet[name]
        scores[name] = np.abs(np.nan_to_num(found.z)) * ready
    limits = np.arange(3.0, 5.51, 0.25)

    def rows(names: list[str], limit: float) -> list[dict[str, Any]]:
        return [score.score_series(labels[n], ends[n], _starts(series[n].index, scores[n] >= limit)) for n in names]

    kept: dict[str, dict[str, Any]] = {}
    for grain in ("D", "H"):
        mine = [n for n in labels if labels[n]["grain"] == grain]
        for origin in sorted({labels[n]["source"] for n in mine}):
            others = [n for n in mine if labels[n]["source"] != origin]
            best = max(limits, key=lambda limit: (score.summarise(rows(others, limit))["f1"], limit))
            held = [n for n in mine if labels[n]["source"] == origin]
            kept |= dict(zip(held, rows(held, float(best)), strict=True))
    return {**summary(score, kept), "intervals": intervals(score, kept)}


def _quiet(labels: Mapping[str, Any], series: Mapping[str, pd.Series]) -> dict[str, np.ndarray]:
    from metrics.alerts.calendars import muted

    return {
        name: muted(
            pd.DatetimeIndex(values.index), GRAINS[labels[name]["grain"]], "UTC", labels[name]["country"] or "", ()
        )
        for name, values in series.items()
    }


def _starts(index: pd.Index, odd: np.ndarray) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(index[odd & ~np.concatenate([[False], odd[:-1]])])


def summary(score: ModuleType, rows: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Figures over all, of days and of hours; empty where there are none."""
    by_grain = {g: [r for r in rows.values() if r["grain"] == g] for g in ("D", "H")}
    return {
        "all": score.summarise(list(rows.values())),
        **{g: score.summarise(mine) if mine else {} for g, mine in by_grain.items()},
    }


def scored(
    score: ModuleType, labels: Mapping[str, Any], ends: Mapping[str, pd.Timestamp], alerts: Alerts
) -> dict[str, dict[str, Any]]:
    """Each series scored."""
    return {name: score.score_series(label, ends[name], alerts[name]) for name, label in labels.items()}


def kinds(rows: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """Grain and type of event → found of how many."""
    found: dict[str, list[bool]] = {}
    for row in rows.values():
        for kind, seen in row["kinds"]:
            found.setdefault(f"{GRAINS[row['grain']]} {kind}", []).append(seen)
    return {kind: f"{sum(seen)} of {len(seen)}" for kind, seen in sorted(found.items())}


def run(bench: Path, scorer: Path | None) -> dict[str, Any]:
    """Every figure of the table."""
    path = scorer or next(p for p in (bench / "score.py", bench.parent / "score.py") if p.exists())
    spec = importlib.util.spec_from_file_location("score", path)
    assert spec is not None and spec.loader is not None
    score = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(score)
    labels, ends = score.load(bench)
    series = {
        name: pd.read_csv(bench / "series" / f"{name}.csv", parse_dates=["timestamp"]).set_index("timestamp")["value"]
        for name in labels
    }
    found: dict[str, Any] = {}
    rows = scored(score, labels, ends, through_the_product(bench, labels))
    found["Bellwether, expected_range, default"] = {**summary(score, rows), "intervals": intervals(score, rows)}
    told = kinds(rows)
    found["Bellwether, one origin left out"] = left_out(score, labels, ends, series)
    for name, detect in detectors().items():
        started, points = time.process_time(), sum(map(len, series.values()))
        alerts = {n: detect(values, labels[n]["grain"]) for n, values in series.items()}
        cpu = (time.process_time() - started) / points * 1000
        rows = scored(score, labels, ends, alerts)
        found[name] = {**summary(score, rows), "intervals": intervals(score, rows), "cpu": cpu}
    found["cpu"], found["kinds"] = cpu_per_thousand(labels, series), told
    return found


def cpu_per_thousand(labels: Mapping[str, Any], series: Mapping[str, pd.Series]) -> float:
    """CPU seconds of the expected range per 1,000 points."""
    from metrics.alerts.expected_range import expectation

    started = time.process_time()
    for name, values in series.items():
        expectation(values, GRAINS[labels[name]["grain"]])
    return (time.process_time() - started) / sum(map(len, series.values())) * 1000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=Path)
    parser.add_argument("--score", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    found = run(options.bench, options.score)
    if options.json:
        print(json.dumps(found, default=float, indent=1))
        return
    cpu, told = found.pop("cpu"), found.pop("kinds")
    print("| method | F1 all (95%) | F1 daily | false/month | F1 hourly | false/month |\n|---|---|---|---|---|---|")
    for name, figures in found.items():
        low, high = figures["intervals"]["all"]
        cells = [
            f"{figures[grain]['f1']:.3f} | {figures[grain]['false_per_series_month']:.2f}"
            if figures[grain]
            else "– | –"
            for grain in ("D", "H")
        ]
        print(f"| {name} | {figures['all']['f1']:.3f} ({low:.2f}–{high:.2f}) | {' | '.join(cells)} |")
    print(f"\nFound: {', '.join(f'{kind} {count}' for kind, count in told.items())}.")
    print(f"\nCPU of the expected range: {cpu:.4f} s per 1,000 points")


if __name__ == "__main__":
    main()
