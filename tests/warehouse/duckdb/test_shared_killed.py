"""kill -9 while generations share files: nothing that was published is lost, and what was left half-made goes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from connectors.warehouse.contract import COMPANIONS
from connectors.warehouse.duckdb.notes import SHARED, SUM, noted
from tests.conftest import KPI, ROOT, Builder
from tests.sampling import SEED, cases

pytestmark = pytest.mark.slow
A_DAY = 400  # rows
Rows = dict[int, int]  # id → number


class Days:
    """A table whose files come one a day, keyed; each brings a few rows of days before, changed."""

    def __init__(self, project: Builder) -> None:
        self.project, self.choose = project, random.Random(SEED)
        self.states: list[Rows] = [{}]
        project.settings("timezone: UTC\nshare_from: 1KB\n")
        path = "{name: events, type: files, table: events, path: 'files/*.parquet', primary_key: id, load: merge}"
        project.source(f"- {path}")
        project.write("datasets", "events", "name: events\nsource: events\ntime_dimension: at\n")
        project.kpi("n", "dataset: events\nagg: count\ngrains: [day]")
        self.bring()
        project.sync()

    def bring(self) -> None:
        """The next day's file."""
        number = len(self.states)
        new = range((number - 1) * A_DAY, number * A_DAY)
        old = self.choose.sample(sorted(self.states[-1]), 3) if self.states[-1] else []
        ids = [*new, *old]
        at = [pd.Timestamp("2026-10-01") + pd.Timedelta(minutes=3 * i) for i in ids]
        fresh = self.project.folder / "files" / ".fresh"
        pd.DataFrame({"at": at, "id": ids, "number": number}).to_parquet(fresh, index=False)
        os.replace(fresh, self.project.folder / "files" / f"day{number:04}.parquet")
        self.states.append({**self.states[-1], **dict.fromkeys(ids, number)})

    def live(self) -> Rows:
        """What is published, as a new process reads it."""
        found = self.project.open().reader().frame("SELECT id, number FROM events")
        assert found["id"].is_unique
        return dict(zip(found["id"].tolist(), found["number"].tolist(), strict=True))

    def whole(self) -> None:
        """Every generation that is kept is what was published, and nothing else lies there."""
        folder = self.project.folder / "data" / "generations"
        assert {check.state for check in self.project.open().warehouse.check()} == {"ok"}
        kept = sorted(folder.glob("*.duckdb"))
        assert {path.stem for path in folder.iterdir()} == {path.stem for path in kept} and len(kept) <= 3
        assert {path.suffix for path in folder.iterdir()} <= {".duckdb", SUM, SHARED, *(f".{of}" for of in COMPANIONS)}
        for path in kept:
            note = noted(path)
            assert note is not None and note.shared
            assert set(note.shared) == {file.name for file in path.with_suffix(SHARED).iterdir()}


KILLED = """
import os, sys
sys.path.insert(0, {root!r})
import shutil
from connectors.warehouse.duckdb import generations, shared, staging
place, nth, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
where = {{"link": (os, "link"), "file": (shared.SharedTable, "_made"), "shown": (shared.SharedTable, "show"),
         "brought": (shared.SharedTable, "bring_back"), "compact": (shared, "compact"), "swap": (os, "replace"),
         "only": (generations.Generations, "_only"), "collect": (shutil, "rmtree")}}
owner, name = where[place]
real, seen = getattr(owner, name), [0]
def call(*a, **k):
    seen[0] += name != "rmtree" or str(a[0]).endswith(".shared")
    if seen[0] >= nth:
        os.kill(os.getpid(), 9)
    return real(*a, **k)
setattr(owner, name, call)
from connectors.clock import utc_now
from jobs.project.project import open_project
from jobs.sync import sync
list(sync(open_project(folder), now=utc_now()))
"""
PLACES = ["link 1", "link 4", "file 1", "brought 1", "shown 1", "compact 1", "swap 1", "only 1", "collect 1"]


@pytest.mark.breadth(3)
@pytest.mark.parametrize("place", PLACES)
def test_killed_at_each_step_with_shared_files_nothing_is_lost(project: Builder, place: str) -> None:
    days = Days(project)
    for _ in range(3 if place.startswith("collect") else 1):  # then there is a generation to collect
        days.bring()
        assert not project.sync().failed
    days.bring()
    name, nth = place.split()
    command = [sys.executable, "-c", KILLED.format(root=str(ROOT)), name, nth, str(project.folder)]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert days.live() in days.states[-2:]
    days.bring()
    assert not project.sync().failed
    assert days.live() == days.states[-1]
    days.whole()


KILLS = cases(fast=0, slow=5, full=100)


@pytest.mark.sampled(KILLS)
def test_killed_at_random_moments_with_shared_files_nothing_is_lost(project: Builder) -> None:
    days = Days(project)
    command = [*KPI, "sync", "--project", str(project.folder)]
    days.bring()
    before = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    took, killed, live = time.monotonic() - before, 0, len(days.states) - 1
    held = project.open().reader()
    for _ in range(5 * KILLS):
        if killed == KILLS:
            break
        days.bring()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(took * days.choose.uniform(0.2, 1.0))
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        found = days.live()
        assert found in (days.states[live], days.states[-1])  # killed after the pointer moved, it is published
        live = days.states.index(found)
    assert killed == KILLS
    days.bring()
    assert not project.sync().failed
    assert days.live() == days.states[-1]
    days.whole()
    if Path("/proc/self/fd").exists():  # what a reader holds is not collected from under it
        assert int(held.frame("SELECT count(*) AS n FROM events")["n"].iloc[0]) == len(days.states[2])
