"""What of an engine's answer may become a roll-up here: rows that are still those of whom they are of."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from connectors.warehouse.engines import arrow
from connectors.warehouse.engines.reached import SYNC, ReachedEngine
from connectors.warehouse.engines.staging import EngineStaging
from connectors.warehouse.open import open_warehouse
from tests.conftest import NOW

LONG = 2**60


@pytest.mark.parametrize(
    ("ids", "comes"),
    [
        (pa.array([LONG, LONG + 1]), True),
        (pa.array([LONG, LONG + 1, None]), False),  # floats in a frame: two people would be one
        (pa.array([Decimal(LONG), Decimal(LONG + 1)], pa.decimal128(20, 0)), False),
        (pa.array([1, 2], pa.uint64()), True),
        (pa.array([1, 2**64 - 1], pa.uint64()), False),  # which a column of those before would not hold
        (pa.array(["a", "b", None]), True),
        (pa.nulls(2), False),  # of no type: later rows would not fit into their column
        (pa.array([], pa.int64()), True),
    ],
    ids=["whole", "with unknown", "decimal", "unsigned", "unsigned and long", "text", "nothing known", "none"],
)
def test_ids_come_home_as_they_are_or_not_at_all(
    ids: Any, comes: bool, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pa.table({"day": pa.array([NOW] * len(ids), pa.timestamp("us")), "entity": ids})
    monkeypatch.setattr(ReachedEngine, "frame", lambda *_: arrow.frame(table))
    (tmp_path / "data").mkdir()
    local = open_warehouse("", tmp_path / "data", memory_limit="1GB", threads=1)
    with local.staging(NOW) as staging:
        staging.settle()
        engine = ReachedEngine("postgresql://nobody@127.0.0.1:1/none", {}, SYNC)
        there = EngineStaging(engine, staging, lambda sql: sql)
        relation = there.keep_rollup("people", {}, "SELECT 1", most=10)
        assert bool(relation) == comes
        if comes:
            found = there.kept.frame(f"SELECT count(DISTINCT entity) AS people, count(*) AS n FROM {relation}")
            known = [one for one in ids.to_pylist() if one is not None]
            assert found.iloc[0].tolist() == [len(set(known)), len(ids)]
