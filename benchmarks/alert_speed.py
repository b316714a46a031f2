"""How long an evaluation takes: 200 KPIs, each told by 10 segments, thirteen months of days; again with nothing new."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.measures import Measure

KPIS, SEGMENTS = 200, 10
NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
LAST_WEEK = "compare: same_period_last_week, thresholds: {critical: '< -30%'}, for: 2"
RULES = {"expected_range": ["compare: expected_range"], "half of each": ["compare: expected_range", LAST_WEEK]}


def project(folder: Path, kpis: int, segments: int, rules: list[str]) -> None:
    """Poisson counts a day and segment, seed 1."""
    for part in ("datasets", "kpis", "files"):
        (folder / part).mkdir(parents=True)
    random, days = np.random.default_rng(1), pd.date_range("2025-10-24", "2026-11-22")
    frame = pd.DataFrame(
        {
            "at": np.repeat(days + pd.Timedelta(hours=3), segments),
            "seg": [f"s{i}" for i in range(segments)] * len(days),
            "v": random.poisson(100, len(days) * segments).astype(float),
        }
    )
    frame.to_parquet(folder / "files" / "e.parquet")
    (folder / "settings.yml").write_text("sync_every: never\n")
    (folder / "sources.yml").write_text("- {name: e, type: files, table: e, path: files/e.parquet}\n")
    (folder / "datasets" / "e.yml").write_text(
        "name: e\nsource: e\ntime_dimension: at\nwatermark: whole_days\ndimensions: [seg]\n"
    )
    for number in range(kpis):
        rule = f"{{name: rule, by: [seg], {rules[number % len(rules)]}}}"
        (folder / "kpis" / f"k{number:03d}.yml").write_text(
            f"name: k{number:03d}\ndataset: e\nagg: sum\nexpr: v * {number + 1}\ngrains: [day]\nalerts: [{rule}]\n"
        )


def measured(scratch: Path) -> Iterator[Measure]:
    """CPU seconds, definitions read anew each time."""
    from jobs.alerts.evaluate import evaluate
    from jobs.project.project import open_project
    from jobs.snapshots.message import dressed
    from jobs.sync import sync

    for name, rules in RULES.items():
        folder = scratch / name
        project(folder, KPIS, SEGMENTS, rules)
        for _ in sync(open_project(folder), now=NOW):
            pass
        opened = open_project(folder)
        opened.warehouse.companion(opened.reader().generation.id, "judged").unlink()  # the sync has judged, too
        times = []
        for _ in range(4):
            before = time.process_time()
            evaluate(open_project(folder), now=NOW, render=dressed)
            times.append(time.process_time() - before)
        part = f"alerts, {KPIS} rules × {SEGMENTS} segments"
        yield Measure(part, f"first evaluation, {name}", times[0], "s", 10.0)
        yield Measure(part, f"again, no change, {name}", min(times[1:]), "s", 0.8)
