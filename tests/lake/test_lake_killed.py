"""kill -9 while a sync writes into a lake: what is live names whole files only, and what nobody names goes."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.warehouse.lake import days, manifest
from connectors.warehouse.lake.bucket import MADE
from connectors.warehouse.lake.warehouse import LakeWarehouse
from tests.conftest import ROOT, known
from tests.engines.servers import needed
from tests.lake.lakes import LakeShop, Rows, of_days, rows_in
from tests.lake.places import BucketPlace
from tests.sampling import SEED, cases

pytestmark = pytest.mark.slow
SYNC = """
import sys
sys.path.insert(0, {root!r})
from datetime import datetime
from connectors.warehouse.lake import days
days.LEAST_ROWS = 10
{before}
from jobs.project.project import open_project
from jobs.sync import sync
list(sync(open_project(sys.argv[1]), now=datetime.fromisoformat(sys.argv[2])))
"""
KILL = """
import os
from pathlib import Path
from connectors.warehouse.duckdb import generations, staging
from connectors.warehouse.lake import bucket, folder, warehouse
place, nth, kind = sys.argv[3], int(sys.argv[4]), sys.argv[5]
store = bucket.LakeBucket if kind == "bucket" else folder.LakeFolder
where = {"claim": (store, "claim"), "collect": (store, "remove"), "half": (staging.DuckStaging, "export"),
         "written": (folder, "fsync"), "made": (store, "_send"), "sending": (bucket.shutil, "copyfileobj"),
         "sent": (store, "sizes"),
         "settled": (staging.DuckStaging, "settle"), "published": (generations.Generations, "publish"),
         "pointed": (generations.Generations, "point")}
owner, name = where[place]
real, seen = getattr(owner, name), [0]
def call(*a, **k):
    if place == "sending" and not a[0].name.endswith(bucket.MADE):
        return real(*a, **k)  # another's copy
    seen[0] += 1
    if seen[0] == nth:
        if place == "half":
            real(*a, **k)
            file = a[-1]  # as where the process dies while it writes
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        if place == "sending":
            content = a[0].read()
            a[1].write(content[: len(content) // 2])
        os.kill(os.getpid(), 9)
    return real(*a, **k)
setattr(owner, name, call)
"""
PLACES = ["claim 1", "collect 1", "collect 2", "half 1", "half 2", "half 3", "settled 1", "published 1", "pointed 1"]
OF_ONE = {"folder": ["written 1", "written 4"], "bucket": ["made 1", "sending 1", "sending 3", "sent 2", "sent 3"]}
KINDS = ("folder", "bucket")[: cases(fast=1, slow=1, full=2)]
# In `make slow` what a bucket shares with a folder is asked of a folder.
KILLED = [(kind, place) for kind in OF_ONE for place in (PLACES if kind in KINDS else []) + OF_ONE[kind]]


@pytest.fixture
def kind() -> str:
    """Where the lake is; a test may say another."""
    return "folder"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> LakeShop:
    monkeypatch.setattr(days, "LEAST_ROWS", 10)
    return LakeShop(tmp_path / "shop", BucketPlace() if kind == "bucket" else None)


class Days:
    """A table that grows by a day at a time, and changes in days before."""

    def __init__(self, shop: LakeShop) -> None:
        self.shop, self.choose = shop, random.Random(SEED)
        self.states: list[Rows] = [of_days(1, 2, 3, 4)]
        shop.write(self.states[0])
        self.run()

    def bring(self) -> None:
        rows = dict(self.states[-1])
        for key in self.choose.sample(sorted(rows), 3):
            rows[key] = (rows[key][0], rows[key][1] + 1)
        self.states.append(rows | of_days(len(self.states) + 4))
        self.shop.now += timedelta(days=1)  # else a hundred days later the last ones would lie ahead of the clock
        self.shop.write(self.states[-1])

    def command(self, *kill: str) -> list[str]:
        self.shop.now += timedelta(minutes=1)
        code = SYNC.format(root=str(ROOT), before=KILL if kill else "")
        return [sys.executable, "-c", code, str(self.shop.built.folder), self.shop.now.isoformat(), *kill]

    def run(self) -> None:
        assert not self.shop.sync().failed

    def live(self) -> Rows:
        """What is published. Fails where a file that it names is not whole."""
        return rows_in(self.shop.manifest())

    def clean(self) -> None:
        """Another sync brings what is there, and nothing lies in the lake that three generations do not name."""
        self.bring()
        self.run()
        assert self.live() == self.states[-1]
        for _ in range(3):
            self.bring()
            self.run()
        self.run()  # collects what only an older one named
        assert not (self.shop.built.folder / "data" / MADE).exists()
        generations = list((self.shop.built.folder / "data" / "generations").glob("*.duckdb"))
        named = {name for path in generations for name in self.named(path)}
        assert len(generations) == 3 and self.shop.found() == named

    def named(self, generation: Path) -> frozenset[str]:
        """Files of one generation that is kept."""
        warehouse = self.shop.open().warehouse
        assert isinstance(warehouse, LakeWarehouse)
        return manifest.read(known(warehouse._here.kept_texts(manifest.KEPT)[generation.stem])).names()


@pytest.mark.breadth(3)
@pytest.mark.parametrize(("kind", "place"), KILLED)
def test_killed_at_each_step_a_sync_publishes_whole_files_or_none(shop: LakeShop, kind: str, place: str) -> None:
    table = Days(shop)
    for _ in range(4 if place.startswith("collect") else 1):  # then there is something to collect
        table.bring()
        table.run()
    table.bring()
    process = subprocess.run(table.command(*place.split(), kind), capture_output=True, text=True)
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert table.live() == table.states[-2]
    table.clean()


KILLS = cases(fast=0, slow=3, full=100)


@pytest.mark.sampled(KILLS)
@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_random_moments_values_are_of_before_or_after(shop: LakeShop) -> None:
    needed("chdb")
    shop.built.write("datasets", "events", "name: events\nsource: events\ntime_dimension: at\n")
    shop.built.kpi("sales", "dataset: events\nagg: sum\nexpr: amount\ngrains: [day]")
    table = Days(shop)
    table.bring()
    before = time.monotonic()
    subprocess.run(table.command(), check=True, capture_output=True)
    took, killed, live = time.monotonic() - before, 0, len(table.states) - 1
    for _ in range(5 * KILLS):
        if killed == KILLS:
            break
        table.bring()
        process = subprocess.Popen(table.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(took * table.choose.uniform(0.2, 1.0))
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        found = table.live()
        assert found in (table.states[live], table.states[-1])
        live = table.states.index(found)
        assert stored(shop) == by_day(found)
    assert killed == KILLS
    table.clean()
    assert stored(shop) == by_day(table.states[-1])


def stored(shop: LakeShop) -> dict[str, float]:
    reader = shop.open().reader()
    series = known(reader.stored_values("sales", "day", "", reader.generation.sequence)).frame
    return {f"{row.period:%Y-%m-%d}": row.value for row in series.itertuples() if row.n}


def by_day(rows: Rows) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    for at, amount in rows.values():
        found[f"{known(at):%Y-%m-%d}"] += amount
    return dict(found)
