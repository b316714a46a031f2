"""Tables of a DuckDB file in the making that sources are loaded into, and what is noted of each source."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from connectors.errors import LoadError
from connectors.sources.contract import Batch, Cursor, FileScan, SourceOptions
from connectors.texts.reading import TextReading
from connectors.warehouse.contract import (
    Columns,
    Generation,
    Loaded,
    SeriesKey,
    StoredSeries,
)
from connectors.warehouse.duckdb import rollups, shared
from connectors.warehouse.duckdb.loading import Load
from connectors.warehouse.duckdb.reader import (
    BOOKS,
    CHANGED,
    SEALS,
    Books,
    attach,
    catalogued,
    config,
    described,
    disk_full,
    engine_error,
    one,
    recorded,
    shared_places,
)
from connectors.warehouse.names import quoted

if TYPE_CHECKING:
    pass

SCHEMA = f"""
BEGIN;
CREATE SCHEMA IF NOT EXISTS {BOOKS};
CREATE SCHEMA IF NOT EXISTS {CHANGED};
CREATE TABLE IF NOT EXISTS {BOOKS}.generations (sequence BIGINT, id VARCHAR, published_at TIMESTAMP);
CREATE TABLE IF NOT EXISTS {BOOKS}.cursors (source VARCHAR PRIMARY KEY, cursor VARCHAR);
ALTER TABLE {BOOKS}.cursors ADD COLUMN IF NOT EXISTS full_at TIMESTAMP;
ALTER TABLE {BOOKS}.cursors ADD COLUMN IF NOT EXISTS pulled_at TIMESTAMP;
ALTER TABLE {BOOKS}.cursors ADD COLUMN IF NOT EXISTS readings VARCHAR;
CREATE TABLE IF NOT EXISTS {BOOKS}.files (name VARCHAR, text VARCHAR);
CREATE TABLE IF NOT EXISTS {BOOKS}.dataset_states (sequence BIGINT, name VARCHAR, watermark TIMESTAMP,
    first_at TIMESTAMP, last_at TIMESTAMP, rows BIGINT, future_rows BIGINT);
ALTER TABLE {BOOKS}.dataset_states ADD COLUMN IF NOT EXISTS source_first_at TIMESTAMP;
ALTER TABLE {BOOKS}.dataset_states ADD COLUMN IF NOT EXISTS since TIMESTAMP;
CREATE TABLE IF NOT EXISTS {BOOKS}.definitions (definition VARCHAR, kpi VARCHAR, text VARCHAR, first_sequence BIGINT);
CREATE TABLE IF NOT EXISTS {BOOKS}.kpi_series (kpi VARCHAR, definition VARCHAR, grain VARCHAR, dimension VARCHAR,
    valid_from BIGINT, valid_to BIGINT);
CREATE TABLE IF NOT EXISTS {BOOKS}.kpi_values (kpi VARCHAR, definition VARCHAR, grain VARCHAR, dimension VARCHAR,
    segment VARCHAR, period TIMESTAMP, value DOUBLE, numerator DOUBLE, denominator DOUBLE, n BIGINT,
    complete BOOLEAN, valid_from BIGINT, valid_to BIGINT, parts DOUBLE[]);
ALTER TABLE {BOOKS}.kpi_values ADD COLUMN IF NOT EXISTS parts DOUBLE[];
CREATE TABLE IF NOT EXISTS {BOOKS}.quarantine (source VARCHAR, "table" VARCHAR, file VARCHAR, line BIGINT,
    column_name VARCHAR, reason VARCHAR, raw VARCHAR, seen_at TIMESTAMP);
CREATE TABLE IF NOT EXISTS {BOOKS}.failures (kpi VARCHAR PRIMARY KEY, code VARCHAR, message VARCHAR, hint VARCHAR,
    since BIGINT, kept BIGINT);
CREATE TABLE IF NOT EXISTS {BOOKS}.tables (name VARCHAR, columns VARCHAR);
{shared.SCHEMA}
COMMIT;
"""
KEPT_PAGES = 100_000_000  # bytes that stay in memory after each batch of a stream
# A checkpoint rewrites whatever would fit into fewer row groups, of tables that nothing came to as well: at ten million
# rows that costs more than to read a day. So only every so many generations do it; till then removed rows take room.
TIDIED_EVERY, MOST_TIDIED = 16, 100


class SourceLoad:
    """A source's rows on their way into its table, then its cursor with them."""

    def __init__(self, staging: DuckLoading, load: Load, *, full: bool) -> None:
        self._staging, self._load, self._full = staging, load, full

    def add(self, batch: Batch) -> int:
        """Read one batch. Returns its rows. Raises LoadError, SourceError."""
        rows = self._load.add(batch)
        if isinstance(batch.rows, FileScan) and batch.rows.fields:
            self._staging.let_go_of_pages()
        return rows

    def finish(self, cursor: Cursor | None) -> Loaded:
        """Bring what was added into the table, and its cursor (None = as before) with it. Raises LoadError."""
        return self._staging.finish_load(self._load, cursor, full=self._full)


class DuckLoading(Books):
    """Tables of a DuckDB file that nobody else opens."""

    def __init__(self, path: Path, *, now: datetime, memory_limit: str, threads: int, spill: str) -> None:
        super().__init__()
        self.path, self.now, self._spill = path, now.astimezone(UTC), spill
        self._changes: dict[str, str | None] = {}
        self._memory_limit, self._threads, self._tidies = memory_limit, threads, False
        self._connection = self._opened()
        self._connection.execute(SCHEMA)
        self._connection.execute(rollups.SCHEMA)
        last = one(self._connection, f"SELECT coalesce(max(sequence), 0) FROM {BOOKS}.generations")
        if last and last[0] and not recorded(self._connection):  # of an earlier version
            for name, columns in catalogued(self._connection).items():
                self._record(name, columns)
        self.generation = Generation((last[0] if last else 0) + 1, path.stem, self.now)
        if self.generation.sequence % TIDIED_EVERY == 0:
            self._tidies = True
            self._connection.execute(f"SET max_vacuum_tasks = {MOST_TIDIED}")

    def _opened(self) -> duckdb.DuckDBPyConnection:
        # Storage version v1.5.0: a reader that still has DuckDB 1.5 can open the file.
        own: dict[str, Any] = {
            "storage_compatibility_version": "v1.5.0",
            "max_vacuum_tasks": MOST_TIDIED if self._tidies else 0,
        }
        limits = config(self._memory_limit, self._threads, self._spill)
        connection = duckdb.connect(str(self.path), config={**own, **limits})
        connection.execute("SET TimeZone='UTC'")
        attach(connection, shared_places(connection, self.path))
        return connection

    def stored_values(self, kpi: str, grain: str, dimension: str, sequence: int) -> StoredSeries | None:  # noqa: ARG002
        """None: a generation in the making has no finished values to answer from."""
        return None

    def stored_series(self, keys: Iterable[SeriesKey], sequence: int) -> Mapping[SeriesKey, StoredSeries]:  # noqa: ARG002
        """None of them: see `stored_values`."""
        return {}

    def read_ahead(self, keys: Iterable[SeriesKey], sequence: int) -> None:
        """Nothing is read of finished values."""

    def cursor(self, source: str) -> Cursor:
        """Where the last successful pull of this source ended; empty = from the start."""
        row = one(self._connection, f"SELECT cursor FROM {BOOKS}.cursors WHERE source = ?", [source])
        return json.loads(row[0]) if row else {}

    def last_full(self, source: str) -> datetime | None:
        """When everything of this source was pulled last; None = never."""
        row = one(self._connection, f"SELECT full_at FROM {BOOKS}.cursors WHERE source = ?", [source])
        return row[0].replace(tzinfo=UTC) if row and row[0] else None

    def readings(self, source: str) -> Mapping[str, TextReading]:
        """Source column → how its texts are read."""
        row = one(self._connection, f"SELECT readings FROM {BOOKS}.cursors WHERE source = ?", [source])
        kept = json.loads(row[0]).items() if row and row[0] else ()
        return {c: TextReading(**{**r, "currencies": tuple(r.get("currencies", ()))}) for c, r in kept}

    def let_go_of_pages(self) -> None:
        """Give back the memory of what was written: the engine would keep a stream's pages up to its limit.

        A load itself has all of the limit, since nobody knows what wide records need. In a cursor of its own, whose
        failure does not end the transaction.
        """
        with suppress(duckdb.Error), self._connection.cursor() as own:
            try:
                own.execute(f"SET memory_limit = '{KEPT_PAGES}B'")
            finally:
                own.execute(f"SET memory_limit = '{self._memory_limit}'")

    def rows(self, sql: str) -> Sequence[tuple[Any, ...]]:
        """The rows of one SELECT as Python's own values. Raises WarehouseError."""
        try:
            return self._rows(sql)
        except duckdb.Error as error:
            raise engine_error(error) from error

    def pulled_at(self) -> Mapping[str, datetime]:
        """When each source was pulled last, as far as that was published."""
        rows = self._rows(f"SELECT source, pulled_at FROM {BOOKS}.cursors WHERE pulled_at IS NOT NULL")
        return {source: at.replace(tzinfo=UTC) for source, at in rows}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing: a source that fails half-way leaves its tables and cursor as they were.

        Raises LoadError or DiskFull for what the engine refuses.
        """
        self._connection.execute("BEGIN")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException as error:
            with suppress(duckdb.Error):  # a full disk has ended the transaction already
                self._connection.execute("ROLLBACK")
            if isinstance(error, duckdb.Error):
                raise disk_full(error) or LoadError(str(error).split("\n", 1)[0]) from error
            raise
        finally:
            self.forget_shapes()

    def begin_load(self, options: SourceOptions, *, anew: bool = False, retype: bool = False) -> SourceLoad:
        """A load to `add` batches to, within `transaction`.

        anew: everything is pulled, so rows that do not come are gone. retype: the table's columns are found anew.
        """
        seen_at, kept = self.now.replace(tzinfo=None), self.readings(options.name)
        load = Load(self._connection, options, seen_at, kept=kept, anew=anew, retype=retype)
        return SourceLoad(self, load, full=anew)

    def finish_load(self, load: Load, cursor: Cursor | None, *, full: bool) -> Loaded:
        """Bring a load into its table, and its cursor (None = as before) with it. Raises LoadError.

        full: everything was pulled.
        """
        name = load.options.name
        loaded, changes = load.finish()
        self._changes[load.options.table] = changes.relation
        if load.has_table:
            table = load.options.table
            self._record(table, described(self._connection, f"SELECT * FROM main.{quoted(table)}"))
        full_at = self.now if full else self.last_full(name)
        reached = self.cursor(name) if cursor is None else cursor
        self._connection.execute(
            f"INSERT OR REPLACE INTO {BOOKS}.cursors (source, cursor, full_at, pulled_at, readings) "
            "VALUES (?, ?, ?, ?, ?)",
            [
                *(name, json.dumps(dict(reached)), naive(full_at), naive(self.now)),
                json.dumps({c: reading.as_dict() for c, reading in load.readings.items()}),
            ],
        )
        return loaded

    def _record(self, table: str, columns: Columns) -> None:
        """Note what a table holds: the books answer at once, the engine's own catalogue takes 15 ms to wake."""
        self._connection.execute(f"DELETE FROM {BOOKS}.tables WHERE name = ?", [table])
        self._connection.execute(f"INSERT INTO {BOOKS}.tables VALUES (?, ?)", [table, json.dumps(dict(columns))])

    def changes(self, table: str) -> str | None:
        """A relation with the old and new versions of the rows that this sync changed in a table.

        Empty = none changed; None = any may have.
        """
        return self._changes.get(table, "")

    def settle(self) -> None:
        """Seal it: what is asked reads nothing else."""
        self._connection.execute("CHECKPOINT")
        for seal in SEALS:
            self._connection.execute(seal)

    def close(self) -> None:
        """Let go of the file without publishing."""
        self._connection.close()


def naive(at: datetime | None) -> datetime | None:
    """A moment as the books have it, in UTC."""
    return at.astimezone(UTC).replace(tzinfo=None) if at is not None else None
