"""What lies in the data folder: files of generations, their pointer, and nothing of syncs that died."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from connectors.cage.cage import cage
from connectors.errors import DamagedData, WarehouseError
from connectors.warehouse.duckdb.computing import SPILL
from connectors.warehouse.duckdb.generations import Generations
from connectors.warehouse.duckdb.notes import SUM
from connectors.warehouse.duckdb.reader import BOOKS
from connectors.warehouse.open import open_warehouse
from tests.conftest import NOW, ROOT, Builder

pytestmark = pytest.mark.breadth(2)


def put(project: Builder, days: int) -> None:
    frame = pd.DataFrame({"at": pd.date_range("2026-11-01", periods=days, freq="D"), "amount": range(days)})
    frame.to_parquet(project.folder / "files" / "events.parquet", index=False)


@pytest.fixture
def small(project: Builder) -> Builder:
    project.rows("events", pd.DataFrame({"at": pd.date_range("2026-11-01", periods=5), "amount": range(5)}))
    project.kpi("n", "dataset: events\nagg: count")
    project.sync()
    return project


def test_two_generations_before_the_live_one_are_kept_and_orphans_go(small: Builder) -> None:
    generations = Generations(small.folder / "data")
    orphan = generations.folder / "20260101T000000-deadbeef.staging"
    orphan.write_text("left by a sync that died")
    Path(f"{orphan}.wal").write_text("its log")
    for days in range(6, 11):
        put(small, days)
        small.sync(now=NOW + timedelta(days=20 - days))  # a clock set back must not matter
    names = sorted(p.name for p in generations.folder.glob("*.duckdb"))
    assert len(names) == 3 == len(list(generations.folder.glob(f"*{SUM}"))) and not any("deadbeef" in n for n in names)
    assert f"{small.open().warehouse.live()}.duckdb" in names


def test_a_file_that_is_no_generation_does_not_become_live(small: Builder, tmp_path: Path) -> None:
    warehouse = open_warehouse("", tmp_path / "data", memory_limit="1GB", threads=1)
    (tmp_path / "data" / "generations").mkdir(parents=True)
    (tmp_path / "data" / "generations" / "x.duckdb").write_text("this is no DuckDB file")
    with pytest.raises(WarehouseError, match="is no DuckDB file"):
        warehouse.restore("x")
    with pytest.raises(DamagedData, match="kpi sync --anew"):
        warehouse.live()


@pytest.mark.parametrize("links", [True, False])
def test_the_pointer_is_a_link_or_a_file(small: Builder, links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError

    if not links:
        monkeypatch.setattr(Path, "symlink_to", none)
    put(small, 6)
    said = small.open().warehouse.describe()
    published = small.sync().generation
    pointer = small.folder / "data" / "live"
    assert pointer.is_symlink() == links and ("pointer file" not in said) == links
    assert small.open().warehouse.live() == published == small.open().reader().generation.id
    assert not list(pointer.parent.glob(".doctor*"))


def test_a_generation_of_an_earlier_version_is_read_and_the_next_sync_goes_on(small: Builder) -> None:
    """It knows of no `since`: its datasets begin with their first row."""
    file = small.folder / "data" / "generations" / f"{small.open().warehouse.live()}.duckdb"
    cage(small.open().settings.limits).close()  # whose workers have it open
    file.with_suffix(SUM).unlink()
    with duckdb.connect(str(file)) as connection:
        for column in ("since", "source_first_at"):
            connection.execute(f"ALTER TABLE {BOOKS}.dataset_states DROP COLUMN {column}")
    state = small.open().reader().dataset_states(1)["events"]
    assert state.first_at is not None and state.since is None and state.source_first_at is None
    assert (
        small.ask("n", grain="month", facts=True).frame["complete"].iloc[0] == small.ask("n").frame["complete"].iloc[-1]
    )
    put(small, 6)
    assert small.sync(now=NOW + timedelta(days=1)).published
    assert small.open().reader().dataset_states(2)["events"].source_first_at == state.first_at


SPILLING = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from connectors.clock import utc_now
from connectors.warehouse.open import open_warehouse
with open_warehouse("", Path({data!r}), memory_limit="100MB", threads=1).staging(utc_now()) as staging:
    staging._connection.execute("CREATE TABLE t AS SELECT range AS id, hash(range)::VARCHAR AS a FROM range(2000000)")
    staging._connection.execute("SELECT row_number() OVER (ORDER BY a, id) AS r, a FROM t")
    print("spilled", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_sync_spilled_goes_with_the_next_one(project: Builder) -> None:
    """Its folder is in the data folder, and bears the number of its process."""
    data = project.folder / "data"
    script = SPILLING.format(root=str(ROOT), data=str(data))
    data.mkdir(exist_ok=True)
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline().strip() == "spilled"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    left = list(data.glob(f"{SPILL}*"))
    assert len(left) == 1 and left[0].name.endswith(f"-{process.pid}") and any(left[0].iterdir())
    with project.open().warehouse.staging(NOW):
        assert not left[0].exists()
