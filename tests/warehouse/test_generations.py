"""What every warehouse promises of generations: whole or not there, kept for who reads them, one made at a time."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from connectors.errors import DamagedData, NoData, SettingsError, SyncRunning, WarehouseError
from connectors.warehouse.contract import COMPANIONS, Warehouse
from connectors.warehouse.engines.terms import Terms
from connectors.warehouse.open import open_warehouse
from tests.conftest import ROOT, known
from tests.warehouse.conftest import Opened
from tests.warehouse.loads import AT, KEYED, amounts, count, load, options, publish, rows

pytestmark = pytest.mark.breadth(14)


def test_before_the_first_publish_there_is_nothing(warehouse: Warehouse) -> None:
    assert warehouse.live() is None and warehouse.live_files() is None
    with pytest.raises(NoData, match="Run `kpi sync`"):
        warehouse.reader()
    assert warehouse.room().live == 0 and warehouse.room().free > 0 and warehouse.room().needed > 0
    assert warehouse.describe()


def test_what_is_published_is_live_under_its_name(warehouse: Warehouse) -> None:
    first = publish(warehouse, options(), rows(1, 2))
    second = publish(warehouse, options(), rows(3), day=1)
    reader = warehouse.reader()
    assert reader.generation == second and warehouse.live() == second.id != first.id
    assert (first.sequence, second.sequence) == (1, 2) and list(reader.generations()) == [first, second]
    assert (first.published_at, second.published_at) == (AT, AT + timedelta(days=1))
    assert count(reader) == 3 and warehouse.room().live > 0


def test_a_companion_goes_with_its_generation(warehouse: Warehouse) -> None:
    made = [publish(warehouse, options(), rows(1), day=0).id]
    for of in COMPANIONS:
        warehouse.companion(made[0], of).write_text(f"computed from it: {of}")
    for day in range(1, 3):
        made.append(publish(warehouse, options(), rows(day + 1), day=day).id)
        assert all(warehouse.companion(made[0], of).read_text().endswith(of) for of in COMPANIONS)
    for day in range(3, 5):
        publish(warehouse, options(), rows(day + 1), day=day)
    assert not any(warehouse.companion(made[0], of).exists() for of in COMPANIONS)


def test_nothing_is_seen_before_it_is_published(warehouse: Warehouse, opened: Opened, tmp_path: Path) -> None:
    publish(warehouse, options(), rows(1, 2))
    before = warehouse.live()
    with warehouse.staging(AT) as staging:
        assert staging.generation.sequence == 2 and [g.sequence for g in staging.generations()] == [1]
        load(staging, options(), rows(3))
        assert count(staging) == 3 and staging.stored_values("n", "day", "", 1) is None
        for other in (warehouse, opened(tmp_path / "data")):
            assert other.live() == before and count(other.reader()) == 2
        staging.publish()
    assert warehouse.live() != before and count(warehouse.reader()) == 3


def test_a_staging_that_is_left_changes_nothing(warehouse: Warehouse) -> None:
    publish(warehouse, options(), rows(1), cursor={"at": "1"})
    before = warehouse.live()
    with warehouse.staging(AT) as staging:
        load(staging, options(), rows(2), cursor={"at": "2"})
        assert staging.cursor("shop") == {"at": "2"}
    with pytest.raises(ZeroDivisionError), warehouse.staging(AT) as staging:
        load(staging, options(), rows(3), cursor={"at": "3"})
        _ = 1 / 0
    assert warehouse.live() == before and count(warehouse.reader()) == 1
    with warehouse.staging(AT) as staging:
        assert staging.cursor("shop") == {"at": "1"} and count(staging) == 1
        assert staging.generation.sequence == 2


def test_a_reader_keeps_its_generation_while_others_are_published(warehouse: Warehouse) -> None:
    publish(warehouse, options(), rows(1, 2, 3))
    old = warehouse.reader()
    for day in range(1, 6):
        publish(warehouse, options(), rows(9), day=day)
        assert count(old) == 3 and old.generation.sequence == 1 and len(old.generations()) == 1
    assert count(warehouse.reader()) == 8
    old.close()


@pytest.mark.breadth(1)
def test_each_kept_generation_says_its_own_text(warehouse: Warehouse) -> None:
    made = []
    for number in range(3):
        with warehouse.staging(AT) as staging:
            load(staging, KEYED, rows(number))
            staging.store_files({"kpi:n": "name: n", **({"audit:head": str(number)} if number else {})})
            made.append(staging.publish().id)
    assert dict(warehouse.kept_texts("audit:head")) == dict(zip(made, [None, "1", "2"], strict=True))


def test_publishing_is_one_step(warehouse: Warehouse) -> None:
    """Who reads meanwhile sees all of one generation: in each, all rows have its number."""
    wrong: list[str] = []
    seen: set[int] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            reader = warehouse.reader()
            number, found = reader.generation.sequence, set(amounts(reader).values())
            state = reader.published_files()
            if found != {float(number)} or state != {"kpi:n": str(number)}:
                wrong.append(f"generation {number} has {found}, {state}")
            seen.add(number)
            reader.close()

    def make(number: int) -> None:
        with warehouse.staging(AT) as staging:
            load(staging, KEYED, rows(*range(500), amount=number))
            staging.store_files({"kpi:n": str(number)})
            staging.publish()

    make(1)
    thread = threading.Thread(target=read)
    thread.start()
    for number in range(2, 9):
        make(number)
    done.set()
    thread.join()
    assert wrong == [] and len(seen) > 1


def test_only_one_generation_is_made_at_a_time(warehouse: Warehouse, opened: Opened, tmp_path: Path) -> None:
    other = opened(tmp_path / "data")
    with warehouse.staging(AT):
        for second in (warehouse, other):
            with pytest.raises(SyncRunning, match="another sync is running"), second.staging(AT):
                pytest.fail("two at once")
        with other.scratch(AT) as scratch:  # looks at a file while a sync runs
            load(scratch, options(), rows(1))
    assert publish(other, options(), rows(1)).sequence == 1


@pytest.mark.parametrize("small", [False, True])
def test_a_scratch_leaves_nothing(warehouse: Warehouse, tmp_path: Path, small: bool) -> None:
    with warehouse.scratch(AT, small=small) as scratch:
        load(scratch, options(), rows(1, 2))
        scratch.settle()
        assert count(scratch) == 2 and list(scratch.tables()) == ["events"]
    assert warehouse.live() is None and list((tmp_path / "data").iterdir()) == []


def test_what_a_backup_keeps_is_live_where_it_is_put_back(warehouse: Warehouse, opened: Opened, tmp_path: Path) -> None:
    publish(warehouse, options(), rows(1), cursor={"at": "1"})
    kept = warehouse.live_files()
    assert kept is not None and kept.generation == warehouse.live()
    publish(warehouse, options(), rows(2), day=1)
    again = tmp_path / "again"
    for name, file in kept.files.items():
        (again / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, again / name)
    restored = opened(again / "data")
    assert restored.damage()  # no pointer yet
    restored.restore(kept.generation)
    assert restored.live() == kept.generation and not restored.damage() and count(restored.reader()) == 1
    with restored.staging(AT) as staging:
        assert staging.cursor("shop") == {"at": "1"} and staging.generation.sequence == 2


def test_what_cannot_be_read_is_not_made_live(warehouse: Warehouse, opened: Opened, tmp_path: Path) -> None:
    publish(warehouse, options(), rows(1))
    kept = warehouse.live_files()
    assert kept is not None
    again = tmp_path / "again"
    for name in kept.files:
        (again / name).parent.mkdir(parents=True, exist_ok=True)
        (again / name).write_text("cut short")
    with pytest.raises(WarehouseError):
        opened(again / "data").restore(kept.generation)
    with pytest.raises(DamagedData):
        opened(again / "data").live()


# ---- what is damaged


def spoil(warehouse: Warehouse, content: bytes = b"not what was written") -> None:
    """Overwrite the live generation's file."""
    for path in known(warehouse.live_files()).files.values():
        path.write_bytes(content)


def lived(warehouse: Warehouse) -> tuple[str, str]:
    """Two generations, of one row and of two; their ids."""
    return publish(warehouse, options(), rows(1)).id, publish(warehouse, options(), rows(2), day=1).id


@pytest.mark.parametrize("content", [b"", b"not what was written"])
def test_a_damaged_live_generation_is_stood_in_for_by_the_one_before(warehouse: Warehouse, content: bytes) -> None:
    before, live = lived(warehouse)
    assert not warehouse.damage()
    spoil(warehouse, content)
    assert warehouse.live() == before and count(warehouse.reader()) == 1
    (told,) = warehouse.damage()
    assert live in told and f"{before} is read instead" in told
    assert [c.state for c in warehouse.check() if c.name == live] == ["damaged"]


def test_a_pointer_that_is_gone_or_garbage_loses_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    _, live = lived(warehouse)
    pointer = tmp_path / "data" / "live"
    for content in (None, b"", b"\xff\xfe\0", b"20200101T000000-none.duckdb", b"x" * 10_000):
        pointer.unlink(missing_ok=True)
        if content is not None:
            pointer.write_bytes(content)
        assert warehouse.live() == live and count(warehouse.reader()) == 2 and warehouse.damage(), content
    assert warehouse.repair() and not warehouse.damage() and warehouse.live() == live


def test_a_staging_begins_with_the_newest_good_generation(warehouse: Warehouse, tmp_path: Path) -> None:
    before, live = lived(warehouse)
    spoil(warehouse)
    publish(warehouse, options(), rows(3, 4), day=2)
    assert count(warehouse.reader()) == 3 and not warehouse.damage()
    kept = [path.name for path in (tmp_path / "data" / "damaged").iterdir()]
    assert any(live in name for name in kept) and not any(before in name for name in kept)
    assert not [c for c in warehouse.check() if c.state == "damaged"]


def test_where_nothing_can_be_read_nothing_begins_anew_but_when_told(warehouse: Warehouse, tmp_path: Path) -> None:
    publish(warehouse, options(), rows(1))
    spoil(warehouse)
    for refused in (warehouse.live, warehouse.reader, warehouse.repair, lambda: publish(warehouse, options(), rows(1))):
        with pytest.raises(DamagedData, match="no generation can be read"):
            refused()
    assert warehouse.damage() and not (tmp_path / "data" / "damaged").exists()
    with warehouse.staging(AT, anew=True) as staging:
        assert staging.generation.sequence == 1 and list(staging.tables()) == []
        load(staging, options(), rows(1, 2, 3))
        staging.publish()
    assert count(warehouse.reader()) == 3 and list((tmp_path / "data" / "damaged").iterdir())


def test_repair_changes_nothing_that_is_good(warehouse: Warehouse) -> None:
    _, live = lived(warehouse)
    assert warehouse.repair() == [] and warehouse.live() == live
    assert {c.state for c in warehouse.check()} == {"ok"} and len(warehouse.check()) == 2


def test_a_frame_has_the_types_that_the_engine_reads(warehouse: Warehouse) -> None:
    publish(warehouse, options(), rows(1, 2, kind=["a", None]))
    reader = warehouse.reader()
    frame = reader.frame('SELECT min("at") AS first, count(*) AS n, sum(amount) AS s, max(kind) AS k FROM "events"')
    assert frame["first"].iloc[0] == pd.Timestamp("2026-11-01") and frame["first"].dtype.kind == "M"
    assert frame["n"].dtype.kind == "i" and frame["s"].iloc[0] == 2.0 and frame["k"].iloc[0] == "a"
    types = {"at": "TIMESTAMP", "id": "BIGINT", "amount": "DOUBLE", "kind": "VARCHAR"}
    assert {name: dict(columns) for name, columns in reader.tables().items()} == {"events": types}
    assert list(reader.tables()["events"]) == list(types)
    asked = reader.columns('SELECT id, amount * 2 AS twice, "at" FROM events')
    assert dict(asked) == {"id": "BIGINT", "twice": "DOUBLE", "at": "TIMESTAMP"}
    for broken in ("SELECT gone FROM events", "SELECT 1 FROM no_table"):
        with pytest.raises(WarehouseError):
            reader.frame(broken)
        with pytest.raises(WarehouseError):
            reader.columns(broken)


def test_threads_share_a_reader(warehouse: Warehouse) -> None:
    publish(warehouse, options(), rows(*range(200)))
    reader = warehouse.reader()
    found: list[int] = []

    def ask() -> None:
        found.extend(count(reader) for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [200] * 80


def test_an_address_that_no_engine_takes_is_refused_without_its_password(tmp_path: Path) -> None:
    terms = Terms({}, lambda sql, _: sql)
    with pytest.raises(SettingsError, match="'mongodb'") as told:
        open_warehouse("mongodb://me:secret@host/db", tmp_path, memory_limit="1GB", threads=1, terms=terms)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("module", ["connectors.warehouse.contract", "connectors.warehouse.open"])
def test_importing_the_contract_loads_no_engine(module: str) -> None:
    code = f"import {module}, sys; print([m for m in ('duckdb', 'pandas', 'pyarrow', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_earlier_one_is_live_again_and_later_ones_are_put_aside(warehouse: Warehouse) -> None:
    """Their numbers are given again, and the newest by number is what is read where the pointer is lost."""
    publish(warehouse, options(), rows(1))
    earlier = warehouse.live()
    assert earlier is not None
    publish(warehouse, options(), rows(2), day=1)
    warehouse.restore(earlier)
    assert warehouse.live() == earlier and [check.name for check in warehouse.check() if check.name != "live"] == [
        earlier
    ]
    with warehouse.staging(AT) as staging:
        assert staging.generation.sequence == 2


def test_nothing_is_made_while_the_lock_is_held(warehouse: Warehouse) -> None:
    with warehouse.held(), pytest.raises(SyncRunning), warehouse.staging(AT):
        pass
    with warehouse.staging(AT), pytest.raises(SyncRunning), warehouse.held():
        pass
