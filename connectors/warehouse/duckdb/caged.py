"""Runs in a worker (connectors/cage): SQL of definitions over one file, which is opened read-only and sealed.

Two walls besides the list of functions that the catalogue checks: the engine reaches no file, network, setting or
variable, and what a statement reads is asked of the engine's own parser: our books are no table of a definition.
"""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

import duckdb

from connectors.errors import WarehouseError
from connectors.warehouse.contract import Columns
from connectors.warehouse.duckdb import reader
from connectors.warehouse.duckdb.computing import Opening
from connectors.warehouse.duckdb.packing import packed
from connectors.warehouse.names import quoted, text

if TYPE_CHECKING:
    import pandas as pd

MOST_OPEN = 2  # files at a time: the live generation and the one before it
# Of the parser's JSON: where a table is, which function makes rows, and what is neither. Texts of the SQL have their
# quotes escaped there, so none of them looks like this.
PLACE = re.compile(r'"(?:schema_name|catalog_name)":"((?:[^"\\]|\\.)*)"')
CALLED = re.compile(r'"type":"TABLE_FUNCTION".*?"function_name":"((?:[^"\\]|\\.)*)"')
FILE = re.compile(r'"table_name":"((?:[^"\\]|\\.)*\.duckdb)"', re.IGNORECASE)  # one that is open is no table for that
SHOWN = '"type":"SHOW_REF"'
NO_SELECT = ('{"error":true', '{"error":false,"statements":[]}')
READABLE = ("", "main", reader.CHANGED, reader.ROLLUPS, reader.MADE)
ROW_SOURCES = frozenset({"generate_series", "json_each", "range", "unnest"})


_open: OrderedDict[tuple[str, int, int], tuple[duckdb.DuckDBPyConnection, str]] = OrderedDict()


def frame(opening: Opening, sql: str) -> bytes | pd.DataFrame:
    """The rows of one SELECT over loaded tables, for `unpacked`. Raises WarehouseError, QueryLimit."""
    connection = _connection(opening)
    _refuse_books(connection, sql)
    try:
        return packed(connection, sql)
    except duckdb.Error as error:
        raise reader.engine_error(error) from error


def described(opening: Opening, sql: str) -> Columns:
    """Columns and types of one SELECT over loaded tables, without running it. Raises WarehouseError, QueryLimit."""
    connection = _connection(opening)
    _refuse_books(connection, sql)
    return reader.described(connection, sql)


def make(opening: Opening, name: str, sql: str, most: int) -> int:
    """Make a table of one SELECT over loaded tables, of `most` rows and one, in the file for that. Returns its rows.

    Raises WarehouseError, QueryLimit, DiskFull.
    """
    connection = _connection(opening)
    _refuse_books(connection, sql)
    table = f"{reader.MADE}.{quoted(name)}"
    try:
        row = reader.one(connection, f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM ({sql}) LIMIT {most + 1}")
    except duckdb.Error as error:
        raise reader.engine_error(error) from error
    return int(row[0]) if row else 0


def put(opening: Opening, name: str, rows: pd.DataFrame, begins: bool) -> None:  # as a worker is asked: by position
    """Add rows to a table in the file for what is made. Raises WarehouseError, DiskFull."""
    table = f"{reader.MADE}.{quoted(name)}"
    what = f"CREATE OR REPLACE TABLE {table} AS" if begins else f"INSERT INTO {table} BY NAME"
    connection = _connection(opening).cursor()
    try:
        connection.register("bellwether_brought", rows)
        connection.execute(f"{what} SELECT * FROM bellwether_brought")
        connection.unregister("bellwether_brought")
    except duckdb.Error as error:
        raise reader.engine_error(error) from error


def let_go(path: str) -> None:
    """Close a file: it is about to be written."""
    for key in [key for key in _open if key[0] == path]:
        _close(key)


def _connection(opening: Opening) -> duckdb.DuckDBPyConnection:
    path = opening.path if Path(opening.path).exists() else opening.kept
    try:
        stat = Path(path).stat()
    except OSError:
        raise WarehouseError("this generation's file is gone", hint="Reload the page: there is a newer one.") from None
    key = (opening.path, stat.st_ino, stat.st_mtime_ns)
    if key not in _open:
        let_go(opening.path)
        with reader.refusal_told():
            spill = f"{opening.spill}-{os.getpid()}"  # of this worker alone: two would write into each other's files
            _open[key] = (_opened(path, opening, spill), spill)
        while len(_open) > MOST_OPEN:
            _close(next(iter(_open)))
    _open.move_to_end(key)
    return _open[key][0]


def _opened(path: str, opening: Opening, spill: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(path, read_only=True, config=reader.config(opening.memory, opening.threads, spill))
    for name, place, kept in opening.shared:
        reader.attach(connection, [(name, place if Path(place).exists() else kept or place)])
    if opening.made:
        at = text(opening.made)
        connection.execute(f"ATTACH {at} AS {reader.MADE} (READ_WRITE, STORAGE_VERSION 'v1.5.0')")
    for name, value in clock(opening.now).items():
        connection.execute(f"CREATE TEMP MACRO {name} AS {value}")
    for seal in reader.SEALS:
        connection.execute(seal)
    return connection


def _close(key: tuple[str, int, int]) -> None:
    connection, spill = _open.pop(key)
    connection.close()
    rmtree(Path(spill), ignore_errors=True)


def clock(now: datetime) -> dict[str, str]:
    """Macros that stand before the engine's own functions of their names: what it is now is the generation's to say,

    so that a number can be counted again and a stored one equals one that is asked for later.
    """
    at = f"TIMESTAMPTZ '{now.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00'"
    local = f"CAST({at} AS TIMESTAMP)"
    return {
        **dict.fromkeys(("now()", "get_current_timestamp()", "transaction_timestamp()"), at),
        "current_localtimestamp()": local,
        "current_localtime()": f"CAST({local} AS TIME)",
        "get_current_time()": f"CAST(CAST({local} AS TIME) AS TIMETZ)",
        **dict.fromkeys(("current_date()", "today()"), f"CAST({local} AS DATE)"),
        "ago(span)": f"{at} - span",
    }


def _refuse_books(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Raises WarehouseError for a statement that reads what is no loaded table, or for more than one statement.

    The engine's own parser says what it reads. Its JSON is searched and not loaded: it nests as deep as the SQL does.
    """
    try:
        row = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchone()
        read = str(row[0]) if row else ""
        # Only a semicolon ends a statement; and of what is none the parser says more than its JSON.
        if (";" in sql or read.startswith(NO_SELECT)) and len(connection.extract_statements(sql)) != 1:
            raise WarehouseError("more than one statement", hint="A definition is one SELECT.")
    except duckdb.Error as error:
        raise reader.engine_error(error) from error
    outside = {place for place in PLACE.findall(read) if place not in READABLE}
    called = {name for name in CALLED.findall(read) if name not in ROW_SOURCES}
    files = set(FILE.findall(read))
    if outside or called or files or SHOWN in read or read.startswith(NO_SELECT):
        shown = ", ".join(sorted(outside | called | files)) or "the catalogue"
        raise WarehouseError(f"it reads {shown}, which is no loaded table", hint="Only loaded tables are read.")
