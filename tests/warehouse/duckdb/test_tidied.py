"""Room that removed rows take is given back every so many generations, not by each."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from connectors.warehouse.duckdb import tables
from connectors.warehouse.open import open_warehouse
from tests.warehouse.loads import KEYED, amounts, publish, rows

KEYS, EVERY = 70_000, 4


def row_groups(data: Path) -> int:
    with duckdb.connect(str(data / "live"), read_only=True) as connection:
        found = connection.execute("SELECT count(DISTINCT row_group_id) FROM pragma_storage_info('events')").fetchone()
        return int(found[0]) if found else 0


def test_what_was_replaced_is_given_back_by_every_so_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "TIDIED_EVERY", EVERY)
    (tmp_path / "data").mkdir()
    warehouse = open_warehouse("", tmp_path / "data", memory_limit="1GB", threads=1)
    groups, last = list[int](), dict[int, float]()
    for sync in range(EVERY):
        ids = range(KEYS) if sync == 0 else range(sync % 3, KEYS, 2)
        last.update(dict.fromkeys(ids, float(sync)))
        publish(warehouse, KEYED, rows(*ids, amount=float(sync)), day=sync)
        groups.append(row_groups(tmp_path / "data"))
    assert max(groups[:-1]) > 1 == groups[-1]
    reader = warehouse.reader()
    assert amounts(reader) == last
    reader.close()
