"""Files that generations share: a table in them is the table that it would be without, whatever is loaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.cage.cage import cage
from connectors.cage.limits import USUAL
from connectors.errors import DamagedData, LoadError, WarehouseError
from connectors.sources.contract import Batch
from connectors.warehouse.contract import Loading, Warehouse
from connectors.warehouse.duckdb.notes import SHARED, noted, shared_folder
from connectors.warehouse.names import quoted
from connectors.warehouse.open import open_warehouse
from tests.engine.test_incremental import BASE, FOLLOWING, KPIS, History
from tests.sampling import sampled
from tests.warehouse.loads import AT, KEYED, amounts, count, load, options, publish, rows

NEVER = 10**15


def opened(folder: Path, shared_from: int = 1) -> Warehouse:
    folder.mkdir(parents=True, exist_ok=True)
    return open_warehouse("", folder, memory_limit="500MB", threads=1, shared_from=shared_from)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def warehouse(data: Path) -> Warehouse:
    return opened(data)


def file_of(data: Path, generation: str) -> Path:
    return data / "generations" / f"{generation}.duckdb"


def inodes(data: Path, generation: str) -> dict[str, int]:
    """Name → number of each shared file of a generation."""
    folder = shared_folder(file_of(data, generation))
    return {path.name: path.stat().st_ino for path in folder.iterdir()} if folder.is_dir() else {}


# ---- the same rows, whatever is loaded

ids = st.lists(st.integers(0, 40), max_size=6)
operations = st.tuples(
    st.sampled_from(["merge"] * 5 + ["append", "append", "gone", "column", "wider", "anew", "restart", "fail"]), ids
)


def columns_of(loading: Loading) -> dict[str, str]:
    return dict(loading.tables().get("events", {}))


def at(found: list[int]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex([pd.Timestamp("2026-11-01") + pd.Timedelta(hours=i) for i in found])


def loaded(staging: Loading, number: int, kind: str, chosen: list[int]) -> Any:
    """One load, of values that tell which it was: what it returns, or the error."""
    given = sorted(set(chosen))
    frame = pd.DataFrame({"at": at(given), "id": pd.array(given, "int64"), "amount": pd.array([number] * len(given))})
    of, batch, how = KEYED, Batch("events", frame, {}), dict[str, Any]()
    if kind == "append":
        of, batch = options(), Batch("events", frame.assign(id=pd.array([None] * len(given), "Int64")), {})
    elif kind == "gone":
        batch = Batch("events", frame, {}, all_from=("at", datetime(2026, 11, 1, 12)))
        batch = batch if given else Batch("events", rows(13).assign(at=at([13])), {}, all_from=batch.all_from)
    elif kind == "column":
        batch = Batch("events", frame.assign(**{f"c{number % 3}": f"v{number}"}), {})
    elif kind == "wider":
        batch = Batch("events", frame.assign(amount=number + 0.5), {})
    elif kind == "anew":
        frame = pd.DataFrame({"at": at([*range(30)]), "id": np.arange(30), "amount": number})
        batch, how = Batch("events", frame.assign(c0="x", c1=None, c2="y"), {}), {"anew": True, "retype": True}
    elif kind == "restart":
        batch = Batch("events", frame.assign(c0="x", c1="z", c2="y"), {}, restart=True)
    try:
        found = load(staging, of, batch, **how)
        if kind == "fail":
            with staging.transaction():
                load_ = staging.begin_load(of)
                load_.add(batch)
                load_.finish({"at": "lost"})
                raise LoadError("it failed")
    except LoadError as error:
        return str(error)
    return found


def seen(staging: Loading) -> tuple[Any, ...]:
    """All that can be asked of the table, rows in whatever order."""
    columns = columns_of(staging)
    if not columns:
        return ({},)
    names = ", ".join(map(quoted, columns))
    changed = staging.changes("events")
    asked = [f"SELECT {names} FROM events", *([f"SELECT * FROM {changed}"] if changed else [])]
    found = [sorted(map(repr, staging.rows(sql))) for sql in asked]
    return columns, dict(staging.columns("SELECT * FROM events")), bool(changed), changed is None, found


def history(folder: Path, moves: list[list[tuple[str, list[int]]]], shared_from: int) -> list[Any]:
    """What each load said, and what was seen before and after each generation was settled."""
    warehouse, told, number = opened(folder, shared_from), list[Any](), 0
    for day, loads in enumerate(moves):
        with warehouse.staging(AT + timedelta(days=day)) as staging:
            if day == 0:
                told.append(load(staging, KEYED, rows(*range(40)).assign(amount=np.arange(40))))
            for kind, chosen in loads:
                number += 1
                told.append(loaded(staging, number, kind, chosen))
                told.append(seen(staging))
            before = staging.rows("SELECT count(*) FROM events")
            staging._connection.execute("CHECKPOINT")  # type: ignore[attr-defined]
            staging._share()  # type: ignore[attr-defined]
            assert staging.rows("SELECT count(*) FROM events") == before
            told.append(seen(staging))
            staging.publish()
    return told


@sampled(fast=1, slow=3, full=400, shrink=False)
@given(moves=st.lists(st.lists(operations, max_size=4), min_size=2, max_size=6))
def test_every_history_of_loads_is_as_without(
    tmp_path_factory: pytest.TempPathFactory, moves: list[list[tuple[str, list[int]]]]
) -> None:
    folder = tmp_path_factory.mktemp("histories")
    try:
        assert history(folder / "shared", moves, 1) == history(folder / "plain", moves, NEVER)
        assert list((folder / "shared" / "generations").glob(f"*{SHARED}"))
        assert not list((folder / "plain" / "generations").glob(f"*{SHARED}"))
    finally:
        shutil.rmtree(folder)


@pytest.mark.proof
@pytest.mark.slow
@pytest.mark.parametrize("kpis", [KPIS, FOLLOWING], ids=["kpis", "following"])
def test_values_of_tables_in_shared_files_are_those_of_a_full_refresh(tmp_path: Path, kpis: dict[str, str]) -> None:
    history = History(tmp_path / "project", kpis=kpis)
    history.project.settings("timezone: Europe/Berlin\nshare_from: 1KB\n")
    moves: list[tuple[list[tuple[Any, ...]], float]] = [
        ([("move", 3, 12, 0, None, None), ("insert", 91, 8, 2, "web", 1.0)], 1),
        ([("delete", 5, 0, 1, None, None), ("again", 17, 3, 1, "ios", 7.25)], 1),
        ([("insert", 92, 1, 5, "tv", 1.0), ("plan", 1, 0, 2, None, None)], 4),
    ]
    try:
        for operation in BASE:
            history.apply(operation)
        history.sync(timedelta(0))
        for changes, days in moves:
            for operation in changes:
                history.apply(operation)
            history.sync(timedelta(days=days))
            history.check()
        history.check_published()
        generations = sorted((tmp_path / "project" / "data" / "generations").glob(f"*{SHARED}"))
        assert len(generations) == 3
    finally:
        history.close()


# ---- what is shared


def test_a_sync_writes_the_files_of_rows_that_it_touches_and_links_the_others(warehouse: Warehouse, data: Path) -> None:
    first = publish(warehouse, KEYED, rows(*range(160)))
    before = inodes(data, first.id)
    assert len(before) > 8
    new = publish(warehouse, KEYED, rows(200), day=1)
    assert inodes(data, new.id) == before  # what is new lies in the generation's own file
    other = publish(warehouse, KEYED, rows(3, amount=9.0), day=2)
    after = inodes(data, other.id)
    assert len(before.items() - after.items()) == 1 and set(before.items()) & set(after.items())
    assert amounts(warehouse.reader()) == {**dict.fromkeys([*range(160), 200], 1.0), 3: 9.0}
    assert inodes(data, first.id) == before and inodes(data, new.id) == before
    nothing = publish(warehouse, KEYED, rows(3, amount=9.0), day=3)
    assert inodes(data, nothing.id) == after
    everything = warehouse.reader().frame("SELECT * FROM events")
    same = publish(warehouse, KEYED, everything, day=4, anew=True)
    assert inodes(data, same.id) == after
    fewer = publish(warehouse, KEYED, everything.iloc[1:], day=5, anew=True)
    assert not inodes(data, fewer.id).items() & after.items() and count(warehouse.reader()) == 160


@pytest.mark.slow
def test_the_room_of_rows_that_moved_is_given_back(data: Path) -> None:
    number, made = np.arange(400_000), np.random.default_rng(1)
    wide = pd.DataFrame({"id": number, **{f"noise{n}": made.random(len(number)) for n in range(4)}})
    plain = publish(opened(data.parent / "plain", NEVER), KEYED, wide)
    live = publish(opened(data), KEYED, wide)
    size = file_of(data, live.id).stat().st_size
    assert size < file_of(data.parent / "plain", plain.id).stat().st_size / 3
    assert count(opened(data).reader()) == len(number)


def test_a_small_generation_shares_nothing(data: Path) -> None:
    live = publish(opened(data, 100_000_000), KEYED, rows(*range(160)))
    assert inodes(data, live.id) == {} and not shared_folder(file_of(data, live.id)).exists()


@pytest.mark.slow
def test_files_are_copied_where_the_system_links_none(
    warehouse: Warehouse, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise OSError("no links here")

    first = publish(warehouse, KEYED, rows(*range(40)))
    monkeypatch.setattr(os, "link", none)
    second = publish(warehouse, KEYED, rows(41), day=1)
    one, other = inodes(data, first.id), inodes(data, second.id)
    assert set(one) == set(other) and not set(one.values()) & set(other.values())
    kept = [noted(file_of(data, g.id)) for g in (first, second)]
    assert kept[0] is not None and kept[1] is not None and kept[0].shared == kept[1].shared
    assert count(warehouse.reader()) == 41


# ---- readers


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="what is removed is read through /proc")
def test_a_reader_keeps_its_generation_after_it_was_collected(warehouse: Warehouse, data: Path) -> None:
    first = publish(warehouse, KEYED, rows(*range(40)))
    reader = warehouse.reader()
    for day in range(1, 6):
        publish(warehouse, KEYED, rows(*range(40), amount=day + 1.0), day=day)
    assert not file_of(data, first.id).exists() and not shared_folder(file_of(data, first.id)).exists()
    cage(USUAL).close()  # a worker that never had it open
    assert amounts(reader) == dict.fromkeys(range(40), 1.0)
    assert amounts(warehouse.reader()) == dict.fromkeys(range(40), 6.0)
    generations = sorted((data / "generations").glob(f"*{SHARED}"))
    assert len(generations) == 3  # the live one and the two before it
    for path in generations:
        kept = noted(path.with_suffix(".duckdb"))
        assert kept is not None and sorted(kept.shared) == sorted(p.name for p in path.iterdir())


@pytest.mark.breadth(1)
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM {name}.main.rows",
        "SELECT * FROM {name}.rows",
        "SELECT * FROM bellwether_tail.events",
        "SELECT * FROM read_blob('{place}')",
        "SELECT * FROM '{place}'",
    ],
)
def test_a_definition_reads_tables_and_not_their_files(warehouse: Warehouse, data: Path, sql: str) -> None:
    live = publish(warehouse, KEYED, rows(*range(40)))
    place = next(shared_folder(file_of(data, live.id)).iterdir())
    with pytest.raises(WarehouseError):
        warehouse.reader().frame(sql.format(name=place.stem, place=place))


# ---- damage


def removed(place: Path) -> None:
    place.unlink()


def cut(place: Path) -> None:
    os.truncate(place, place.stat().st_size // 2)


def flipped(place: Path) -> None:
    """Bits in every block of its rows."""
    text = bytearray(place.read_bytes())
    for start in range(3 * 4096 + 100, len(text), 4096):
        text[start] ^= 255
    place.write_bytes(text)


@pytest.mark.slow
@pytest.mark.parametrize("harm", [removed, cut])
def test_a_file_that_is_gone_or_cut_is_seen_at_a_glance(
    warehouse: Warehouse, data: Path, harm: Callable[[Path], None]
) -> None:
    """The damaged generation is put aside; the one before it stands in, which shares no file with it."""
    first = publish(warehouse, KEYED, rows(*range(40)))
    live = publish(warehouse, KEYED, rows(*range(40), amount=2.0), day=1)
    harm(next(shared_folder(file_of(data, live.id)).iterdir()))
    again = opened(data)
    assert again.live() == first.id and again.damage()
    assert [c.state for c in again.check()] == ["ok", "damaged"]
    assert amounts(again.reader()) == dict.fromkeys(range(40), 1.0)
    publish(again, KEYED, rows(7, amount=3.0), day=2)
    assert amounts(again.reader()) == {**dict.fromkeys(range(40), 1.0), 7: 3.0} and not again.damage()
    aside = sorted(path.name for path in (data / "damaged").iterdir())
    assert any(name.endswith(SHARED) for name in aside)


@pytest.mark.slow
def test_a_file_that_is_not_what_was_published_is_found_by_its_checksum_and_by_reading(
    warehouse: Warehouse, data: Path
) -> None:
    first = publish(warehouse, KEYED, rows(*range(40)))
    live = publish(warehouse, KEYED, rows(*range(40), amount=2.0), day=1)
    for place in shared_folder(file_of(data, live.id)).iterdir():
        flipped(place)
    with pytest.raises(DamagedData) as told:
        opened(data).reader().frame("SELECT sum(amount), min(at) FROM events")
    assert told.value.again and opened(data).live() == first.id
    assert [c.state for c in opened(data).check()] == ["ok", "damaged"]


@pytest.mark.slow
def test_nothing_is_built_on_a_file_that_somebody_wrote_to(warehouse: Warehouse, data: Path) -> None:
    publish(warehouse, KEYED, rows(*range(40)))
    live = publish(warehouse, KEYED, rows(*range(40), amount=2.0), day=1)
    flipped(next(shared_folder(file_of(data, live.id)).iterdir()))
    publish(opened(data), KEYED, rows(7, amount=3.0), day=2)
    assert amounts(opened(data).reader()) == {**dict.fromkeys(range(40), 1.0), 7: 3.0}


@pytest.mark.slow
def test_what_is_left_of_a_generation_whose_file_is_gone_is_kept(warehouse: Warehouse, data: Path) -> None:
    publish(warehouse, KEYED, rows(*range(40)))
    live = publish(warehouse, KEYED, rows(*range(40), amount=2.0), day=1)
    left = len(inodes(data, live.id))
    file_of(data, live.id).unlink()
    publish(opened(data), KEYED, rows(7, amount=3.0), day=2)
    (aside,) = (data / "damaged").glob(f"*{SHARED}")
    assert left and len(list(aside.iterdir())) == left
