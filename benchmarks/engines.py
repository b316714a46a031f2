"""The workload on engines by URL, beside DuckDB: first sync, a day more, and what a page of finished values takes.

    python benchmarks/engines.py [ENGINE ...] [--scale 1M] [--json FILE]

ENGINE: chdb, sail, each also with -lake; all if none is named (their packages: `make slow` installs them). The same
project and the same rows: those of DuckDB and of a lake are loaded from files, those of an engine are tables there. All
say which days are settled, which only tables there need. After each sync all stored values of an engine are held
against DuckDB's. CPU seconds, the engine's own process included; exit code 1 if a limit is missed, 2 if a value
differs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from benchmarks import workload  # noqa: E402  (found by the line above)
from benchmarks.measures import Measure, as_table, cpu_seconds, machine, watched  # noqa: E402
from benchmarks.syncing import NOW, TIMES, staged, unequal  # noqa: E402
from benchmarks.workload import PROJECT  # noqa: E402

LAKE = "-lake"
ENGINES = ("chdb", "sail", f"chdb{LAKE}", f"sail{LAKE}")
NAMES = {"chdb": "chDB", "sail": "Sail", "duckdb": "DuckDB"}
NAMES |= {f"{name}{LAKE}": f"{NAMES[name]} over a lake" for name in ("chdb", "sail")}
# Sail's tables are those of one session.
SESSION_OF_ALL = "/;session_id=5e6c7a52-0d3c-4c3e-9d25-2f0f8f1f3a11;user_id=benchmark"
BEST_OF = 5
STORED = ("first.parquet", "day.parquet")
EXTRA = {
    "kpis/revenue.yml": "targets: [{value: 1000}]\nalerts: [{name: drop, compare: expected_range}]\noverview: true\n",
    "launches/search.yml": "name: search\non: 2026-09-01\nsuccess: [{kpi: dau, expect: +10%}]\n",
    "snapshots/week.yml": "name: week\nsections: [{title: All, kpis: [dau, revenue, nps, p95_duration]}]\n",
}
WAITED_FOR = ("overview", "KPI page", "alerts", "launches", "snapshot")


class ChDb:
    """Tables in this process."""

    url = "clickhousedb://?interface=chdb"

    def __init__(self) -> None:
        from connectors.warehouse.engines.clickhouse import ClickHouseEngine
        from connectors.warehouse.engines.opening import open_engine
        from metrics.engine.sql.dialects import SESSION

        engine = open_engine(self.url, SESSION)
        assert isinstance(engine, ClickHouseEngine)
        self._ask = engine.client.command

    def bring(self, table: str, files: Path, *, anew: bool) -> None:
        """Rows of Parquet files. anew: the table is made of them."""
        rows = f"SELECT * FROM file('{files}', Parquet)"
        made = f"CREATE TABLE {table} ENGINE = MergeTree ORDER BY {TIMES[table]} SETTINGS allow_nullable_key = 1 AS "
        self._ask(f"{made if anew else f'INSERT INTO {table} '}{rows}")


class Sail:
    """Views over Parquet in a server of its own process."""

    def __init__(self, url: str) -> None:
        from connectors.warehouse.engines.opening import open_engine
        from connectors.warehouse.engines.spark import SparkEngine
        from metrics.engine.sql.dialects import SESSION

        self.url = url + SESSION_OF_ALL
        engine = open_engine(self.url, SESSION)
        assert isinstance(engine, SparkEngine)
        self._session, self._files = engine.session, dict[str, list[str]]()

    def bring(self, table: str, files: Path, *, anew: bool) -> None:
        """Rows of Parquet files; the view is of all that came. anew: of these alone."""
        known = [] if anew else self._files[table]
        self._files[table] = [*known, *(str(path) for path in sorted(files.parent.glob(files.name)))]
        self._session.read.parquet(*self._files[table]).createOrReplaceTempView(table)


@contextmanager
def served() -> Iterator[str]:
    """A Sail server; its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["spark", "server", "--ip", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-c", "from pysail.cli import main; main()", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"sc://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


class Runs:
    """The workload's project on one engine. folder: as `syncing.staged` leaves it; it is read only.

    engine: which has the tables; None = rows are loaded here. lake: URL of the engine that computes from a lake then.
    """

    def __init__(self, folder: Path, place: Path, engine: ChDb | Sail | None, lake: str = "") -> None:
        from jobs.project.project import open_project

        self._given, self._engine, self.now = folder, engine, NOW
        self.data = place / "data"
        shutil.copytree(PROJECT, place / "project", ignore=shutil.ignore_patterns("data"))
        for name, text in EXTRA.items():
            path = place / "project" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text((path.read_text() if path.exists() else "") + text)
        for name in TIMES:
            path = place / "project" / "datasets" / f"{name}.yml"
            path.write_text(path.read_text().replace("watermark: sync", "watermark: whole_days\nsettled_after: 1d"))
        if engine is not None:
            (place / "project" / "sources.yml").unlink()
        settings = place / "project" / "settings.yml"
        if url := lake or (engine.url if engine else ""):
            own = f"lake: '{place / 'lake'}'\n" if lake else ""
            settings.write_text(f"{settings.read_text()}warehouse: '{url}'\n{own}")
        os.environ["WORKLOAD_DATA"] = str(self.data)
        self.folder = place / "project"
        self.project = open_project(self.folder)

    def _bring(self, table: str, path: Path, *, anew: bool) -> None:
        if self._engine is not None:
            self._engine.bring(table, path, anew=anew)
            return
        (self.data / table).mkdir(parents=True, exist_ok=True)
        for file in path.parent.glob(path.name):
            os.link(file, self.data / table / file.name)

    def sync(self) -> dict[str, float]:
        """CPU and clock seconds of one, and how many values it wrote."""
        from jobs.sync import SyncResult, sync

        begin, wall = cpu_seconds(), time.monotonic()
        *_, result = sync(self.project, now=self.now)
        assert isinstance(result, SyncResult)
        assert not result.failed and not result.problems, result
        return {"cpu": cpu_seconds() - begin, "wall": time.monotonic() - wall, "written": result.written}

    def first(self) -> dict[str, float]:
        """All but the last day."""
        for table in TIMES:
            self._bring(table, self._given / "data" / table / "*.parquet", anew=True)
        return self.sync()

    def day(self) -> dict[str, float]:
        """The last day of all tables."""
        for table in TIMES:
            self._bring(table, self._given / "later" / f"{table}.parquet", anew=False)
        self.now += timedelta(days=1)
        return self.sync()

    def waited_for(self) -> dict[str, float]:
        """Milliseconds of CPU of what reads finished values, each in a project that was just opened."""
        from jobs.alerts.evaluate import evaluate
        from jobs.launches.board import board
        from jobs.project.project import open_project
        from jobs.snapshots.message import dressed
        from jobs.snapshots.take import take_by_hand
        from metrics.kpi_views.kpi_page import kpi_page
        from metrics.kpi_views.overview import overview

        asked: tuple[Callable[[Any], Any], ...] = (
            lambda project: overview(project.context(self.now)),
            lambda project: kpi_page(project.context(self.now), "dau"),
            lambda project: evaluate(project, now=self.now, render=partial(dressed, project)),
            lambda project: board(project, now=self.now),
            lambda project: take_by_hand(project, "", "", by="benchmark", now=self.now),
        )
        found = dict[str, float]()
        for name, ask in zip(WAITED_FOR, asked, strict=True):
            times = []
            for _ in range(BEST_OF):
                project = open_project(self.folder)
                before = cpu_seconds()
                ask(project)
                times.append(cpu_seconds() - before)
                project.close()
            found[name] = 1000 * min(times)
        return found

    def stored(self, path: Path) -> None:
        """Write all stored values as Parquet."""
        reader, catalogue = self.project.reader(), self.project.catalogue()
        frames = []
        for name, kpi in catalogue.kpis.items():
            for by in ("", *catalogue.dimensions_of(kpi)):
                for grain in kpi.offered_grains:
                    found = reader.stored_values(name, grain, by, reader.generation.sequence)
                    told = {"kpi": name, "grain": grain, "dimension": by}
                    frames += [found.frame.drop(columns="parts").assign(**told)] if found else []
        pd.concat(frames).to_parquet(path)


def one(engine: str, folder: Path, place: Path) -> None:
    """A JSON line for each case of an engine, in a process of its own."""
    name, over_a_lake = engine.removesuffix(LAKE), engine.endswith(LAKE)
    with served() if name == "sail" else nullcontext(ChDb.url if name == "chdb" else "") as url:
        own = None if over_a_lake or not url else Sail(url) if name == "sail" else ChDb()
        runs = Runs(folder, place, own, url if over_a_lake else "")
        for case in ("first", "day"):
            print(json.dumps({"case": case, **getattr(runs, case)()}), flush=True)
            runs.stored(place / f"{case}.parquet")
        print(json.dumps({"case": "again", **runs.sync()}), flush=True)
        print(json.dumps({"case": "waited_for", **runs.waited_for()}), flush=True)
        runs.project.close()


def measured(engines: list[str], scale: str, scratch: Path) -> Iterator[Measure]:
    """All figures of all engines, DuckDB's first."""
    data = workload.make(scale, scratch)
    folder = staged(data, scratch / "staged")
    shutil.rmtree(data)
    lines = dict[str, dict[str, dict[str, float]]]()
    for engine in ("duckdb", *engines):
        place, part = scratch / engine, f"{NAMES[engine]}, {scale} events"
        place.mkdir()
        own = lines.setdefault(engine, {})
        command = [sys.executable, __file__, "--one", engine, "--folder", str(folder), "--place", str(place)]
        for line, peak in watched(command):
            case = line.pop("case")
            own[case] = line
            match case:
                case "first":
                    told = f"{line['wall']:.1f} s by the clock, {peak:.0f} MB at most"
                    yield Measure(part, "first sync", line["cpu"], "s", None, told)
                case "day":
                    bar = None if engine == "duckdb" else 15.0
                    of = "" if scale == "10M" else "10M"
                    told = f"{line['cpu']:.2f} s, {line['wall']:.1f} s by the clock"
                    share = 100 * line["cpu"] / own["first"]["cpu"]
                    yield Measure(part, "one new day / first sync", share, "%", bar, told, of if bar else "")
                case "again":
                    told = f"{line['wall']:.1f} s by the clock, {line['written']:.0f} values written"
                    yield Measure(part, "nothing new", line["cpu"], "s", None, told)
                case "waited_for":
                    for name, took in line.items():
                        here = lines["duckdb"]["waited_for"][name]
                        what = f"{name}, of finished values"
                        if engine == "duckdb":
                            yield Measure(part, what, took, "ms")
                        else:
                            told = f"{took:.1f} ms beside {here:.1f}"
                            yield Measure(part, f"{what} / DuckDB's", took / here, "×", 1.2, told)
        if engine != "duckdb":
            both = [(pd.read_parquet(scratch / "duckdb" / name), pd.read_parquet(place / name)) for name in STORED]
            wrong = sum(unequal(theirs, mine, 1e-6) for mine, theirs in both)
            yield Measure(part, "stored values, not as DuckDB's", wrong, "", 0)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="*", metavar="ENGINE", choices=[[], *ENGINES])
    parser.add_argument("--scale", default="1M")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(given.one, given.folder, given.place)
        return 0
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        for measure in measured(given.engines or list(ENGINES), given.scale, Path(scratch)):
            found.append(measure)
            print(" · ".join(filter(None, measure.cells())), file=sys.stderr, flush=True)
    print(f"{machine()}\n\n{as_table(found)}\n\n{sum(m.missed for m in found)} missed")
    if given.json:
        rows = [{**asdict(m), "missed": m.missed} for m in found]
        given.json.write_text(json.dumps({"machine": machine(), "measures": rows}, indent=1))
    missed = [m for m in found if m.missed]
    return 2 if any(m.bar == 0 for m in missed) else int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
