"""A generation in the making: bookkeeping, values with validity, publish."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import duckdb

from connectors.cage.cage import Cage, Held
from connectors.warehouse.contract import (
    OF_A_LAKE,
    OF_AN_ENGINE,
    Columns,
    DatasetState,
    Failure,
    Generation,
)
from connectors.warehouse.duckdb import rollups, shared
from connectors.warehouse.duckdb.computing import Computing, Opening
from connectors.warehouse.duckdb.generations import Generations
from connectors.warehouse.duckdb.notes import shared_folder
from connectors.warehouse.duckdb.reader import (
    BOOKS,
    CHANGED,
    SERIES_COLUMNS,
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
from connectors.warehouse.duckdb.tables import DuckLoading, naive
from connectors.warehouse.names import text

if TYPE_CHECKING:
    import pandas as pd

ROWS_AT_A_TIME = 500_000  # that are handed to the worker: some ten MB


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
        self.due = not {OF_AN_ENGINE, OF_A_LAKE}.isdisjoint(self.published_files())

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
            row = [s.name, naive(s.watermark), naive(s.first_at), naive(s.last_at), s.rows, s.future_rows]
            row = [self.generation.sequence, *row, naive(s.source_first_at), naive(s.since)]
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
