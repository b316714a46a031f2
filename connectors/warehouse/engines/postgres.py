"""`postgresql://…`: rows by ADBC, which hands them over as Arrow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from connectors.errors import WarehouseError
from connectors.warehouse.contract import Columns
from connectors.warehouse.engines import arrow

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


CONNECTING = 10  # seconds


class PostgresEngine:
    """An Engine over one connection, one statement at a time."""

    dialect = "postgres"

    def __init__(self, url: str, session: Sequence[str]) -> None:
        """url: with or without a driver. session: statements that its connection begins with. Raises WarehouseError."""
        import sqlalchemy as sa
        from adbc_driver_postgresql import dbapi

        named = sa.make_url(url).set(drivername="postgresql")
        if "connect_timeout" not in named.query:  # else as long as the system tries
            named = named.update_query_dict({"connect_timeout": str(CONNECTING)})
        plain = named.render_as_string(hide_password=False)
        self._refused: type[Exception] = dbapi.Error
        self._lock = Lock()
        try:
            self._connection = dbapi.connect(plain, autocommit=True)
        except dbapi.Error as error:
            raise _told(error) from None
        with self._connection.cursor() as cursor:
            for statement in session:
                cursor.execute(statement)

    def frame(self, sql: str) -> pd.DataFrame:
        """The rows of one SELECT. Raises WarehouseError."""
        return arrow.frame(self._table(sql))

    def columns(self, sql: str) -> Columns:
        """Columns and types of one SELECT. Raises WarehouseError."""
        return arrow.columns(self._table(f"SELECT * FROM ({sql}\n) AS described LIMIT 0").schema)

    def tables(self) -> Mapping[str, Columns]:
        """Tables and views on the search path."""
        found = self._table(
            "SELECT c.relname::text AS name, a.attname::text AS col, format_type(a.atttypid, a.atttypmod) AS type "
            "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
            "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped "
            "AND pg_table_is_visible(c.oid) AND c.relnamespace NOT IN "
            "('pg_catalog'::regnamespace, 'information_schema'::regnamespace) ORDER BY 1, a.attnum"
        )
        known: dict[str, dict[str, str]] = {}
        for row in found.to_pylist():
            known.setdefault(row["name"], {})[row["col"]] = _sql_type(row["type"])
        return known

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def _table(self, sql: str) -> pa.Table:
        with self._lock, self._connection.cursor() as cursor:
            try:
                cursor.execute(sql)
                return cursor.fetch_arrow_table()
            except self._refused as error:
                raise _told(error) from None


TYPES = {
    "timestamp without time zone": "TIMESTAMP",
    "timestamp with time zone": arrow.AWARE,
    "date": "DATE",
    "boolean": "BOOLEAN",
    "smallint": "SMALLINT",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "real": "FLOAT",
    "double precision": "DOUBLE",
    "numeric": "DOUBLE",  # of any length
}


def _sql_type(kind: str) -> str:
    """The name that DuckDB has for a type of PostgreSQL."""
    if kind.startswith("numeric("):
        return f"DECIMAL{kind.removeprefix('numeric')}"
    if kind.startswith("timestamp("):  # of fewer parts of a second
        kind = f"timestamp {kind.partition(') ')[2]}"
    return TYPES.get(kind, "VARCHAR")


def _told(error: Any) -> WarehouseError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return WarehouseError(" ".join(lines[:2]), hint="Is the database there, and does the definition's SQL run on it?")
