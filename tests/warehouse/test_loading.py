"""What every warehouse promises of loading: rows by their mode, what changed, quarantine, cursors, all or nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from connectors.errors import LoadError, SourceError, WarehouseError
from connectors.sources.contract import Batch, FileScan
from connectors.warehouse.contract import Loading, Warehouse
from tests.warehouse.loads import AT, KEYED, amounts, count, load, options, publish, rows


def changed(staging: Loading) -> list[tuple[int, float]]:
    """(id, amount) of the old and new versions of rows that this sync changed."""
    relation = staging.changes("events")
    assert relation
    found = staging.frame(f"SELECT id, amount FROM {relation}")
    return sorted((int(i), float(a)) for i, a in zip(found["id"], found["amount"], strict=True))


# ---- modes


def test_the_first_load_may_have_changed_anything(warehouse: Warehouse) -> None:
    with warehouse.staging(AT) as staging:
        assert staging.changes("events") == ""
        loaded = load(staging, KEYED, rows(1, 2), rows(3))
        assert (loaded.rows, loaded.quarantined) == (3, 0) and staging.changes("events") is None


def test_merge_brings_what_is_new_or_other(warehouse: Warehouse) -> None:
    publish(warehouse, KEYED, rows(*range(20)))
    with warehouse.staging(AT) as staging:
        come = rows(*range(20)).iloc[[3, 5]].assign(amount=[1.0, 9.0])
        assert load(staging, KEYED, come).rows == 1
        assert changed(staging) == [(5, 1.0), (5, 9.0)]
        assert load(staging, KEYED, come).rows == 0 and staging.changes("events") == ""
        assert load(staging, KEYED, rows(20)).rows == 1 and changed(staging) == [(20, 1.0)]
        staging.publish()
    assert amounts(warehouse.reader()) == {**dict.fromkeys(range(21), 1.0), 5: 9.0}


def test_the_last_row_of_a_key_stays(warehouse: Warehouse) -> None:
    publish(warehouse, KEYED, rows(1, 1, amount=2.0), rows(1, 2, amount=7.0))
    assert amounts(warehouse.reader()) == {1: 7.0, 2: 7.0}


def test_append_adds_and_restart_begins_anew(warehouse: Warehouse) -> None:
    publish(warehouse, options(), rows(*range(20)))
    with warehouse.staging(AT) as staging:
        assert load(staging, options(), rows(0)).rows == 1
        assert count(staging) == 21 and changed(staging) == [(0, 1.0)]
        assert load(staging, options(), Batch("events", rows(7), {}, restart=True)).rows == 1
        assert amounts(staging) == {7: 1.0}


def test_rows_that_do_not_come_with_everything_are_gone(warehouse: Warehouse) -> None:
    publish(warehouse, KEYED, rows(*range(20)), anew=True)
    with warehouse.staging(AT) as staging:
        assert load(staging, KEYED, rows(*range(20)), anew=True).rows == 0 and staging.changes("events") == ""
        load(staging, KEYED, rows(*range(19)), anew=True)
        assert count(staging) == 19 and changed(staging) == [(19, 1.0)]


def test_rows_that_are_gone_from_where_all_came_go(warehouse: Warehouse) -> None:
    publish(warehouse, KEYED, rows(*range(20)))
    with warehouse.staging(AT) as staging:
        come = rows(*range(20)).iloc[[15, 16, 18, 19]].assign(amount=[1.0, 1.0, 5.0, 1.0])
        start = ("at", datetime(2026, 11, 1, 15))
        assert load(staging, KEYED, Batch("events", come, {}, all_from=start)).rows == 1
        assert changed(staging) == [(17, 1.0), (18, 1.0), (18, 5.0)] and count(staging) == 19
        assert load(staging, KEYED, Batch("events", come, {}, all_from=start)).rows == 0
        assert staging.changes("events") == ""
        fewer = Batch("events", come.iloc[:3], {}, all_from=start)
        assert load(staging, KEYED, fewer).rows == 0 and changed(staging) == [(19, 1.0)]
        assert list(amounts(staging)) == [*range(17), 18]


def test_no_batch_changes_nothing_but_the_time(warehouse: Warehouse) -> None:
    publish(warehouse, options(), rows(1), cursor={"at": "1"})
    with warehouse.staging(AT + timedelta(days=1)) as staging:
        assert load(staging, options()).rows == 0 and staging.changes("events") == ""
        assert staging.cursor("shop") == {"at": "1"} and staging.pulled_at() == {"shop": AT + timedelta(days=1)}
        assert count(staging) == 1


# ---- what comes


def test_rows_come_as_frames_arrow_and_files(warehouse: Warehouse, tmp_path: Path) -> None:
    rows(3).to_parquet(tmp_path / "t.parquet", index=False)
    (tmp_path / "t.csv").write_text("at,id,amount\n2026-11-01 00:00:00,4,1.5\n2026-11-01 01:00:00,5,\n")
    scans = [FileScan(tmp_path / f"t.{kind}", f"t.{kind}", kind) for kind in ("parquet", "csv")]
    arrow = pa.Table.from_pandas(rows(2), preserve_index=False)
    publish(warehouse, options(), *(Batch("events", given, {}) for given in (rows(1), arrow, *scans)))
    found = warehouse.reader().frame(
        "SELECT count(*) AS n, count(amount) AS a, sum(id) AS s, max(amount) AS m FROM events"
    )
    assert found.iloc[0].tolist() == [5, 4, 15, 1.5]
    assert dict(warehouse.reader().tables()["events"]) == {"at": "TIMESTAMP", "id": "BIGINT", "amount": "DOUBLE"}


def test_a_file_that_cannot_be_read_is_told_by_its_name(warehouse: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "pulled-7.tmp").write_text("this is no Parquet file")
    scan = FileScan(tmp_path / "pulled-7.tmp", "orders.parquet", "parquet")
    with warehouse.staging(AT) as staging:
        with pytest.raises(SourceError, match=r"orders\.parquet cannot be read"):
            load(staging, options(), Batch("events", scan, {}))
        assert dict(staging.tables()) == {} and staging.pulled_at() == {}


def test_columns_are_renamed_hashed_and_dropped(warehouse: Warehouse) -> None:
    rules = {"amount": "eur", "mail": "hash", "secret": "drop"}
    given = rows(1, 2, mail=["a@example.com", None], secret="x")
    publish(warehouse, options(columns=rules), given)
    with warehouse.staging(AT) as staging:
        load(staging, options(columns=rules), given)
        assert list(staging.tables()["events"]) == ["at", "id", "eur", "mail"]
        found = staging.frame("SELECT mail FROM events WHERE id = 1")["mail"].iloc[0]
        assert len(found) == 64 and int(found, 16)
        assert staging.frame("SELECT count(mail) AS n FROM events")["n"].iloc[0] == 2


def test_a_new_column_is_unknown_in_older_rows(warehouse: Warehouse) -> None:
    publish(warehouse, options(), rows(1))
    publish(warehouse, options(), rows(2, kind="b"))
    found = warehouse.reader().frame("SELECT kind FROM events ORDER BY id")["kind"]
    assert pd.isna(found[0]) and found[1] == "b"


def test_a_type_that_does_not_fit_is_refused_unless_types_are_found_anew(warehouse: Warehouse) -> None:
    publish(warehouse, options(), rows(1, 2))
    texts = rows(3).assign(amount=["much"])
    with warehouse.staging(AT) as staging:
        with pytest.raises(LoadError, match="'amount' is VARCHAR in the source and DOUBLE in the table"):
            load(staging, options(), texts)
        assert count(staging) == 2 and staging.changes("events") == ""
        load(staging, options(), texts, anew=True, retype=True)
        assert count(staging) == 1 and staging.tables()["events"]["amount"] == "VARCHAR"


# ---- quarantine


def test_rows_without_a_key_are_loaded_and_told_and_come_once(warehouse: Warehouse) -> None:
    with warehouse.staging(AT) as staging:
        loaded = load(staging, KEYED, rows(1, None, 3, None))
        assert (loaded.rows, loaded.quarantined) == (4, 0) and "2 rows have no 'id'" in loaded.notes[0]
        staging.publish()
    newer = rows(1, amount=2.0).astype({"id": "float64"})
    with warehouse.staging(AT + timedelta(days=1)) as staging:
        again = load(staging, KEYED, rows(1, None, 3, None), newer)  # a look back, and a new version
        assert again.rows == 1 and count(staging) == 4


def test_a_value_of_another_type_than_it_must_have_is_put_aside_once(warehouse: Warehouse) -> None:
    given = rows(*range(40)).assign(amount=["1"] * 39 + ["much"])
    batch = Batch("events", given, {}, types={"amount": "DOUBLE"})
    publish(warehouse, KEYED, batch)
    with warehouse.staging(AT) as staging:
        assert load(staging, KEYED, batch).quarantined == 0  # a look back brings it again
        assert count(staging) == 39 and len(staging.quarantine()) == 1
        load(staging, KEYED, rows(*range(40)), anew=True)  # everything is judged anew
        assert len(staging.quarantine()) == 0 and count(staging) == 40


def test_a_broken_cell_of_a_file_is_put_aside_with_its_line(warehouse: Warehouse, tmp_path: Path) -> None:
    publish(warehouse, options(), rows(1))
    lines = [f"2026-11-01 00:00:00,{i},{'much' if i == 17 else '2.5'}" for i in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["at,id,amount", *lines]) + "\n")
    publish(warehouse, options(), Batch("events", FileScan(tmp_path / "t.csv", "t.csv", "csv"), {}))
    reader = warehouse.reader()
    assert reader.quarantine()[["file", "line", "column_name"]].values.tolist() == [["t.csv", 19, "amount"]]
    assert count(reader) == 40 and reader.tables()["events"]["amount"] == "DOUBLE"


# ---- all or nothing


def test_a_source_that_fails_half_way_leaves_everything_as_it_was(warehouse: Warehouse) -> None:
    first = Batch("events", rows(*range(1, 12)).assign(amount=["1"] * 10 + ["much"]), {}, types={"amount": "DOUBLE"})
    publish(warehouse, KEYED, first, cursor={"at": "1"}, anew=True)
    with warehouse.staging(AT + timedelta(days=1)) as staging:
        with pytest.raises(SourceError), staging.transaction():
            begun = staging.begin_load(KEYED, anew=True)
            begun.add(Batch("events", rows(2, 3, 4), {"at": "2"}))
            raise SourceError("the line is dead")
        assert amounts(staging) == dict.fromkeys(range(1, 11), 1.0) and staging.changes("events") == ""
        assert len(staging.quarantine()) == 1
        assert staging.cursor("shop") == {"at": "1"}
        assert staging.last_full("shop") == AT and staging.pulled_at() == {"shop": AT}
        load(staging, options(name="other", table="more"), rows(9), cursor={"page": "1"})  # the others go on
        staging.publish()
    reader = warehouse.reader()
    assert amounts(reader) == dict.fromkeys(range(1, 11), 1.0) and count(reader, "more") == 1


def test_a_source_that_fails_after_it_was_loaded_is_taken_back_whole(warehouse: Warehouse) -> None:
    publish(warehouse, KEYED, rows(1), cursor={"at": "1"})
    with warehouse.staging(AT) as staging:
        with pytest.raises(KeyboardInterrupt), staging.transaction():
            begun = staging.begin_load(KEYED)
            begun.add(Batch("events", rows(2), {}))
            begun.finish({"at": "2"})
            raise KeyboardInterrupt
        assert amounts(staging) == {1: 1.0} and staging.cursor("shop") == {"at": "1"}


def test_rows_are_values_of_python(warehouse: Warehouse) -> None:
    with warehouse.staging(AT) as staging:
        load(staging, options(), rows(1, 2), cursor={"at": "1"})
        found = staging.rows("SELECT count(*), max(amount), NULL FROM events")
        assert found == [(2, 1.0, None)] and [type(v) for v in found[0]] == [int, float, type(None)]
        with pytest.raises(WarehouseError):
            staging.rows("SELECT nothing_like_it FROM orders")


def test_cursors_and_times_are_those_of_the_generation(warehouse: Warehouse) -> None:
    def books(staging: Loading) -> tuple[Any, ...]:
        return dict(staging.cursor("shop")), staging.last_full("shop"), dict(staging.pulled_at())

    with warehouse.staging(AT) as staging:
        assert books(staging) == ({}, None, {})
    publish(warehouse, options(), rows(1), cursor={"at": "1"}, anew=True)
    next_day = AT + timedelta(days=1)
    publish(warehouse, options(), rows(2), cursor={"at": "2"}, day=1)
    with warehouse.staging(AT + timedelta(days=2)) as staging:
        assert books(staging) == ({"at": "2"}, AT, {"shop": next_day})
        load(staging, options(), rows(3), cursor={"at": "3"}, anew=True)
        assert books(staging)[:2] == ({"at": "3"}, AT + timedelta(days=2))
    with warehouse.staging(AT + timedelta(days=3)) as staging:  # that one was not published
        assert books(staging) == ({"at": "2"}, AT, {"shop": next_day})
