"""kpi upgrade from the data folder of an earlier version, and back; whatever is wrong leaves it as it was."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.errors import KpiError, SyncRunning, UpgradeError
from connectors.state.store import HEAD, StateStore
from jobs.alerts.incidents import read_state
from jobs.operations.backup import restore
from jobs.operations.doctor import doctor
from jobs.operations.upgrade import FOLDER, back, upgrade
from jobs.project.project import Project, open_project
from jobs.scheduler import book
from jobs.sync import sync
from tests.conftest import ROOT, finished, run_cli

RELEASE = ROOT / "tests" / "data" / "upgrade" / "state-0004.zip"
NOW = datetime(2026, 11, 23, 2, 30, tzinfo=UTC)
CSV = "at,v\n" + "".join(f"2026-11-{n:02d} 12:00:00,{100 if n != 21 else 10}\n" for n in range(1, 23))


@pytest.fixture
def old(tmp_path: Path) -> Project:
    """A project of an earlier version, as that version left it."""
    restore(RELEASE, tmp_path / "shop")
    (tmp_path / "shop" / "files").mkdir()
    (tmp_path / "shop" / "files" / "events.csv").write_text(CSV)
    return open_project(tmp_path / "shop")


def again(project: Project) -> Project:
    """As a process that starts now opens it."""
    project.close()
    return open_project(project.folder)


def tables(project: Project) -> dict[str, list[tuple[object, ...]]]:
    """All that the state store holds, as SQLite gives it."""
    with closing(sqlite3.connect(project.data / "state.sqlite")) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in sorted(names)}


def held(project: Project) -> dict[str, str]:
    """Digests of all that a backup holds, the state store by what is in it."""
    files = [p for p in project.folder.rglob("*") if p.is_file() and FOLDER not in p.parts]
    mine = [p for p in files if p.suffix not in (".lock",) and not p.name.startswith("state.sqlite")]
    found = {str(p.relative_to(project.folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in mine}
    return {**found, "state": json.dumps(tables(project), default=str)}


def incidents(project: Project) -> list[tuple[str, str]]:
    return [(item.kpi, item.segment) for item in read_state(project, now=NOW).history]


def test_an_earlier_version_is_taken_here_and_back(old: Project) -> None:
    before = held(old)
    done = upgrade(old, now=NOW)
    assert (done.before, done.after) == ("0004", HEAD) and old.state.version() == HEAD
    assert done.generation == old.warehouse.live() and done.backup.exists()
    new = again(old)
    assert incidents(new) == [("k", "")] and "new_checkout" in {x.name for x in new.catalogue().launches}
    result = finished(sync(new, now=NOW))
    assert result.published and new.warehouse.live() != done.generation
    undone = back(again(new), now=NOW + timedelta(hours=1))
    assert (undone.before, undone.after) == (HEAD, "0004")
    after = held(old)
    assert {name: after.get(name) for name in before} == before
    # The generation that is put aside; companions go with the next sync. The audit's own: what was recorded is undone.
    beside = (str(result.generation), "damaged/", "audit.key", "audit.head")
    assert all(any(part in name for part in beside) for name in after.keys() - before.keys())
    assert open_project(old.folder).warehouse.live() == done.generation
    kept = next((old.data / FOLDER).glob("undone-*"))
    assert StateStore(f"sqlite:///{kept / 'state.sqlite'}").version() == HEAD
    with pytest.raises(UpgradeError, match="there is no upgrade to go back from"):
        back(open_project(old.folder), now=NOW)
    once_more = open_project(old.folder)
    assert upgrade(once_more, now=NOW + timedelta(hours=2)).after == HEAD
    assert finished(sync(again(once_more), now=NOW + timedelta(hours=3))).published
    rows = {row["check"]: row["state"] for row in doctor(again(once_more), now=NOW + timedelta(hours=3))}
    assert rows["generation"] != "failed" and rows["state store"] == "ok"


def a_wrong_definition(project: Project) -> None:
    (project.folder / "kpis" / "k.yml").write_text("name: k\ndataset: nowhere\nagg: sum\nexpr: v\n")


def a_damaged_generation(project: Project) -> None:
    path = next((project.data / "generations").glob("*.duckdb"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    path.write_bytes(content)


def a_store_of_a_later_version(project: Project) -> None:
    with closing(sqlite3.connect(project.data / "state.sqlite")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")


def a_migration_that_fails(project: Project) -> None:
    with closing(sqlite3.connect(project.data / "state.sqlite")) as connection, connection:
        connection.execute("CREATE TABLE service_tokens (x INTEGER)")


@pytest.mark.parametrize(
    "wrong", [a_wrong_definition, a_damaged_generation, a_store_of_a_later_version, a_migration_that_fails]
)
def test_what_is_wrong_is_told_and_nothing_changes(old: Project, wrong: object) -> None:
    wrong(old)  # type: ignore[operator]
    before = held(old)
    with pytest.raises(KpiError):
        upgrade(open_project(old.folder), now=NOW)
    assert held(old) == before and not list((old.data / FOLDER).glob("*.zip"))


def test_it_waits_for_no_sync_and_goes_back_under_no_scheduler(old: Project) -> None:
    before = held(old)
    with old.warehouse.held(), pytest.raises(SyncRunning):
        upgrade(open_project(old.folder), now=NOW)
    assert held(old) == before
    upgrade(old, now=NOW)
    book.write(old.data, book.Book("host:1", NOW, NOW))
    with pytest.raises(UpgradeError, match="a scheduler runs: host:1"):
        back(again(old), now=NOW)
    assert again(old).state.version() == HEAD


@contextmanager
def killed_at(step: str) -> Iterator[list[str]]:
    """A program that goes back and is gone at a step, as by kill -9."""
    yield [
        sys.executable,
        "-c",
        "import os, sys\nfrom connectors.clock import utc_now\nfrom jobs.operations import upgrade\n"
        "from jobs.project.project import open_project\nleft = [int(sys.argv[2])]\nreal = os.replace\n"
        "def replace(a, b):\n    left[0] -= 1\n    os._exit(9) if left[0] < 0 else None\n    real(a, b)\n"
        "os.replace = replace\nupgrade.back(open_project(sys.argv[1]), now=utc_now())\n",
        step,
    ]


@pytest.mark.breadth(2)
@pytest.mark.slow
@pytest.mark.parametrize("step", range(6))
def test_a_way_back_that_was_cut_is_gone_to_the_end_by_the_next(old: Project, step: int) -> None:
    before = held(old)
    upgrade(old, now=NOW)
    finished(sync(again(old), now=NOW))
    with killed_at(str(step)) as program:
        program.insert(-1, str(old.folder))
        cut = subprocess.run(program, cwd=ROOT, check=False, capture_output=True, text=True)
    assert cut.returncode in (0, 9), cut.stderr
    if cut.returncode == 9:
        back(open_project(old.folder), now=NOW + timedelta(hours=1))
    now = held(old)
    assert {k: now.get(k) for k in before} == before


def test_the_verb_says_what_it_did(old: Project) -> None:
    told = run_cli("upgrade", "--json", "--project", str(old.folder), check=True)
    done = json.loads(told.stdout)
    assert (done["before"], done["after"]) == ("0004", HEAD) and Path(done["backup"]).exists()
    gone = run_cli("upgrade", "--back", "--project", str(old.folder), check=True)
    assert f"back: state store {HEAD} to 0004" in gone.stdout and "install the version of before" in gone.stdout
    assert run_cli("upgrade", "--back", "--project", str(old.folder)).returncode == 1


def test_a_database_has_to_be_saved_by_its_own_means(old: Project, postgres: str) -> None:
    url = postgres.replace("postgresql://", "postgresql+psycopg://")
    (old.folder / "settings.yml").write_text(f"timezone: UTC\nname: Shop\nstate: '{url}'\n")
    elsewhere = open_project(old.folder)
    with pytest.raises(UpgradeError, match="in no backup of ours"):
        upgrade(elsewhere, now=NOW)
    done = upgrade(elsewhere, now=NOW, state_saved=True)
    assert done.after == HEAD
    with pytest.raises(UpgradeError, match="in no backup of ours"):
        back(open_project(old.folder), now=NOW)
