"""`clickhousedb://host…`, and `clickhousedb://?interface=chdb`: its engine within this process."""

from __future__ import annotations

import math
import posixpath
import re
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
from connectors.warehouse.engines.files import IN_BUCKET, LACKING, S3, Files, FilesLacking, FileTable, lacking, named
from connectors.warehouse.engines.session import settings
from connectors.warehouse.engines.stop import Stop

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

# What a statement begins with, as sqlglot writes it: common tables of its own; a parenthesis, before which none may be.
COMMENTS = r"(\s*(?:/\*.*?\*/\s*)*)"
OWN = re.compile(rf"{COMMENTS}(WITH\s+(?:RECURSIVE\s+)?)", re.IGNORECASE | re.DOTALL)
PARENTHESIS = re.compile(rf"{COMMENTS}\(", re.DOTALL)
LONG = {"max_query_size": str(1 << 30)}  # of the names of many files
# Of a store that does not answer, a quarter of a minute: its own would be many minutes.
PATIENT = {"s3_retry_attempts": "10"}
GRACE = 1  # second that the engine waits longer than we do: its own limit is for when we are gone


class ClickHouseEngine:
    """An Engine over one client, one statement at a time."""

    dialect = "clickhouse"

    def __init__(self, url: str, session: Sequence[str], files: Files) -> None:
        """session: what each statement runs with, as `SET name = value`. files: what statements begin with that name

        them: nothing is made in the engine. Raises WarehouseError, ImportError.
        """
        import clickhouse_connect
        import sqlalchemy as sa
        from clickhouse_connect.driver.exceptions import Error

        parts = sa.make_url(url)
        given: dict[str, Any] = {
            "host": parts.host, "port": parts.port, "username": parts.username, "database": parts.database,
            "password": parts.password, **parts.query,
        }  # fmt: skip
        self._refused: tuple[type[Exception], ...] = (Error, RuntimeError, OSError)
        self._settings, self._files = settings(session), files
        self._in_bucket = any(table.in_bucket for table in files.values())
        self._long = LONG | PATIENT if self._in_bucket else LONG
        self._whole: set[str] = set()  # of the tables in files: those that are seen in whole
        self._lock = Lock()
        self._connect: Callable[[], Any] = lambda: clickhouse_connect.get_client(
            **{k: v for k, v in given.items() if v}
        )
        try:
            self.client = self._connect()
        except self._refused as error:
            raise self._told(error) from None

    def frame(self, sql: str, stop: Stop | None = None) -> pd.DataFrame:
        """The rows of one SELECT. Raises WarehouseError, QueryLimit, Cancelled."""
        return arrow.frame(self._stoppable(self._ready(sql), stop or Stop()))

    def cost(self, sql: str, stop: Stop | None = None) -> Cost | None:
        """The rows that its tables would be read of, as their indexes say. Raises as `frame`."""
        found = self._stoppable(f"EXPLAIN ESTIMATE {self._ready(sql)}", stop or Stop()).to_pydict()
        return Cost(rows=sum(found["rows"])) if "rows" in found else None

    def columns(self, sql: str) -> Columns:
        """Columns and types of one SELECT, without running it. Raises WarehouseError."""
        ready = self._ready(sql)
        with self._lock:
            found = self._table(f"DESCRIBE TABLE ({ready}\n)", self._long).to_pydict()
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

    def _ready(self, sql: str) -> str:
        """A statement with the files that it names, each as a common table of that name."""
        asked = list(named(self._files, sql))
        if not asked:
            return sql
        for name, table in asked:
            self._refuse_lacking(name, table)
        tables = ",\n".join(f"{_quoted(name)} AS (SELECT * FROM {_reading(table)})" for name, table in asked)
        own = OWN.match(sql)
        if own is not None:
            return f"{own[1]}{own[2]}{tables},\n{sql[own.end() :]}"
        rest = f"SELECT * FROM (\n{sql}\n)" if PARENTHESIS.match(sql) else sql
        return f"WITH {tables}\n{rest}"

    def _refuse_lacking(self, name: str, table: FileTable) -> None:
        """Raises FilesLacking, asked once: what a pattern names and is not there is left out without a word."""
        if name not in self._whole:
            counted = f"SELECT count() AS n FROM {_reading(table)}"
            with self._lock:
                found = int(self._table(counted, self._long).to_pydict()["n"][0])
            if found != table.rows:
                raise lacking(name, found, table)
            self._whole.add(name)

    def _stoppable(self, sql: str, stop: Stop) -> pa.Table:
        mark = f"/* bellwether {uuid4().hex} */"
        most = dict(self._long) if self._files else {}
        most |= {"max_execution_time": str(math.ceil(stop.seconds) + GRACE)} if stop.seconds else {}
        with self._lock, stop.watching(lambda: self._kill(mark)):
            return self._table(f"{mark} {sql}", most)

    def _table(self, sql: str, more: Mapping[str, str] = MappingProxyType({})) -> pa.Table:
        try:
            return self.client.query_arrow(sql, settings={**self._settings, **more})
        except self._refused as error:
            raise self._told(error) from None

    def _kill(self, mark: str) -> None:
        """Stop the statement that begins with this; over a client of its own, for the other one waits for it."""
        with suppress(*self._refused):
            other = self._connect()
            other.command(f"KILL QUERY WHERE startsWith(query, '{mark}') ASYNC")
            other.close()

    def _told(self, error: Exception) -> WarehouseError:
        first = str(error).strip().split("\n", 1)[0]
        if "FILE_DOESNT_EXIST" in first:
            return FilesLacking(first[:500], hint=LACKING)
        if self._in_bucket and "S3_ERROR" in first:
            return FilesLacking(first[:500], hint=IN_BUCKET)
        return WarehouseError(first[:500], hint="Is the server there, and does the definition's SQL run on it?")


def _quoted(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _reading(table: FileTable) -> str:
    """The rows of files. What columns they have is said: found out, one without unknown values could have none."""
    paths = [path.removeprefix(S3) for path in table.paths]
    folder = posixpath.commonpath(paths)
    path = paths[0] if len(paths) == 1 else f"{folder}/{{{','.join(posixpath.relpath(p, folder) for p in paths)}}}"
    columns = ", ".join(f"{_quoted(column)} {_kind(kind)}" for column, kind in table.columns.items())
    if not table.in_bucket:
        return f"file({_text(path)}, 'Parquet', {_text(columns)})"
    access = table.access
    address = access.endpoint.rstrip("/") or f"https://s3.{access.region}.amazonaws.com"
    keys = [access.access_key, access.secret_key] if access.access_key else []  # else the engine's own count
    given = [f"{address}/{path}", *keys, "Parquet", columns]
    return f"s3({', '.join(map(_text, given))})"


def _text(value: str) -> str:
    """As a literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _kind(kind: str) -> str:
    """ClickHouse's name of a type of DuckDB that a lake has."""
    if kind.endswith("[]"):
        return f"Array({_kind(kind.removesuffix('[]'))})"  # of which none is unknown: it is empty then
    known = {"TINYINT": "Int8", "SMALLINT": "Int16", "INTEGER": "Int32", "BIGINT": "Int64", "FLOAT": "Float32"}
    known |= {"DOUBLE": "Float64", "BOOLEAN": "Bool", "DATE": "Date32", "TIMESTAMP": "DateTime64(6)"}
    known |= {arrow.AWARE: "DateTime64(6, 'UTC')", "VARCHAR": "String"}
    return f"Nullable({known.get(kind) or kind.capitalize()})"  # Decimal(10,2)


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
