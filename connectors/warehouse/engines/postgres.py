"""`postgresql://…`: rows by ADBC, which hands them over as Arrow."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any

from connectors.errors import WarehouseError
from connectors.warehouse.contract import Columns
from connectors.warehouse.engines import arrow
from connectors.warehouse.engines.contract import ConnectionLost
from connectors.warehouse.engines.cost import Cost
from connectors.warehouse.engines.stop import Stop
from connectors.warehouse.names import quoted

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
        self._connect: Callable[[], Any] = lambda: dbapi.connect(plain, autocommit=True)
        self._session = session
        try:
            self._connection = self._connected()
        except dbapi.Error as error:
            raise _told(error) from None

    def frame(self, sql: str, stop: Stop | None = None) -> pd.DataFrame:
        """The rows of one SELECT. Raises WarehouseError, QueryLimit, Cancelled."""
        return arrow.frame(self._table(sql, stop or Stop()))

    def cost(self, sql: str, stop: Stop | None = None) -> Cost | None:
        """The rows that its plan reads: of a table that is read from end to end, all. A table that somebody has locked

        makes it wait. Raises as `frame`.
        """
        stop = stop or Stop()
        whole: dict[str, int] = {}
        rows = 0
        for node in _scans(self._plan(sql, stop)):
            table = f"{quoted(node['Schema'])}.{quoted(node['Relation Name'])}"
            if node["Node Type"] == "Seq Scan" and table not in whole:
                whole[table] = self._plan(f"SELECT FROM ONLY {table}", stop)["Plan Rows"]
            rows += max(node["Plan Rows"], whole.get(table, 0) if node["Node Type"] == "Seq Scan" else 0)
        return Cost(rows=rows)

    def columns(self, sql: str) -> Columns:
        """Columns and types of one SELECT. Raises WarehouseError."""
        return arrow.columns(self._table(f"SELECT * FROM ({sql}\n) AS described LIMIT 0", Stop()).schema)

    def tables(self) -> Mapping[str, Columns]:
        """Tables and views on the search path."""
        found = self._table(
            "SELECT c.relname::text AS name, a.attname::text AS col, format_type(a.atttypid, a.atttypmod) AS type "
            "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
            "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped "
            "AND pg_table_is_visible(c.oid) AND c.relnamespace NOT IN "
            "('pg_catalog'::regnamespace, 'information_schema'::regnamespace) ORDER BY 1, a.attnum",
            Stop(),
        )
        known: dict[str, dict[str, str]] = {}
        for row in found.to_pylist():
            known.setdefault(row["name"], {})[row["col"]] = _sql_type(row["type"])
        return known

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def _connected(self) -> Any:
        connection, self._limited = self._connect(), 0.0
        with connection.cursor() as cursor:
            for statement in self._session:
                cursor.execute(statement)
        return connection

    def _table(self, sql: str, stop: Stop, *, copied: bool = True) -> pa.Table:
        """copied: by COPY, as fast as it gets; not all that gives rows can be."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._connected()
                with self._connection.cursor() as cursor, stop.watching(lambda: self._cancel(cursor)):
                    self._limit(cursor, stop.seconds)
                    cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "true" if copied else "false"})
                    cursor.execute(sql)
                    return cursor.fetch_arrow_table()
            except self._refused as error:
                told = _told(error)
                raise (ConnectionLost(told.message, hint=told.hint) if self._lost() else told) from None

    def _plan(self, sql: str, stop: Stop) -> dict[str, Any]:
        lines = self._table(f"EXPLAIN (VERBOSE, FORMAT JSON) {sql}", stop, copied=False).column(0).to_pylist()
        found: dict[str, Any] = json.loads("\n".join(lines))[0]["Plan"]
        return found

    def _limit(self, cursor: Any, seconds: float) -> None:
        """Its own limit is a second more than ours: it is for when we are gone."""
        if seconds != self._limited:
            cursor.execute(f"SET statement_timeout = {(math.ceil(seconds) + 1) * 1000 if seconds else 0}")
            self._limited = seconds

    def _cancel(self, cursor: Any) -> None:
        with suppress(self._refused):
            cursor.adbc_cancel()

    def _lost(self) -> bool:
        """Whether the connection is gone; if so the next question is asked over a new one."""
        if self._connection is None:
            return True
        try:
            with self._connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                cursor.fetchall()
        except self._refused:
            with suppress(self._refused):
                self._connection.close()
            self._connection = None
            return True
        return False


def _scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The nodes of a plan that read a table."""
    if "Relation Name" in plan:
        yield plan
    for part in plan.get("Plans", ()):
        yield from _scans(part)


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
