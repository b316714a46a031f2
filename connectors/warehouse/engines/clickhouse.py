"""`clickhousedb://host…`, and `clickhousedb://?interface=chdb`: its engine within this process."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from connectors.errors import WarehouseError
from connectors.warehouse.contract import Columns
from connectors.warehouse.engines import arrow
from connectors.warehouse.engines.cost import Cost
from connectors.warehouse.engines.session import settings
from connectors.warehouse.engines.stop import Stop

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

GRACE = 1  # second that the engine waits longer than we do: its own limit is for when we are gone


class ClickHouseEngine:
    """An Engine over one client, one statement at a time."""

    dialect = "clickhouse"

    def __init__(self, url: str, session: Sequence[str]) -> None:
        """session: what each statement runs with, as `SET name = value`. Raises WarehouseError, ImportError."""
        import clickhouse_connect
        import sqlalchemy as sa
        from clickhouse_connect.driver.exceptions import Error

        parts = sa.make_url(url)
        given: dict[str, Any] = {
            "host": parts.host, "port": parts.port, "username": parts.username, "database": parts.database,
            "password": parts.password, **parts.query,
        }  # fmt: skip
        self._refused: tuple[type[Exception], ...] = (Error, RuntimeError, OSError)
        self._settings = settings(session)
        self._lock = Lock()
        self._connect: Callable[[], Any] = lambda: clickhouse_connect.get_client(
            **{k: v for k, v in given.items() if v}
        )
        try:
            self.client = self._connect()
        except self._refused as error:
            raise _told(error) from None

    def frame(self, sql: str, stop: Stop | None = None) -> pd.DataFrame:
        """The rows of one SELECT. Raises WarehouseError, QueryLimit, Cancelled."""
        return arrow.frame(self._stoppable(sql, stop or Stop()))

    def cost(self, sql: str, stop: Stop | None = None) -> Cost | None:
        """The rows that its tables would be read of, as their indexes say. Raises as `frame`."""
        found = self._stoppable(f"EXPLAIN ESTIMATE {sql}", stop or Stop()).to_pydict()
        return Cost(rows=sum(found["rows"])) if "rows" in found else None

    def columns(self, sql: str) -> Columns:
        """Columns and types of one SELECT, without running it. Raises WarehouseError."""
        with self._lock:
            found = self._table(f"DESCRIBE TABLE ({sql}\n)").to_pydict()
        return {name: _sql_type(kind) for name, kind in zip(found["name"], found["type"], strict=True)}

    def tables(self) -> Mapping[str, Columns]:
        """Tables and views of the database."""
        listed = (
            "SELECT table, name, type FROM system.columns WHERE database = currentDatabase() ORDER BY table, position"
        )
        with self._lock:
            found = self._table(listed)
        known: dict[str, dict[str, str]] = {}
        for row in found.to_pylist():
            known.setdefault(row["table"], {})[row["name"]] = _sql_type(row["type"])
        return known

    def close(self) -> None:
        """Let go of the client."""
        self.client.close()

    def _stoppable(self, sql: str, stop: Stop) -> pa.Table:
        mark = f"/* bellwether {uuid4().hex} */"
        most = {"max_execution_time": str(math.ceil(stop.seconds) + GRACE)} if stop.seconds else {}
        with self._lock, stop.watching(lambda: self._kill(mark)):
            return self._table(f"{mark} {sql}", most)

    def _table(self, sql: str, more: Mapping[str, str] = MappingProxyType({})) -> pa.Table:
        try:
            return self.client.query_arrow(sql, settings={**self._settings, **more})
        except self._refused as error:
            raise _told(error) from None

    def _kill(self, mark: str) -> None:
        """Stop the statement that begins with this; over a client of its own, for the other one waits for it."""
        with suppress(*self._refused):
            other = self._connect()
            other.command(f"KILL QUERY WHERE startsWith(query, '{mark}') ASYNC")
            other.close()


def _sql_type(kind: str) -> str:
    """The name that DuckDB has for a type of ClickHouse."""
    while kind.startswith(("Nullable(", "LowCardinality(")):
        kind = kind.partition("(")[2].removesuffix(")")
    head, _, inside = kind.partition("(")
    if head.startswith("DateTime"):
        return arrow.AWARE if "'" in inside else "TIMESTAMP"
    known = {"Date": "DATE", "Date32": "DATE", "Bool": "BOOLEAN", "Array": "DOUBLE[]"}
    if head in known:
        return known[head]
    if head == "Decimal":
        return f"DECIMAL({inside.replace(' ', '')}"
    if head.startswith(("Float", "BFloat")):
        return "DOUBLE"
    if head in ("Int16", "Int32"):
        return "SMALLINT" if head == "Int16" else "INTEGER"
    return "BIGINT" if head.startswith(("Int", "UInt")) else "VARCHAR"


def _told(error: Exception) -> WarehouseError:
    first = str(error).strip().split("\n", 1)[0]
    return WarehouseError(first[:500], hint="Is the server there, and does the definition's SQL run on it?")
