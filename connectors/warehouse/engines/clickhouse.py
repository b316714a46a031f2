"""`clickhousedb://host…`, and `clickhousedb://?interface=chdb`: its engine within this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from connectors.errors import WarehouseError
from connectors.warehouse.contract import Columns
from connectors.warehouse.engines import arrow
from connectors.warehouse.engines.session import settings

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


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
        try:
            self.client = clickhouse_connect.get_client(**{k: v for k, v in given.items() if v})
        except self._refused as error:
            raise _told(error) from None

    def frame(self, sql: str) -> pd.DataFrame:
        """The rows of one SELECT. Raises WarehouseError."""
        return arrow.frame(self._table(sql))

    def columns(self, sql: str) -> Columns:
        """Columns and types of one SELECT, without running it. Raises WarehouseError."""
        found = self._table(f"DESCRIBE TABLE ({sql}\n)").to_pydict()
        return {name: _sql_type(kind) for name, kind in zip(found["name"], found["type"], strict=True)}

    def tables(self) -> Mapping[str, Columns]:
        """Tables and views of the database."""
        found = self._table(
            "SELECT table, name, type FROM system.columns WHERE database = currentDatabase() ORDER BY table, position"
        )
        known: dict[str, dict[str, str]] = {}
        for row in found.to_pylist():
            known.setdefault(row["table"], {})[row["name"]] = _sql_type(row["type"])
        return known

    def close(self) -> None:
        """Let go of the client."""
        self.client.close()

    def _table(self, sql: str) -> pa.Table:
        with self._lock:
            try:
                return self.client.query_arrow(sql, settings=self._settings)
            except self._refused as error:
                raise _told(error) from None


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
