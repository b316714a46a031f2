"""Rows of large tables in files of their own, which generations share (docs/decisions/0021-shared-files.md).

Such a table is a view of its name: over its **shared files**, each a DuckDB file of the generation's folder with one
table, and over its **tail**, a table of the generation's own file. Together they are its rows, in the order they came.
A shared file is never written once it is there. A load writes to the tail, and before it changes or removes rows it
brings the files that have such back into it; `share` makes files of a tail that grew.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb

from connectors.warehouse.contract import Columns
from connectors.warehouse.duckdb.reader import BOOKS, SharedFile, attach, described, listed, one
from connectors.warehouse.names import quoted, text

TAIL = "bellwether_tail"  # schema of what is not in shared files, a table for each view
ROWS = "rows"  # the table in a shared file
BYTES_A_ROW = 2000  # of the size from which files are shared: 1 GB makes files of half a million rows
MOST_FILES = 16  # of a table when it is shared first: a statement takes 0.1 ms longer for each
CUTS = 8  # places within a file's rows where it may end
STORED = "v1.5.0"  # a reader that still has DuckDB 1.5 can open the files
SCHEMA = f"""
CREATE SCHEMA IF NOT EXISTS {TAIL};
CREATE TABLE IF NOT EXISTS {BOOKS}.tails (name VARCHAR);
CREATE TABLE IF NOT EXISTS {BOOKS}.shared_files (place BIGINT, name VARCHAR, "table" VARCHAR, rows BIGINT,
    columns VARCHAR);
"""


class SharedTable:
    """One table of the sources, whether or not it has shared files. Its changes are part of the open transaction."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, table: str) -> None:
        self._connection, self._run, self.table = connection, connection.execute, table
        self._tail = f"{TAIL}.{quoted(table)}"

    @property
    def is_view(self) -> bool:
        """Whether it is a view over files and a tail."""
        return one(self._connection, f"SELECT 1 FROM {BOOKS}.tails WHERE name = ?", [self.table]) is not None

    @property
    def written(self) -> str:
        """Where its rows are written to: the tail, or itself."""
        return self._tail if self.is_view else f"main.{quoted(self.table)}"

    def show(self) -> None:
        """Make the view of its name anew, with the columns and types of the tail; nothing for an ordinary table."""
        if not self.is_view:
            return
        columns = self._columns()
        parts = [f"SELECT {_taken(file, columns)} FROM {_rows(file)}" for file in listed(self._connection, self.table)]
        parts.append(f"SELECT {', '.join(map(quoted, columns))} FROM {self._tail}")
        self._run(f"CREATE OR REPLACE VIEW main.{quoted(self.table)} AS {' UNION ALL '.join(parts)}")

    def bring_back(self, condition: str, values: Sequence[Any] = ()) -> None:
        """Make rows of the tail of all files that hold a row `t` which the condition is true of."""
        files = listed(self._connection, self.table)
        columns = self._columns() if files else {}
        names = ", ".join(map(quoted, columns))
        for file in files:
            rows = f"SELECT {_taken(file, columns)} FROM {_rows(file)}"
            if one(self._connection, f"SELECT 1 FROM ({rows}) AS t WHERE {condition} LIMIT 1", list(values)) is None:
                continue
            self._run(f"INSERT INTO {self._tail} ({names}) {rows}")
            self._run(f"DELETE FROM {BOOKS}.shared_files WHERE name = ?", [file.name])
        if files:
            self.show()

    def drop(self) -> None:
        """Remove the table, or the view with its tail; files are no longer listed."""
        if not self.is_view:
            self._run(f"DROP TABLE IF EXISTS main.{quoted(self.table)}")
            return
        self._run(f"DROP VIEW main.{quoted(self.table)}")
        self._run(f"DROP TABLE {self._tail}")
        self._run(f"DELETE FROM {BOOKS}.tails WHERE name = ?", [self.table])
        self._run(f'DELETE FROM {BOOKS}.shared_files WHERE "table" = ?', [self.table])

    def share(self, folder: Path, least: int) -> bool:
        """Make files of the oldest rows of a long table or tail. Returns whether any was made. In no transaction.

        folder: of its generation. least: rows of a file; as many or more stay in the tail.
        """
        source, columns = self.written, self._columns()
        rows = _count(self._connection, source)
        before = listed(self._connection, self.table)
        least = max(least, (rows + sum(file.rows for file in before)) // MOST_FILES)
        made, end = [], 0
        for start, end in _cuts(self._connection, source, rows, least):
            made.append(self._made(folder, source, columns, f"rowid >= {start} AND rowid < {end}"))
        if not made:
            return False
        self._run("BEGIN")
        if self.is_view:
            self._run(f"DELETE FROM {source} WHERE rowid < {end}")
        else:
            kinds = ", ".join(f"{quoted(c)} {kind}" for c, kind in columns.items())
            self._run(f"CREATE TABLE {self._tail} ({kinds})")
            self._run(f"INSERT INTO {self._tail} SELECT * FROM {source} WHERE rowid >= {end}")
            self._run(f"DROP TABLE {source}")
            self._run(f"INSERT INTO {BOOKS}.tails VALUES (?)", [self.table])
        for file in made:
            self._run(
                f"INSERT INTO {BOOKS}.shared_files SELECT coalesce(max(place), 0) + 1, ?, ?, ?, ? "
                f"FROM {BOOKS}.shared_files",
                [file.name, file.table, file.rows, json.dumps(dict(file.columns))],
            )
        self.show()
        self._run("COMMIT")
        return True

    def _made(self, folder: Path, source: str, columns: Columns, condition: str) -> SharedFile:
        """A file of some rows, complete and attached read-only."""
        name = f"rows_{uuid.uuid4().hex[:12]}"
        folder.mkdir(exist_ok=True)
        place = SharedFile(name, self.table, 0, columns).within(folder)
        self._run(f"ATTACH {text(str(place))} AS {name} (STORAGE_VERSION '{STORED}')")
        found = one(self._connection, f"CREATE TABLE {name}.{ROWS} AS SELECT * FROM {source} WHERE {condition}")
        self._run(f"CHECKPOINT {name}")
        self._run(f"DETACH {name}")
        attach(self._connection, [(name, place)])
        return SharedFile(name, self.table, int(found[0]) if found else 0, columns)

    def _columns(self) -> Columns:
        return described(self._connection, f"SELECT * FROM {self.written}")


def compact(connection: duckdb.DuckDBPyConnection, path: Path, least: int) -> Path | None:
    """A copy of a file without the room that moved rows left, if that is most of it and more than `least` bytes.

    None = it is not worth it. The engine gives back room at the end of a file only, and each sync would copy the rest.
    """
    asked = "SELECT database_name, block_size, total_blocks, free_blocks FROM pragma_database_size() "
    found = one(connection, f"{asked} WHERE database_name = current_database()")
    name, block, total, free = found or ("", 0, 0, 0)
    if 2 * free <= total or free * block <= least:
        return None
    fresh = Path(f"{path}.fresh")
    connection.execute(f"ATTACH {text(str(fresh))} AS fresh (STORAGE_VERSION '{STORED}')")
    connection.execute(f"COPY FROM DATABASE {quoted(name)} TO fresh")
    connection.execute("CHECKPOINT fresh")
    connection.execute("DETACH fresh")
    return fresh


def _rows(file: SharedFile) -> str:
    return f"{quoted(file.name)}.main.{ROWS}"


def _taken(file: SharedFile, columns: Columns) -> str:
    """The columns of a table from a file that may be older than some of them, or have them narrower."""
    return ", ".join(
        quoted(c) if file.columns.get(c) == kind else f"CAST({_or_null(file, c)} AS {kind}) AS {quoted(c)}"
        for c, kind in columns.items()
    )


def _or_null(file: SharedFile, column: str) -> str:
    return quoted(column) if column in file.columns else "NULL"


def _count(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    row = one(connection, f"SELECT count(*) FROM {relation}")
    return int(row[0]) if row else 0


def _cuts(connection: duckdb.DuckDBPyConnection, source: str, rows: int, least: int) -> Iterator[tuple[int, int]]:
    """Ranges of row numbers, each with `least` rows or a little more, from the first row on; `least` are left over."""
    if rows < 2 * least:
        return
    step = max(1, least // CUTS)
    counts = f"SELECT rowid // {step} AS place, count(*) FROM {source} GROUP BY place ORDER BY place"
    start = gathered = 0
    for place, count in connection.execute(counts).fetchall():
        gathered += count
        rows -= count
        if gathered >= least and rows >= least:
            yield start, (place + 1) * step
            start, gathered = (place + 1) * step, 0
