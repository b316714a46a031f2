"""Shorthand of the contract's tests: rows into a staging, and a generation published with them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from connectors.sources.contract import Batch, SourceOptions
from connectors.warehouse.contract import Generation, Loaded, Loading, Reader, Warehouse

AT = datetime(2026, 11, 23, 2, 30, tzinfo=UTC)


def options(**given: Any) -> SourceOptions:
    return SourceOptions(**{"name": "shop", "type": "files", "table": "events", "load": "append", **given})


KEYED = options(primary_key="id", load="merge")


def rows(*ids: int | None, amount: float = 1.0, **more: Any) -> pd.DataFrame:
    at = pd.date_range("2026-11-01", periods=len(ids), freq="h")
    return pd.DataFrame({"at": at, "id": ids, "amount": amount, **more})


def load(staging: Loading, of: SourceOptions, *frames: Any, cursor: dict[str, str] | None = None, **how: Any) -> Loaded:
    """All frames (or batches) as one load in its transaction."""
    with staging.transaction():
        begun = staging.begin_load(of, **how)
        for frame in frames:
            begun.add(frame if isinstance(frame, Batch) else Batch(of.table, frame, cursor or {}))
        return begun.finish(cursor)


def publish(warehouse: Warehouse, of: SourceOptions, *frames: Any, day: int = 0, **how: Any) -> Generation:
    """One generation more, `day` days after AT."""
    with warehouse.staging(AT + timedelta(days=day)) as staging:
        load(staging, of, *frames, **how)
        staging.settle()
        return staging.publish()


def count(reader: Reader, table: str = "events") -> int:
    return int(reader.frame(f'SELECT count(*) AS n FROM "{table}"')["n"].iloc[0])


def amounts(reader: Reader) -> dict[int, float]:
    found = reader.frame('SELECT id, amount FROM "events" ORDER BY id')
    return {int(row["id"]): float(row["amount"]) for row in found.to_dict("records")}
