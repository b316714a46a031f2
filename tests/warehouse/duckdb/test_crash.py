"""Nothing that was published is ever lost: readers during syncs, kill -9 anywhere, a full disk."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from connectors.warehouse.contract import COMPANIONS
from connectors.warehouse.duckdb.generations import Generations
from connectors.warehouse.duckdb.notes import SUM
from jobs.project.project import open_project
from jobs.sync import sync
from metrics.engine.answer import answer
from metrics.engine.query import Query
from tests.conftest import KPI, NOW, REQUIRED, ROOT, Builder, finished, run_cli
from tests.sampling import SEED, cases

ROWS = 20_000


def version(number: int, rows: int = ROWS) -> pd.DataFrame:
    """Rows that all carry one number: a reader that sees two numbers sees half a load."""
    at = pd.date_range("2026-11-01", periods=rows, freq="min")
    return pd.DataFrame({"at": at, "number": number, "amount": 1.0, "id": range(rows)})


def start(project: Builder, rows: int = ROWS) -> None:
    project.rows("events", version(1, rows))
    project.kpi("n", "dataset: events\nagg: count\ngrains: [day, week]")
    project.kpi("top", "dataset: events\nagg: max\nexpr: number\ngrains: [day]")
    project.sync()


def put(folder: Path, frame: pd.DataFrame) -> None:
    fresh = folder / "files" / ".fresh"
    frame.to_parquet(fresh, index=False)
    os.replace(fresh, folder / "files" / "events.parquet")


def _read(folder: str, done: Any, said: Any) -> None:
    """Read until told to stop; report reads, generations seen and whatever was wrong."""
    project, wrong, reads, last = open_project(folder), [], 0, 0
    seen = set()
    while not done.is_set():
        try:
            reader = project.reader()
            row = reader.frame("SELECT count(*) AS n, count(DISTINCT number) AS k, max(number) AS v FROM events").iloc[
                0
            ]
            stored = answer(Query("top", grain="day"), project.catalogue(reader), reader)
            values = set(stored.frame["value"].dropna())
            if (row["n"], row["k"]) != (ROWS, 1) or values != {float(row["v"])}:
                wrong.append(f"half-loaded: {dict(row)}, stored {values}")
            if reader.generation.sequence < last:
                wrong.append(f"went back from {last} to {reader.generation.sequence}")
            last = reader.generation.sequence
            seen.add(last)
            reads += 1
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error}")
    said.put((reads, len(seen), wrong))


def syncs_under_readers(project: Builder, count: int) -> list[tuple[int, int, list[str]]]:
    start(project)
    context = multiprocessing.get_context("spawn")
    done, said = context.Event(), context.Queue()
    readers = [context.Process(target=_read, args=(str(project.folder), done, said)) for _ in range(2)]
    for reader in readers:
        reader.start()
    time.sleep(2)
    for number in range(2, count + 2):
        put(project.folder, version(number))
        assert finished(sync(project.open(), now=NOW)).published
    done.set()
    found = [said.get(timeout=60) for _ in readers]
    for reader in readers:
        reader.join()
    return found


@pytest.mark.slow
def test_readers_are_never_in_the_way(project: Builder) -> None:
    for reads, generations, wrong in syncs_under_readers(project, 8):
        assert wrong == [] and reads > 20 and generations > 3


MANY = cases(fast=0, slow=4, full=100)


@pytest.mark.slow
@pytest.mark.sampled(MANY)
def test_readers_are_never_in_the_way_of_many_syncs(project: Builder) -> None:
    for reads, generations, wrong in syncs_under_readers(project, MANY):
        print(f"{reads} reads of {generations} generations")
        assert wrong == [] and reads > 3 * MANY and generations > MANY // 2


# ---- kill -9

KILLED = """
import os, sys
sys.path.insert(0, {root!r})
from connectors.warehouse.duckdb import generations, staging, tables
place, folder = sys.argv[1:]

def dying(owner, name):
    real = getattr(owner, name)
    def call(*a, **k):
        if name == "replace" and not str(a[1]).endswith(place.rpartition(":")[2]):
            return real(*a, **k)
        os.kill(os.getpid(), 9)
    setattr(owner, name, call)

where = {{"load": (tables.Load, "finish"), "settle": (staging.DuckStaging, "settle"),
         "refresh": (staging.DuckStaging, "store_values"), "publish": (staging.DuckStaging, "publish"),
         "flush": (generations, "fsync"), "rename:.duckdb": (os, "replace"), "pointer:live": (os, "replace")}}
dying(*where[place])
from connectors.clock import utc_now
from jobs.project.project import open_project
from jobs.sync import sync
list(sync(open_project(folder), now=utc_now()))
"""
# In `make test` before, while and after a generation is made; in `make slow` at every step.
SOON = ("load", "publish", "pointer:live")
PLACES = [
    *SOON,
    *(pytest.param(place, marks=pytest.mark.slow) for place in ("settle", "refresh", "flush", "rename:.duckdb")),
]


def intact(project: Builder, number: int) -> None:
    """What was published last is all there."""
    reader = project.open().reader()
    row = reader.frame("SELECT count(*) AS n, min(number) AS a, max(number) AS b FROM events").iloc[0]
    assert (row["n"], row["a"], row["b"]) == (ROWS, number, number)
    assert project.open().has_data()


def swept(project: Builder) -> None:
    generations = Generations(project.folder / "data")
    there = list(generations.folder.iterdir())
    own, kept = (".duckdb", SUM), {path.stem for path in generations.published()}
    beside = [p for p in there if p.suffix not in own]
    assert {p.stem for p in beside} <= kept and {p.suffix[1:] for p in beside} <= {*COMPANIONS}, beside
    assert len([p for p in there if p.suffix in own]) <= 6
    assert not list(generations.data.glob(".live-*"))


@pytest.mark.breadth(1)
@pytest.mark.parametrize("place", PLACES)
def test_killed_at_each_step_nothing_is_lost(project: Builder, place: str) -> None:
    start(project)
    put(project.folder, version(2))
    script = KILLED.format(root=str(ROOT))
    process = subprocess.run([sys.executable, "-c", script, place, str(project.folder)], capture_output=True, text=True)
    assert process.returncode == -signal.SIGKILL, process.stderr
    intact(project, 1)
    put(project.folder, version(3))
    assert not project.sync().failed
    intact(project, 3)
    swept(project)


KILLS = cases(fast=0, slow=4, full=40)


@pytest.mark.slow
@pytest.mark.sampled(KILLS)
def test_killed_at_random_moments_nothing_is_lost(project: Builder) -> None:
    start(project)
    choose, live, killed = random.Random(SEED), 1, 0
    command = [*KPI, "sync", "--project", str(project.folder)]
    put(project.folder, version(2))
    before = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    whole, live = time.monotonic() - before, 2
    for number in range(3, 200):
        if killed == KILLS:
            break
        put(project.folder, version(number))
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(whole * choose.uniform(0.3, 1.0))
        process.kill()
        if process.wait() == -signal.SIGKILL:
            killed += 1
        seen = int(project.open().reader().frame("SELECT max(number) AS n FROM events")["n"].iloc[0])
        assert seen in (live, number)  # killed after the pointer moved, it is published
        live = seen
        intact(project, live)
    assert killed == KILLS
    put(project.folder, version(300))
    assert not project.sync().failed
    intact(project, 300)
    swept(project)


# ---- a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A file system of 40 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(place)], capture_output=True)
    if made.returncode:
        (pytest.fail if REQUIRED else pytest.skip)("mounting a small tmpfs needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.slow
def test_a_disk_that_fills_up_in_mid_sync_leaves_the_live_generation(project: Builder, small_disk: Path) -> None:
    environment = {**os.environ, "KPI_DATA_DIR": str(small_disk / "data")}
    project.rows("events", version(1))
    project.kpi("n", "dataset: events\nagg: count\ngrains: [day]")
    folder = str(project.folder)
    assert run_cli("sync", "--project", folder, env=environment).returncode == 0
    before = run_cli("status", "--json", "--project", folder, env=environment).stdout
    wide = version(2, 1_500_000)
    noise = random.Random(1)
    put(project.folder, wide.assign(text=[noise.randbytes(30).hex() for _ in range(len(wide))]))
    result = run_cli("sync", "--project", folder, env=environment)
    assert result.returncode == 1 and "disk is full" in result.stderr and "as it was" in result.stderr
    assert "Traceback" not in result.stderr
    assert run_cli("status", "--json", "--project", folder, env=environment).stdout == before
    put(project.folder, version(3))
    assert run_cli("sync", "--project", folder, env=environment).returncode == 0
    kept = sorted(p.suffix for p in (small_disk / "data" / "generations").iterdir() if p.suffix[1:] not in COMPANIONS)
    assert kept == [".duckdb", ".duckdb", SUM, SUM]


def test_too_little_room_is_told_before_anything_is_copied(project: Builder, small_disk: Path) -> None:
    environment = {**os.environ, "KPI_DATA_DIR": str(small_disk / "data")}
    project.rows("events", version(1))
    project.kpi("n", "dataset: events\nagg: count\ngrains: [day]")
    assert run_cli("sync", "--project", str(project.folder), env=environment).returncode == 0
    free = shutil.disk_usage(small_disk).free
    (small_disk / "filler").write_bytes(b"x" * (free - (4 << 20)))
    result = run_cli("sync", "--full", "--project", str(project.folder), env=environment)
    assert result.returncode == 1 and "MB are free, a new generation needs" in result.stderr
    told = run_cli("doctor", "--project", str(project.folder), env=environment)
    assert told.returncode == 1 and "Make room" in told.stdout
