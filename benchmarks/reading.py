"""How long reading takes that a page, an alert or a snapshot waits for. CPU milliseconds of this process, best of five.

python benchmarks/reading.py DEMO_FOLDER [--kpis 12 50 200]

DEMO_FOLDER: of `kpi demo`. The overviews are of projects made here, a year of days each, every KPI with a target.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
NOW = datetime(2026, 11, 23, 2, 30, tzinfo=UTC)
BEST_OF = 5
LIMITS = {"stored answer": 8.0, "overview of 200 KPIs": 400.0, "snapshot": 1200.0}


def best(made: Callable[[], Any], run: Callable[[Any], object]) -> float:
    """CPU milliseconds of `run` on what `made` makes anew each time."""
    found = []
    for _ in range(BEST_OF):
        world = made()
        before = time.process_time()
        run(world)
        found.append(time.process_time() - before)
    return 1000 * min(found)


def stored_answer(folder: Path) -> float:
    """A KPI's series at its home grain with the periods before: from the file, nothing remembered; mean of all KPIs."""
    from jobs.project.project import open_project
    from metrics.engine.answer import answer
    from metrics.engine.query import Query

    catalogue = open_project(folder).catalogue()
    names = [name for name, kpi in catalogue.kpis.items() if kpi.status != "draft"]

    def ask(reader: Any) -> None:
        for name in names:
            assert answer(Query(name, compare="previous_period"), catalogue, reader).level == "stored"

    return best(lambda: open_project(folder).reader(), ask) / len(names)


def overview_of(kpis: int, folder: Path) -> float:
    """The model of the overview, cold: a new process's first, its catalogue read."""
    from benchmarks.alert_speed import project
    from jobs.project.project import open_project
    from jobs.sync import sync
    from metrics.kpi_views.overview import overview

    project(folder, kpis, 10, ["compare: expected_range"])
    for path in (folder / "kpis").glob("*.yml"):
        path.write_text(f"{path.read_text()}targets: [{{value: 1000}}]\n")
    for _ in sync(open_project(folder), now=NOW):
        pass
    return best(lambda: open_project(folder).context(NOW), overview)


def snapshot(folder: Path, scratch: Path) -> float:
    """A week taken and kept; the worker that computes what is not stored is not counted."""
    from jobs.project.project import open_project
    from jobs.snapshots.take import take_by_hand

    shutil.copytree(folder, scratch / "demo", symlinks=True)

    def opened() -> Any:
        project = open_project(scratch / "demo")
        project.context(NOW)
        return project

    return best(opened, lambda project: take_by_hand(project, "", "", by="benchmark", now=NOW))


def main() -> int:
    """Print a line for each; 1 if a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path)
    parser.add_argument("--kpis", type=int, nargs="*", default=[12, 50, 200])
    options = parser.parse_args()
    found = {"stored answer": stored_answer(options.demo)}
    with tempfile.TemporaryDirectory() as scratch:
        for kpis in options.kpis:
            found[f"overview of {kpis} KPIs"] = overview_of(kpis, Path(scratch) / str(kpis))
        found["snapshot"] = snapshot(options.demo, Path(scratch))
    for name, took in found.items():
        limit = f" (limit {LIMITS[name]:g})" if name in LIMITS else ""
        print(f"{name}: {took:.1f} ms CPU{limit}")
    return 1 if any(found[name] > limit for name, limit in LIMITS.items() if name in found) else 0


if __name__ == "__main__":
    sys.exit(main())
