"""A project with three generations, an incident and a launch, made once; each test spoils a copy."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from connectors.errors import KpiError
from jobs.alerts.incidents import read_state
from jobs.project.project import Project
from tests.conftest import NOW, Builder, run_cli

DAYS = 10
LONGEST = 60  # seconds that anything here may take before it counts as hanging


class Shop:
    """A project, and what is asked of it after each fault."""

    def __init__(self, builder: Builder) -> None:
        self.builder, self.folder = builder, builder.folder
        self.data = builder.folder / "data"
        self.generations = self.data / "generations"
        self.state = self.data / "state.sqlite"

    def open(self) -> Project:
        return self.builder.open()

    def ids(self) -> list[str]:
        """Generations by number."""
        return [g.id for g in self.open().reader().generations()]

    def file(self, id_: str) -> Path:
        return self.generations / f"{id_}.duckdb"

    @property
    def live(self) -> Path:
        return self.generations / os.readlink(self.data / "live").rpartition("/")[2]

    def total(self) -> float:
        """What a reader sees: the sum over all days, of stored values."""
        self.builder._opened = None
        gc.collect()  # the engine shares a file among the readers of a process: those before are gone
        return float(self.builder.values("total", grain="total")["total"])

    def put(self, days: int) -> None:
        rows(days).to_parquet(self.folder / "files" / "t.parquet", index=False)

    def kpi(self, *arguments: str, status: int = 0) -> str:
        """What a verb says, both ways; it never shows a traceback."""
        done = run_cli(*arguments, "--project", str(self.folder))
        said = done.stdout + done.stderr
        assert done.returncode == status, said
        assert "Traceback" not in said and "unexpected" not in said
        return said

    def recovered(self, days: int = DAYS + 1) -> None:
        """The next sync ends well, everything is there, nothing is wrong any more."""
        self.put(days)
        assert not self.builder.sync(now=NOW + timedelta(hours=1)).failed
        assert self.total() == days and self.open().warnings() == () and self.incidents() >= 1

    def incidents(self) -> int:
        return len(read_state(self.open(), now=NOW).history)

    def kept_aside(self) -> list[str]:
        return sorted(path.name for path in (self.data / "damaged").glob("*") if path.suffix != ".sum")


def rows(days: int) -> pd.DataFrame:
    at = pd.date_range("2026-11-01", periods=days) + pd.Timedelta(hours=12)
    return pd.DataFrame({"at": at, "v": 1.0})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only."""
    builder = Builder(tmp_path_factory.mktemp("made") / "project")
    shop = Shop(builder)
    builder.rows("t", rows(1), watermark="whole_days")
    builder.kpi("total", 'dataset: t\nagg: sum\nexpr: v\ngrains: [day]\nthresholds: {critical: "< 5"}')
    for days in (DAYS - 2, DAYS - 1, DAYS):
        shop.put(days)
        assert builder.sync(now=NOW - timedelta(hours=DAYS - days)).published
    assert shop.total() == DAYS and shop.incidents() == 1 and shop.open().warnings() == ()
    return builder.folder


@pytest.fixture
def shop(project: Builder, made: Path) -> Shop:
    """A copy that a test may spoil."""
    shutil.copytree(made, project.folder, symlinks=True, dirs_exist_ok=True)
    return Shop(project)


@pytest.fixture(autouse=True)
def _never_hangs() -> Iterator[None]:
    def late(*_: object) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LONGEST)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def next_case() -> None:
    """A test of many cases has the time anew for each."""
    signal.alarm(LONGEST)


def refused(shop: Shop, *words: str) -> None:
    """No reader and no sync goes on as if nothing had been there; they say what to do."""
    for ask in (shop.total, shop.open().has_data, shop.builder.sync):
        with pytest.raises(KpiError) as told:
            ask()
        assert all(word in str(told.value) for word in words), told.value
