"""Reads one generation: read-only, no files, no network, bounded memory."""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

import duckdb

from connectors.cage.cage import MEMORY_HINT, Cage
from connectors.errors import DiskFull, KpiError, QueryLimit, WarehouseError
from connectors.warehouse.contract import (
    OF_AN_ENGINE,
    Columns,
    DatasetState,
    Failure,
    Generation,
    Reader,
    Rollup,
    SeriesKey,
    StoredSeries,
)
from connectors.warehouse.duckdb.computing import SPILL, Computing, Opening
from connectors.warehouse.duckdb.notes import shared_folder
from connectors.warehouse.names import quoted, text

if TYPE_CHECKING:  # loaded where a frame is made: who asks for rows waits for neither
    import pandas as pd

SERIES_COLUMNS = ["segment", "period", "value", "numerator", "denominator", "n", "complete", "parts"]
# From here on an instance reads its own file, and no other, no network, no variable of this process, no extension.
SEALS = (
    "SET TimeZone='UTC'",
    "SET enable_external_access=false",
    "SET python_enable_replacements=false",
    "SET autoinstall_known_extensions=false",
    "SET autoload_known_extensions=false",
    "SET lock_configuration=true",
)
OPENING = Lock()
BOOKS = "bellwether"  # schema of our own bookkeeping; the sources' tables are in `main`
ROLLUPS = "bellwether_rollups"  # schema of the tables of roll-ups
MADE = "bellwether_made"  # what a sync makes of loaded rows, in a file of its own; gone when it publishes
CHANGED = "bellwether_changed"  # schema of the rows that a sync changed, one table each; gone when it publishes


class Books:
    """Tables and bookkeeping of one DuckDB file, whether it is published or in the making."""

    dialect = "duckdb"
    computes = True  # whether its own rows are what is computed, and not an engine's
    _connection: duckdb.DuckDBPyConnection

    def __init__(self) -> None:
        self.forget_shapes()

    def forget_shapes(self) -> None:
        """Look up tables and columns anew: after a load. A published file's never change."""
        self._tables: Mapping[str, Columns] | None = None
        self._described: dict[str, Columns] = {}

    @property
    def kept(self) -> Reader:
        """This one: roll-ups lie beside the rows."""
        return cast("Reader", self)

    def frame(self, sql: str) -> pd.DataFrame:
        """The rows of one SELECT. Raises WarehouseError."""
        return frame(self._connection.cursor(), sql)

    def columns(self, sql: str) -> Columns:
        """Columns and types of one SELECT, without running it. Raises WarehouseError."""
        if sql not in self._described:
            self._described[sql] = described(self._connection.cursor(), sql)
        return self._described[sql]

    def tables(self) -> Mapping[str, Columns]:
        """Every loaded table with its columns."""
        if self._tables is None:
            cursor = self._connection.cursor()
            self._tables = recorded(cursor) or catalogued(cursor)
        return self._tables

    def generations(self) -> Sequence[Generation]:
        """All published generations, oldest first."""
        rows = self._rows(f"SELECT sequence, id, published_at FROM {BOOKS}.generations ORDER BY sequence")
        return [Generation(s, i, at.replace(tzinfo=UTC)) for s, i, at in rows]

    def dataset_states(self, sequence: int) -> Mapping[str, DatasetState]:
        """Dataset states as of the generation with this sequence."""
        known = "since" in described(self._connection.cursor(), f"SELECT * FROM {BOOKS}.dataset_states")
        begin = "source_first_at, since" if known else "NULL, NULL"  # of an earlier version's generation
        rows = self._rows(
            f"SELECT name, watermark, first_at, last_at, rows, future_rows, {begin} FROM {BOOKS}.dataset_states "
            f"WHERE sequence = {int(sequence)}"
        )
        return {
            name: DatasetState(name, _utc(mark), _utc(first), _utc(last), count, future, _utc(source), _utc(since))
            for name, mark, first, last, count, future, source, since in rows
        }

    def published_files(self) -> Mapping[str, str]:
        """ "kpi:name" or "dataset:name" → text of each definition that this generation was made with."""
        try:
            return dict(self._rows(f"SELECT name, text FROM {BOOKS}.files"))
        except duckdb.CatalogException:  # of an earlier version's generation
            return {}

    def failures(self) -> Mapping[str, Failure]:
        """KPI → why its values could not be computed for this generation."""
        try:
            rows = self._rows(f"SELECT kpi, code, message, hint, since, kept FROM {BOOKS}.failures")
        except duckdb.CatalogException:  # of an earlier version's generation
            return {}
        return {kpi: Failure(*found) for kpi, *found in rows}

    def rollups(self) -> Mapping[str, Rollup]:
        """Name → roll-up of this file; of an engine's rows none, where these are what is computed."""
        theirs = f"WHERE NOT EXISTS (FROM {BOOKS}.files WHERE name = '{OF_AN_ENGINE}')" if self.computes else ""
        try:
            rows = self._rows(f"SELECT name, about, kept FROM {BOOKS}.rollups {theirs} ORDER BY name")
        except duckdb.CatalogException:  # of an earlier version's generation
            return {}
        return {n: Rollup(n, f"{ROLLUPS}.{quoted(n)}" if kept else "", json.loads(about)) for n, about, kept in rows}

    def stored_definitions(self, kpi: str, grain: str) -> Sequence[tuple[str, int]]:
        """(definition, sequence of the generation it came with) of a KPI's values, oldest first."""
        return self.all_stored_definitions().get((kpi, grain), ())

    def all_stored_definitions(self) -> Mapping[tuple[str, str], Sequence[tuple[str, int]]]:
        """(KPI, grain) → (definition, sequence of the generation it came with) of its values, oldest first."""
        rows = self._rows(
            f"SELECT kpi, grain, definition, valid_from FROM {BOOKS}.kpi_series "
            "WHERE dimension = '' ORDER BY kpi, grain, valid_from"
        )
        known: dict[tuple[str, str], list[tuple[str, int]]] = {}
        for kpi, grain, definition, sequence in rows:
            known.setdefault((kpi, grain), []).append((definition, int(sequence)))
        return known

    def quarantine(self) -> pd.DataFrame:
        """Rows that could not be read: source, file, line, column_name, reason, raw, seen_at."""
        return frame(
            self._connection.cursor(),
            f"SELECT source, file, line, column_name, reason, raw, seen_at FROM {BOOKS}.quarantine "
            "ORDER BY source, file, line, column_name",
        )

    def _rows(self, sql: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
        return list(self._connection.cursor().execute(sql, values or []).fetchall())


def spill_in(data: Path, stem: str) -> str:
    """A folder of the data folder, of this process and a file of that name, for what does not fit into memory.

    Not the engine's own beside the file: what a killed process leaves is found by its number and removed.
    """
    return str(data / f"{SPILL}{stem}-{os.getpid()}")


def spill_beside(path: Path) -> str:
    """The same for a generation."""
    return spill_in(path.parent.parent, path.stem)


def made_beside(path: Path) -> Path:
    """A file in a folder of its own beside those, for what a sync makes of loaded rows."""
    return path.parent.parent / f"{SPILL}{path.stem}-made-{os.getpid()}" / "made.duckdb"


def config(memory_limit: str, threads: int, spill: str) -> dict[str, Any]:
    """How a file is opened. spill: folder for what does not fit into memory, made when it is needed."""
    own = {"memory_limit": memory_limit, "threads": threads, "temp_directory": spill}
    return {**own, "autoinstall_known_extensions": False}


def opened(
    path: Path, *, memory_limit: str, threads: int, shared: Iterable[tuple[str, Path]] = ()
) -> duckdb.DuckDBPyConnection:
    """A connection that reads one file, sealed. shared: name and place of files that its tables lie in, too."""
    with OPENING:  # two readers of one file in one process share an instance, which the first has sealed already
        connection = duckdb.connect(str(path), read_only=True, config=config(memory_limit, threads, spill_beside(path)))
        if not connection.execute("SELECT current_setting('lock_configuration')").fetchall()[0][0]:
            attach(connection, shared)
            for seal in SEALS:
                connection.execute(seal)
    return connection


class DuckReader(Books):
    """A Reader over one DuckDB file. Safe to share between threads: each call uses its own cursor, or a worker.

    What is stored is read here, by our own SQL; SQL of definitions is computed in the cage.
    """

    def __init__(self, path: Path, *, memory_limit: str, threads: int, cage: Cage) -> None:
        super().__init__()
        self.path = path
        self._connection = opened(path, memory_limit=memory_limit, threads=threads)
        self.generation = self.generations()[-1]
        # What is open can be read from, too, once it was removed.
        held: list[int] = []
        self._let_go = weakref.finalize(self, _closed, held)
        kept = _held(path, held)
        places = shared_places(self._connection, path)
        opening = Opening(
            *(str(path), cage.limits.engine_memory, threads, self.generation.published_at, spill_beside(path)),
            kept=kept,
            shared=tuple((name, str(place), _held(place, held)) for name, place in places),
        )
        self._computing = Computing(cage, opening)
        # A generation of an earlier version has none until the next sync.
        self._has_parts = "parts" in described(self._connection, f"SELECT * FROM {BOOKS}.kpi_values")

    def frame(self, sql: str) -> pd.DataFrame:
        """The rows of one SELECT. Raises WarehouseError, QueryLimit."""
        return self._computing.frame(sql)

    def columns(self, sql: str) -> Columns:
        """Columns and types of one SELECT, without running it. Raises WarehouseError, QueryLimit."""
        if sql not in self._described:
            self._described[sql] = self._computing.described(sql)
        return self._described[sql]

    def stored_values(self, kpi: str, grain: str, dimension: str, sequence: int) -> StoredSeries | None:
        """What was published for this KPI as of a generation; None if it was not stored."""
        return self.stored_series([(kpi, grain, dimension)], sequence).get((kpi, grain, dimension))

    def stored_series(self, keys: Iterable[SeriesKey], sequence: int) -> Mapping[SeriesKey, StoredSeries]:
        """The same for many, in one statement: those that were stored."""
        asked = list(dict.fromkeys(keys))
        if not asked:
            return {}
        valid = f"valid_from <= {int(sequence)} AND (valid_to IS NULL OR valid_to > {int(sequence)})"
        parts = "v.parts" if self._has_parts else "CAST(NULL AS DOUBLE[]) AS parts"
        # A series without a valid row is stored all the same: its definition comes alone.
        found = arrays(
            self._connection.cursor(),
            "WITH asked AS (SELECT unnest(?) AS kpi, unnest(?) AS grain, unnest(?) AS dimension, unnest(?) AS place), "
            f"s AS (SELECT * FROM {BOOKS}.kpi_series WHERE {valid}), "
            f"v AS (SELECT * FROM {BOOKS}.kpi_values WHERE {valid} {_only(asked)}) "
            "SELECT a.place, s.definition, v.segment, v.period, v.value, v.numerator, v.denominator, v.n, "
            f"coalesce(v.complete, false) AS complete, {parts} "
            "FROM asked a JOIN s ON s.kpi = a.kpi AND s.grain = a.grain AND s.dimension = a.dimension "
            "LEFT JOIN v ON v.kpi = a.kpi AND v.grain = a.grain AND v.dimension = a.dimension "
            "ORDER BY a.place, v.segment, v.period",
            [*(list(column) for column in zip(*asked, strict=True)), list(range(len(asked)))],
        )
        return {asked[place]: series for place, series in _by_place(found)}

    def read_ahead(self, keys: Iterable[SeriesKey], sequence: int) -> None:
        """Nothing is remembered here."""

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
        self._let_go()


def _held(path: Path, held: list[int]) -> str:
    """Open a file, and where its bytes are for as long as it is open here. held: gets its handle."""
    held.append(os.open(path, os.O_RDONLY))
    return f"/proc/{os.getpid()}/fd/{held[-1]}"


def _closed(held: list[int]) -> None:
    while held:
        os.close(held.pop())


def _only(asked: list[SeriesKey]) -> str:
    """A filter that leaves blocks of the table unread where one series is asked for; of many the join does it."""
    if len(asked) > 1:
        return ""
    kpi, grain, dimension = ("'" + text.replace("'", "''") + "'" for text in asked[0])
    return f"AND kpi = {kpi} AND grain = {grain} AND dimension = {dimension}"


def _by_place(found: dict[str, Any]) -> Iterator[tuple[int, StoredSeries]]:
    """Each series of rows that come in the order of their place. found: column → values, masked where unknown."""
    import numpy as np
    import pandas as pd

    places, definitions = found["place"], found["definition"]
    empty, n = np.ma.getmaskarray(found["period"]), found["n"]
    parts = np.full(len(places), None, dtype=object)
    lists = np.ma.getdata(found["parts"])
    for row in np.flatnonzero(~np.ma.getmaskarray(found["parts"])):
        parts[row] = tuple(lists[row].tolist())
    columns = {
        "segment": pd.array(np.ma.filled(found["segment"], ""), dtype="str"),
        "period": np.ma.getdata(found["period"]),
        **{name: np.ma.filled(found[name], np.nan) for name in ("value", "numerator", "denominator")},
        "n": pd.arrays.IntegerArray(np.ma.filled(n, 0).astype("int64"), np.ma.getmaskarray(n).copy()),
        "complete": np.ma.getdata(found["complete"]),
        "parts": parts,
    }
    values = pd.DataFrame(columns, columns=SERIES_COLUMNS, copy=False)
    edges = [0, *(np.flatnonzero(np.diff(places)) + 1), len(places)]
    for start, end in pairwise(edges if len(places) else []):
        rows_of_series = values.iloc[start:start] if empty[start] else values.iloc[start:end]
        yield int(places[start]), StoredSeries(str(definitions[start]), rows_of_series.reset_index(drop=True))


def in_tuples(lists: pd.Series) -> pd.Series:
    """A column of lists as the engine gives it, as tuples of floats; None where there is none."""
    import pandas as pd

    if not lists.notna().any():
        return pd.Series([None] * len(lists), dtype=object)
    rows = [None if row is None or row is pd.NA else tuple(row.tolist()) for row in lists.astype(object)]
    return pd.Series(rows, dtype=object)


def frame(connection: duckdb.DuckDBPyConnection, sql: str, values: list[Any] | None = None) -> pd.DataFrame:
    """The rows of one SELECT. Raises WarehouseError with the engine's own first line."""
    try:
        return connection.execute(sql, values or []).df()
    except duckdb.Error as error:
        raise engine_error(error) from error


def arrays(connection: duckdb.DuckDBPyConnection, sql: str, values: list[Any]) -> dict[str, Any]:
    """Column → its values as numpy has them, masked where unknown: half the time of a frame. Raises as `frame`."""
    try:
        return connection.execute(sql, values).fetchnumpy()
    except duckdb.Error as error:
        raise engine_error(error) from error


def one(connection: duckdb.DuckDBPyConnection, sql: str, values: list[Any] | None = None) -> tuple[Any, ...] | None:
    """The first row of a result that is read to its end: an open one keeps the connection busy."""
    rows = connection.execute(sql, values or []).fetchall()
    return rows[0] if rows else None


def described(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, str]:
    """Columns and types of one SELECT. Raises WarehouseError."""
    try:
        return {row[0]: row[1] for row in connection.execute(f"DESCRIBE {sql}").fetchall()}
    except duckdb.Error as error:
        raise engine_error(error) from error


def recorded(connection: duckdb.DuckDBPyConnection) -> dict[str, Columns]:
    """Tables of the sources with their columns and types, as the books have them; none of an earlier version's."""
    try:
        rows = connection.execute(f"SELECT name, columns FROM {BOOKS}.tables ORDER BY name").fetchall()
    except duckdb.CatalogException:
        return {}
    return {name: json.loads(columns) for name, columns in rows}


def catalogued(connection: duckdb.DuckDBPyConnection) -> dict[str, Columns]:
    """The same from the engine's own catalogue, which takes 15 ms to wake in each process that opens a file."""
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in connection.execute(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() "
        "WHERE schema_name = 'main' AND NOT internal ORDER BY table_name, column_index"
    ).fetchall():
        found.setdefault(table, {})[column] = kind
    return dict(found)


@dataclass(frozen=True)
class SharedFile:
    """One file of a table. name: of the file without its suffix, and of the database as it is attached."""

    name: str
    table: str
    rows: int
    columns: Columns

    def within(self, folder: Path) -> Path:
        """Where it lies. folder: of its generation."""
        return folder / f"{self.name}.duckdb"


def listed(connection: duckdb.DuckDBPyConnection, table: str = "") -> list[SharedFile]:
    """The shared files of a generation, or of one table of it, in the order of their rows."""
    try:
        found = connection.execute(
            f'SELECT name, "table", rows, columns FROM {BOOKS}.shared_files WHERE ? IN (\'\', "table") ORDER BY place',
            [table],
        ).fetchall()
    except duckdb.CatalogException:  # of an earlier version's generation
        return []
    return [SharedFile(name, table, rows, json.loads(columns)) for name, table, rows, columns in found]


def shared_places(connection: duckdb.DuckDBPyConnection, path: Path) -> list[tuple[str, Path]]:
    """Name and place of each shared file of the generation at `path`."""
    return [(file.name, file.within(shared_folder(path))) for file in listed(connection)]


def attach(connection: duckdb.DuckDBPyConnection, places: Iterable[tuple[str, Path | str]]) -> None:
    """Open shared files read-only: before the connection is sealed, which then opens no other. places: name, file."""
    for name, place in places:
        connection.execute(f"ATTACH {text(str(place))} AS {quoted(name)} (READ_ONLY)")


def engine_error(error: duckdb.Error) -> KpiError:
    """The engine's message without its stack and its hints to files and settings."""
    if isinstance(error, duckdb.OutOfMemoryException) or str(error).startswith("Out of Memory"):
        return QueryLimit("needs more memory than it may take", hint=MEMORY_HINT)
    first = str(error).split("\n", 1)[0]
    return disk_full(error) or WarehouseError(
        first, hint="The definition's SQL cannot run on this data; `kpi validate` names its line."
    )


@contextmanager
def full_disk_told() -> Iterator[None]:
    """A full disk, wherever it shows, is told as such. Raises DiskFull."""
    try:
        yield
    except (duckdb.Error, OSError) as error:
        raise disk_full(error) or error from error


@contextmanager
def refusal_told() -> Iterator[None]:
    """A file that DuckDB cannot open, or that holds no generation, is told as such. Raises WarehouseError."""
    try:
        yield
    except (duckdb.Error, IndexError, RuntimeError) as error:
        raise WarehouseError(str(error)) from error


def disk_full(error: Exception) -> DiskFull | None:
    """The error for a user, if the engine or the system says that the disk is full."""
    if "No space left" not in str(error) and "disk full" not in str(error).lower():
        return None
    return DiskFull(
        "the disk is full", hint="Nothing was published; the live generation is as it was. Make room and sync again."
    )


def _utc(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None else None
