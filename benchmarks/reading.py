"""How long reading takes that a page, an alert or a snapshot waits for. CPU milliseconds of this process, best of five.

Of the demo, and overviews of projects made here: a year of days each, every KPI with a target.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.measures import Measure

NOW = datetime(2026, 11, 23, 2, 30, tzinfo=UTC)
BEST_OF = 5
KPIS = (12, 50, 200)


def quickest(made: Callable[[], Any], run: Callable[[Any], object]) -> float:
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

    return quickest(lambda: open_project(folder).reader(), ask) / len(names)


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
    return quickest(lambda: open_project(folder).context(NOW), overview)


def snapshot(folder: Path, scratch: Path) -> float:
    """A week taken and kept; the worker that computes what is not stored is not counted."""
    from jobs.project.project import open_project
    from jobs.snapshots.take import take_by_hand

    shutil.copytree(folder, scratch / "demo", symlinks=True)

    def opened() -> Any:
        project = open_project(scratch / "demo")
        project.context(NOW)
        return project

    return quickest(opened, lambda project: take_by_hand(project, "", "", by="benchmark", now=NOW))


def measured(demo: Path, scratch: Path) -> Iterator[Measure]:
    """Milliseconds of each. demo: a folder of `kpi demo`."""
    part = "reading, the demo"
    yield Measure(part, "stored answer, mean of all KPIs", stored_answer(demo), "ms", 8.0)
    for kpis in KPIS:
        took = overview_of(kpis, scratch / str(kpis))
        yield Measure(part, f"overview model of {kpis} KPIs, cold", took, "ms", 400.0 if kpis == max(KPIS) else None)
    yield Measure(part, "snapshot taken", snapshot(demo, scratch), "ms", 1200.0)
