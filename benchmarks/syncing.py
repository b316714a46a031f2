"""The workload's project synced again and again, in a process of its own: one JSON line for each case.

    python benchmarks/syncing.py FOLDER --cases first day late nothing renamed models further [--check]

FOLDER: as `staged` leaves it. A line has `case`, `cpu` (seconds, the worker included) and for a sync `refresh`, the
part of it between the last row pulled and publishing; with --check also `wrong`, how many stored values are not
those of a full computation. benchmarks/refreshing.py and growth.py read it, and how much memory it takes meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import duckdb
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from benchmarks.measures import best, cpu_seconds  # noqa: E402  (found by the line above)
from benchmarks.workload import PROJECT  # noqa: E402

TIMES = {"users": "signed_up_at", "events": "occurred_at", "orders": "ordered_at", "feedback": "submitted_at"}
NEW_DAY, LATE_DAY, LATE_ROWS = "2026-11-22", "2026-11-12", 29
NOW = datetime(2026, 11, 22, 2, tzinfo=UTC)
FURTHER = 20  # filtered KPIs that are added
CASES = ("first", "day", "late", "nothing", "renamed", "models", "further")
# Of the events; the others have at most the first three.
COLUMNS = ("platform", "country", "plan", "feature", "event_name", "slow: duration_ms > 1000")
KEY = ["kpi", "grain", "dimension", "segment", "period"]


def staged(data: Path, folder: Path) -> Path:
    """A folder with the star's files without its last day and some rows of an earlier one; `later/` has these."""
    connection = duckdb.connect()
    (folder / "later").mkdir(parents=True)
    for table, at in TIMES.items():
        rows, key = f"'{data}/{table}/*.parquet'", f"CAST({at} AS DATE)"
        late = f"{key} = '{LATE_DAY}' LIMIT {LATE_ROWS}" if table == "events" else "false"
        connection.execute(f"CREATE OR REPLACE TABLE late AS SELECT * FROM {rows} WHERE {late}")
        connection.execute(f"COPY (SELECT * FROM {rows} WHERE {key} = '{NEW_DAY}') TO '{folder}/later/{table}.parquet'")
        if table == "events":
            connection.execute(f"COPY late TO '{folder}/later/late.parquet'")
        (folder / "data" / table).mkdir(parents=True)
        before = f"SELECT * FROM {rows} WHERE {key} < '{NEW_DAY}' EXCEPT ALL SELECT * FROM late"
        connection.execute(f"COPY ({before}) TO '{folder}/data/{table}/first.parquet'")
    return folder


class Runs:
    """A project of the workload in a folder that `staged` made."""

    def __init__(self, folder: Path, kpis: int, dimensions: int) -> None:
        from connectors.sources.files import COARSEST_TIME
        from jobs.project.project import open_project

        time.sleep(COARSEST_TIME.total_seconds() + 0.5)  # a file that was written just now is read for its mark twice
        os.environ["WORKLOAD_DATA"] = str(folder / "data")
        shutil.copytree(PROJECT, folder / "project", ignore=shutil.ignore_patterns("data"))
        self.folder, self.now, self.more = folder, NOW, 0
        for name, most in (("events", 6), ("users", 3)):
            path, listed = folder / "project" / "datasets" / f"{name}.yml", COLUMNS[: min(dimensions, most)]
            pairs = ", ".join(c if ":" in c else f"{c}: {c}" for c in listed)
            path.write_text(path.read_text().replace("[platform, country, plan]", f"{{{pairs}}}"))
        self.add(kpis - len(list((folder / "project" / "kpis").glob("*.yml"))))
        self.project = open_project(folder / "project")

    def add(self, count: int) -> None:
        """So many KPIs more that count some of the events."""
        for number in range(self.more, self.more + count):
            text = f"dataset: events\nagg: count\nfilter: duration_ms > {number * 50 + 21}"
            (self.folder / "project" / "kpis" / f"more_{number}.yml").write_text(f"name: more_{number}\n{text}\n")
        self.more += max(count, 0)

    def sync(self, after: timedelta = timedelta(minutes=1)) -> dict[str, float]:
        """CPU seconds of one sync and of its refresh."""
        from jobs.project.pace import Progress
        from jobs.sync import sync

        self.now += after
        begin = pulled = publishing = cpu_seconds()
        for step in sync(self.project, now=self.now):
            if isinstance(step, Progress) and step.step.startswith("Pulling"):
                pulled = publishing = cpu_seconds()
            elif isinstance(step, Progress) and step.step == "Publishing":
                publishing = cpu_seconds()
            elif not isinstance(step, Progress):
                assert not step.problems, step.problems
        return {"cpu": cpu_seconds() - begin, "refresh": publishing - pulled}

    def bring(self, name: str, table: str) -> None:
        """A file more of a table."""
        target = self.folder / "data" / table / f"{name}.parquet"
        shutil.move(self.folder / "later" / f"{name}.parquet", target)
        os.utime(target)

    def first(self) -> dict[str, float]:
        """All but the last day and the late rows."""
        return self.sync()

    def day(self) -> dict[str, float]:
        """The last day of all tables."""
        for table in TIMES:
            self.bring(table, table)
        return self.sync(timedelta(days=1))

    def late(self) -> dict[str, float]:
        """Rows ten days late."""
        self.bring("late", "events")
        return self.sync()

    def nothing(self) -> dict[str, float]:
        """No new file."""
        return self.sync()

    def renamed(self) -> dict[str, float]:
        """All files under other names, with the same rows."""
        for path in (self.folder / "data").glob("*/*.parquet"):
            path.rename(path.with_name(f"renamed_{path.name}"))
        return self.sync()

    def further(self) -> dict[str, float]:
        """Per KPI that is added: 20 more beside one more."""
        self.add(1)
        one = self.sync()["cpu"]
        self.add(FURTHER)
        return {"cpu": (self.sync()["cpu"] - one) / (FURTHER - 1)}

    def models(self) -> dict[str, float]:
        """Milliseconds of the overview and of a KPI's page in a project that was just opened."""
        from jobs.project.project import open_project
        from metrics.kpi_views.kpi_page import kpi_page
        from metrics.kpi_views.overview import overview

        def opened() -> Any:
            return open_project(self.folder / "project").context(self.now)

        def cold(ask: Any) -> float:
            found = []
            for _ in range(3):
                context = opened()
                before = cpu_seconds()
                ask(context)
                found.append(cpu_seconds() - before)
            return 1000 * min(found)

        context = opened()
        return {
            "cpu": best(opened),
            "overview": cold(overview),
            "page": cold(lambda context: kpi_page(context, "dau")),
            "kpis": len(context.catalogue.kpis),
        }


def differing(folder: Path) -> int:
    """How many stored values are not those of a full computation."""
    from connectors.warehouse.contract import Staging
    from jobs.project.project import open_project
    from metrics.engine.query import Shared
    from metrics.engine.refresh import values

    project = open_project(folder / "project")
    reader = project.reader()
    catalogue, states = project.catalogue(reader), reader.dataset_states(reader.generation.sequence)
    shared, stored, full = Shared(), [], []
    for name, kpi in catalogue.kpis.items():
        full.append(values(kpi, catalogue, cast("Staging", reader), states, None, shared)[0].assign(kpi=name))
        for dimension in ("", *catalogue.dimensions_of(kpi)):
            for grain in kpi.offered_grains:
                found = reader.stored_values(name, grain, dimension, reader.generation.sequence)
                told = {"kpi": name, "grain": grain, "dimension": dimension}
                stored += [found.frame.assign(**told)] if found else []
    return unequal(pd.concat(stored), pd.concat(full))


def unequal(stored: pd.DataFrame, full: pd.DataFrame, near: float = 1e-9) -> int:
    """How many rows of KEY are in one only, or have another value (but for `near` of it), n or `complete`."""
    both = stored.merge(full, on=KEY, how="outer", suffixes=("", "_full"), indicator=True)
    wrong = both["_merge"] != "both"
    for column in ("value", "n"):
        a, b = (both[name].to_numpy("float64", na_value=float("nan")) for name in (column, f"{column}_full"))
        wrong |= ~((abs(a - b) <= near * abs(b).clip(min=1)) | (pd.isna(a) & pd.isna(b)))
    return int((wrong | (both["complete"] != both["complete_full"])).sum())


def told(runs: Runs, cases: list[str], *, check: bool) -> Iterator[dict[str, Any]]:
    """What each case took."""
    for case in cases:
        yield {"case": case, **getattr(runs, case)()}
        if check and case in ("first", "day", "late", "further"):
            # In a process of its own, whose memory is not the sync's.
            checked = [sys.executable, __file__, str(runs.folder), "--differing"]
            found = subprocess.run(checked, check=True, capture_output=True, text=True).stdout
            yield {"case": "check", "of": case, "wrong": int(found)}


def main() -> None:
    """Print a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--kpis", type=int, default=12)
    parser.add_argument("--dimensions", type=int, default=3)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--differing", action="store_true", help="Only tell how many values of a synced folder differ.")
    given = parser.parse_args()
    if given.differing:
        print(differing(given.folder))
        return
    runs = Runs(given.folder, given.kpis, given.dimensions)
    for line in told(runs, given.cases, check=given.check):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
