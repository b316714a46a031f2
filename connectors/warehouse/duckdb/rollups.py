"""Roll-ups in a file: a table each, and a line in the books of what is in it.

A worker makes them in a file beside the one that is staged, since that one is read only while SQL of definitions runs;
what was made is brought over when it publishes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import duckdb

from connectors.warehouse.duckdb.reader import BOOKS, MADE, ROLLUPS
from connectors.warehouse.names import quoted, text

SCHEMA = f"""
CREATE SCHEMA IF NOT EXISTS {ROLLUPS};
CREATE TABLE IF NOT EXISTS {BOOKS}.rollups (name VARCHAR PRIMARY KEY, about VARCHAR, kept BOOLEAN);
"""


def relation_made(name: str) -> str:
    """The table of one that was made and is not published."""
    return f"{MADE}.{quoted(name)}"


def attach(connection: duckdb.DuckDBPyConnection, path: str) -> None:
    """Open the file of those that were made; of a worker that was killed, too, what it had finished."""
    connection.execute(f"ATTACH {text(path)} AS {MADE} (READ_WRITE)")


def detach(connection: duckdb.DuckDBPyConnection) -> None:
    """Let go of it."""
    connection.execute(f"DETACH {MADE}")


def bring(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    about: Mapping[str, Any],
    touched: tuple[datetime, datetime] | None,
) -> int:
    """Keep what was made, in order of its days: a reader of some leaves the rest unread. Returns 0: no value is new."""
    table, fresh = f"{ROLLUPS}.{quoted(name)}", f"SELECT * FROM {relation_made(name)} ORDER BY day"
    _note(connection, name, about, kept=True)
    if touched is None:
        connection.execute(f"CREATE OR REPLACE TABLE {table} AS {fresh}")
    else:
        connection.execute(f"DELETE FROM {table} WHERE day >= ? AND day < ?", list(touched))
        connection.execute(f"INSERT INTO {table} BY NAME {fresh}")
    return 0


def note_none(connection: duckdb.DuckDBPyConnection, name: str, about: Mapping[str, Any]) -> int:
    """Keep that there is none. Returns 0: no value is new."""
    _note(connection, name, about, kept=False)
    connection.execute(f"DROP TABLE IF EXISTS {ROLLUPS}.{quoted(name)}")
    return 0


def forget(connection: duckdb.DuckDBPyConnection, kept: Collection[str]) -> int:
    """Drop all others. Returns 0: no value is new."""
    for (name,) in connection.execute(f"SELECT name FROM {BOOKS}.rollups").fetchall():
        if name not in kept:
            connection.execute(f"DROP TABLE IF EXISTS {ROLLUPS}.{quoted(name)}")
            connection.execute(f"DELETE FROM {BOOKS}.rollups WHERE name = ?", [name])
    return 0


def _note(connection: duckdb.DuckDBPyConnection, name: str, about: Mapping[str, Any], *, kept: bool) -> None:
    said = [name, json.dumps(dict(about)), kept]
    connection.execute(f"INSERT OR REPLACE INTO {BOOKS}.rollups VALUES (?, ?, ?)", said)
