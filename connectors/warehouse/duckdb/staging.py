"""A generation in the making: bookkeeping, values with validity, publish."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import duckdb

from connectors.cage.cage import Cage, Held
from connectors.errors import LoadError
from connectors.sources.contract import Batch, Cursor, FileScan, SourceOptions
from connectors.texts.reading import TextReading
from connectors.warehouse.contract import (
    OF_AN_ENGINE,
    Columns,
    DatasetState,
    Failure,
    Generation,
    Loaded,
    SeriesKey,
    StoredSeries,
)
from connectors.warehouse.duckdb import rollups, shared
from connectors.warehouse.duckdb.computing import Computing, Opening
from connectors.warehouse.duckdb.generations import Generations
from connectors.warehouse.duckdb.loading import Load
from connectors.warehouse.duckdb.notes import shared_folder
from connectors.warehouse.duckdb.reader import (
    BOOKS,
    CHANGED,
    SEALS,
    SERIES_COLUMNS,
    Books,
    attach,
    catalogued,
    config,
    described,
    disk_full,
    engine_error,
    frame,
    in_tuples,
    made_beside,
    one,
    opened,
    recorded,
    shared_places,
    spill_beside,
)
from connectors.warehouse.duckdb.storing import Values, store, waiting
from connectors.warehouse.names import quoted, text

if TYPE_CHECKING:
    import pandas as pd

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
ROWS_AT_A_TIME = 500_000  # that are handed to the worker: some ten MB
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
                *(name, json.dumps(dict(reached)), _naive(full_at), _naive(self.now)),
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


class DuckStaging(DuckLoading):
    """A generation in the making, in the file that `generations` staged for it.

    Until `settle` the file is this process's to write; from there to `publish` it is read only, here (the books) and in
    a worker (SQL of definitions), and what is stored waits: no file is open for writing while foreign SQL reads it.
    """

    def __init__(
        self,
        generations: Generations,
        path: Path,
        *,
        now: datetime,
        memory_limit: str,
        threads: int,
        cage: Cage,
        shared_from: int,
    ) -> None:
        super().__init__(path, now=now, memory_limit=memory_limit, threads=threads, spill=spill_beside(path))
        self._generations, self._worker = generations, Held(cage)
        self._made = made_beside(path)
        limits, spill = cage.limits.engine_memory, spill_beside(path)
        self._opening = Opening(str(path), limits, threads, self.now, spill, made=str(self._made))
        self._computing, self._shared_from = Computing(self._worker, self._opening), shared_from
        self._settled = False
        self._values: list[Values] = []
        self._waiting: list[Callable[[], int]] = []
        self.written = 0
        self.loads, self.due = True, False

    def frame(self, sql: str) -> pd.DataFrame:
        """The rows of one SELECT; once it is settled, computed in the cage. Raises WarehouseError, QueryLimit."""
        return self._computing.frame(sql) if self._settled else super().frame(sql)

    def columns(self, sql: str) -> Columns:
        """Columns and types of one SELECT, without running it. Raises WarehouseError, QueryLimit."""
        if not self._settled:
            return super().columns(sql)
        if sql not in self._described:
            self._described[sql] = self._computing.described(sql)
        return self._described[sql]

    def dataset_states(self, sequence: int) -> Mapping[str, DatasetState]:
        """Dataset states of a generation; none where the one before was of an engine's rows."""
        return {} if self.due else super().dataset_states(sequence)

    def compute_own(self) -> None:
        """Say that its own rows are what is computed: what was stored of an engine's says nothing of them."""
        self.due = OF_AN_ENGINE in self.published_files()

    def export(self, sql: str, path: Path) -> int:
        """Write the rows of one SELECT as a Parquet file, before it is settled. Raises WarehouseError, DiskFull."""
        try:
            row = one(self._connection, f"COPY ({sql}) TO {text(str(path))} (FORMAT parquet, COMPRESSION zstd)")
        except duckdb.Error as error:
            raise engine_error(error) from error
        return int(row[0]) if row else 0

    def settle(self) -> None:
        """Write loaded rows to the file and let go of it: from here on it is read, until `publish`."""
        if any(change != "" for change in self._changes.values()):
            self._worker.warm()
        self._made.parent.mkdir(exist_ok=True)
        self._connection.execute("CHECKPOINT")
        self._share()
        places = shared_places(self._connection, self.path)
        self._connection.close()
        self._connection = opened(self.path, memory_limit=self._memory_limit, threads=self._threads, shared=places)
        within = tuple((name, str(place), "") for name, place in places)
        self._computing = Computing(self._worker, replace(self._opening, shared=within))
        self._settled = True

    def _share(self) -> None:
        """Move the oldest rows of large tables to files that generations share, once this one is large."""
        folder = shared_folder(self.path)
        files = [place for _, place in shared_places(self._connection, self.path)]
        size = sum(place.stat().st_size for place in (self.path, *files))
        tables = [shared.SharedTable(self._connection, name) for name in recorded(self._connection)]
        large = [table for table in tables if size > self._shared_from or table.is_view]
        made = [table for table in large if table.share(folder, max(1, self._shared_from // shared.BYTES_A_ROW))]
        if not large:
            return
        self._connection.execute("CHECKPOINT")
        fresh = shared.compact(self._connection, self.path, self._shared_from // 10) if made else None
        if fresh is not None:
            self._connection.close()
            os.replace(fresh, self.path)
            self._connection = self._opened()

    def close(self) -> None:
        """Let go of the file without publishing."""
        self._let_go()
        self._worker.close()
        super().close()
        rmtree(self._made.parent, ignore_errors=True)

    def _let_go(self) -> None:
        """Close the file in the worker, if there is one."""
        if self._settled and self._worker.started:
            self._computing.let_go()

    def store_dataset_states(self, states: Sequence[DatasetState]) -> None:
        """Record the dataset states of this generation."""
        self._waiting.append(partial(self._store_states, tuple(states)))

    def _store_states(self, states: Sequence[DatasetState]) -> int:
        for s in states:
            row = [s.name, _naive(s.watermark), _naive(s.first_at), _naive(s.last_at), s.rows, s.future_rows]
            row = [self.generation.sequence, *row, _naive(s.source_first_at), _naive(s.since)]
            self._connection.execute(
                f"INSERT INTO {BOOKS}.dataset_states (sequence, name, watermark, first_at, last_at, rows, future_rows, "
                "source_first_at, since) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        return 0

    def stored_segments(
        self, kpi: str, grain: str, dimension: str, outside: Sequence[tuple[datetime, datetime]]
    ) -> Mapping[str, int] | None:
        """Segments of the valid values → their n outside of these ranges of periods; None = nothing is stored."""
        inside = " OR ".join("(period >= ? AND period < ?)" for _ in outside) or "false"
        rows = self._rows(
            f"SELECT segment, coalesce(sum(n) FILTER (WHERE NOT ({inside})), 0) FROM {BOOKS}.kpi_values "
            "WHERE kpi = ? AND grain = ? AND dimension = ? AND valid_to IS NULL GROUP BY segment",
            [*(at for span in outside for at in span), kpi, grain, dimension],
        )
        return {segment: int(n) for segment, n in rows} or None

    def valid_values(self, kpi: str) -> pd.DataFrame:
        """A KPI's valid values of all grains and dimensions: `grain`, `dimension` and the columns of StoredSeries."""
        columns = ", ".join(SERIES_COLUMNS)
        found = frame(
            self._connection.cursor(),
            f"SELECT grain, dimension, {columns} FROM {BOOKS}.kpi_values WHERE kpi = ? AND valid_to IS NULL",
            [kpi],
        )
        return found.assign(n=found["n"].astype("Int64"), parts=in_tuples(found["parts"]))

    def store_values(self, kpi: str, definition: str, text: str, frame: pd.DataFrame, touched: pd.DataFrame) -> None:
        """Make `frame` the valid values of a KPI; what differs gets a new version, the old one stays."""
        self._values.append(waiting(kpi, definition, text, frame, touched))

    def store_failure(self, kpi: str, failure: Failure) -> None:
        """A KPI could not be computed for this generation: its values end, unless `kept` says that they stay."""
        self._waiting.append(partial(self._store_failure, kpi, failure))

    def _store_failure(self, kpi: str, failure: Failure) -> int:
        told = [kpi, failure.code, failure.message, failure.hint, failure.since, failure.kept]
        self._connection.execute(f"INSERT OR REPLACE INTO {BOOKS}.failures VALUES (?, ?, ?, ?, ?, ?)", told)
        for table in ("kpi_values", "kpi_series") if not failure.kept else ():
            self._connection.execute(
                f"UPDATE {BOOKS}.{table} SET valid_to = {self.generation.sequence} WHERE valid_to IS NULL AND kpi = ?",
                [kpi],
            )
        return 0

    def store_files(self, texts: Mapping[str, str]) -> None:
        """Make these the definitions of this generation."""
        self._waiting.append(partial(self._store_files, dict(texts)))

    def _store_files(self, texts: Mapping[str, str]) -> int:
        self._connection.execute(f"DELETE FROM {BOOKS}.files")
        if texts:
            self._connection.executemany(f"INSERT INTO {BOOKS}.files VALUES (?, ?)", [list(i) for i in texts.items()])
        return 0

    def forget_values(self, kpis_kept: Sequence[str]) -> None:
        """End the validity of values of KPIs not in `kpis_kept`."""
        self._waiting.append(partial(self._forget_values, tuple(kpis_kept)))

    def _forget_values(self, kpis_kept: Sequence[str]) -> int:
        ended = 0
        for table in ("kpi_values", "kpi_series"):
            row = one(
                self._connection,
                f"UPDATE {BOOKS}.{table} SET valid_to = {self.generation.sequence} "
                "WHERE valid_to IS NULL AND NOT list_contains(?, kpi)",
                [list(kpis_kept)],
            )
            ended += int(row[0]) if row else 0
        self._connection.execute(f"DELETE FROM {BOOKS}.failures WHERE NOT list_contains(?, kpi)", [list(kpis_kept)])
        return ended

    def keep_rollup(
        self,
        name: str,
        about: Mapping[str, Any],
        sql: str,
        *,
        most: int,
        touched: tuple[datetime, datetime] | None = None,
    ) -> str:
        """Compute the rows of a roll-up, in the cage, and keep them; of more than `most` only `about`.

        Returns the relation to read them by. Raises WarehouseError, QueryLimit, DiskFull.
        """
        if self._computing.make(name, sql, most) > most:
            self._waiting.append(lambda: rollups.note_none(self._connection, name, about))
            return ""
        self._waiting.append(lambda: rollups.bring(self._connection, name, about, touched))
        return rollups.relation_made(name)

    def bring_rollup(
        self,
        name: str,
        about: Mapping[str, Any],
        rows: pd.DataFrame | None,
        *,
        touched: tuple[datetime, datetime] | None = None,
    ) -> str:
        """Keep rows of a roll-up that were computed elsewhere, which the worker puts beside those that it makes."""
        if rows is None:
            self._waiting.append(lambda: rollups.note_none(self._connection, name, about))
            return ""
        for start in range(0, max(1, len(rows)), ROWS_AT_A_TIME):
            self._computing.put(name, rows.iloc[start : start + ROWS_AT_A_TIME], begins=start == 0)
        self._waiting.append(lambda: rollups.bring(self._connection, name, about, touched))
        return rollups.relation_made(name)

    def forget_rollups(self, kept: Iterable[str]) -> None:
        """Drop those that are not in `kept`."""
        names = tuple(kept)
        self._waiting.append(lambda: rollups.forget(self._connection, names))

    def live_definitions(self) -> dict[str, str]:
        """KPI → definition of the values that are valid now."""
        rows = self._rows(f"SELECT DISTINCT kpi, definition FROM {BOOKS}.kpi_series WHERE valid_to IS NULL")
        return dict(rows)

    def publish(self) -> Generation:
        """Write what waits, finish the file and make it the live generation."""
        g = self.generation
        if self._settled:
            self._let_go()
            self._worker.close()  # what is looked at next asks it, rather than start another
            self._connection.close()
            self._connection, self._settled = self._opened(), False
        if made := self._made.exists():
            rollups.attach(self._connection, str(self._made))
        self.written = store(self._connection, g.sequence, self._values) + sum(write() for write in self._waiting)
        if made:
            rollups.detach(self._connection)
        self._connection.execute(
            f"INSERT INTO {BOOKS}.generations VALUES (?, ?, ?)", [g.sequence, g.id, self.now.replace(tzinfo=None)]
        )
        self._connection.execute(f"DROP SCHEMA {CHANGED} CASCADE")
        self._connection.execute("CHECKPOINT")
        files = [place for _, place in shared_places(self._connection, self.path)]
        self._connection.close()
        self._generations.publish(self.path, g.sequence, files)
        return g


def _naive(at: datetime | None) -> datetime | None:
    return at.astimezone(UTC).replace(tzinfo=None) if at is not None else None
