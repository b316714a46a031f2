"""A project that was synced, for a test to spoil."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from jobs.sync import SyncResult
from tests.conftest import Builder

GOOD = "at,id,amount,note\n2026-11-02 10:00:00,1,10.5,a\n2026-11-03 10:00:00,2,20.5,b\n2026-11-04 10:00:00,3,30.5,c\n"
SOURCE = "- {{name: t, type: files, table: t, path: 'files/*'{extra}}}\n"
TOTAL = 61.5


@pytest.fixture(scope="module")
def made_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only."""
    return started(Builder(tmp_path_factory.mktemp("hostile") / "project")).folder


@pytest.fixture
def shop(project: Builder, made_shop: Path) -> Builder:
    """A copy that a test may spoil."""
    shutil.copytree(made_shop, project.folder, symlinks=True, dirs_exist_ok=True)
    return project


def started(project: Builder, extra: str = "", zone: str = "UTC") -> Builder:
    project.settings(f"timezone: {zone}\n")
    (project.folder / "files" / "1.csv").write_text(GOOD)
    (project.folder / "sources.yml").write_text(SOURCE.format(extra=extra))
    project.write("datasets", "t", "name: t\nsource: t\ntime_dimension: at\ndimensions: [note]\n")
    project.kpi("total", "dataset: t\nagg: sum\nexpr: amount\ngrains: [day]")
    project.kpi("n", "dataset: t\nagg: count\ngrains: [hour, day]")
    assert not project.sync().failed
    return project


def total(project: Builder) -> object:
    project._opened = None
    return project.values("total", grain="total")["total"]


def put(project: Builder, content: str | bytes, name: str = "2.csv") -> SyncResult:
    """One more file, then a sync."""
    path = project.folder / "files" / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return project.sync()


def failed(project: Builder, result: SyncResult, *words: str) -> None:
    """The source failed saying these words, and everything is as it was; a good file later mends it."""
    error = result.sources[0].error
    assert result.sources[0].status == "failed" and all(word in error for word in words), error
    assert "Traceback" not in error and not result.published
    assert total(project) == TOTAL
    for path in (project.folder / "files").iterdir():
        if path.name != "1.csv":
            path.unlink() if path.is_file() or path.is_symlink() else path.rmdir()
    again = put(project, GOOD.replace("2026-11-0", "2026-11-1").replace("1,10.5", "4,10.5"), "3.csv")
    assert not again.failed and total(project) == 2 * TOTAL
