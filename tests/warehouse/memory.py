"""A second Warehouse, for the contract's tests: pandas in memory, one pickle for each generation, SQLite for SQL.

Small, not fast. What it cannot: JSON files, CSV other than plain, widening of types.
"""

from __future__ import annotations

import copy
import os
import pickle
import shutil
import sqlite3
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import sqlglot
from filelock import FileLock, Timeout

from connectors.errors import DamagedData, NoData, SyncRunning, WarehouseError
from connectors.sources.contract import Cursor, SourceOptions
from connectors.texts.reading import TextReading
from connectors.warehouse.contract import (
    COMPANIONS,
    Check,
    Columns,
    DatasetState,
    Failure,
    Generation,
    LiveFiles,
    Rollup,
    Room,
    SeriesKey,
    StoredSeries,
)
from tests.warehouse.batch_rows import alike
from tests.warehouse.in_sqlite import kinds, runnable, sqlite_of, with_times
from tests.warehouse.memory_load import QUARANTINE, Content, MemoryLoad, Version

KEY = ["grain", "dimension", "segment", "period"]
FACTS = ["value", "numerator", "denominator", "n", "complete", "parts"]
KEPT_BEFORE_LIVE = 2


class MemoryReader:
    """Reads a content."""

    dialect = "sqlite"

    def __init__(self, content: Content, generation: Generation) -> None:
        self._content, self.generation = content, generation
        self._lock = threading.Lock()
        self._sqlite: sqlite3.Connection | None = None

    def frame(self, sql: str) -> pd.DataFrame:
        with self._lock:
            changed = {f"changed {name}": rows for name, rows in self._content.changed.items() if rows is not None}
            tables = {**self._content.tables, **changed, **self._content.rollups.tables()}
            self._sqlite = self._sqlite or sqlite_of(tables)
            try:
                return with_times(pd.read_sql_query(runnable(sql, "sqlite"), self._sqlite))
            except (sqlglot.errors.SqlglotError, pd.errors.DatabaseError, sqlite3.Error) as error:
                raise WarehouseError(str(error)) from error

    def columns(self, sql: str) -> Columns:
        return kinds(self.frame(sqlglot.transpile(sql, read="duckdb", write="sqlite")[0]))

    @property
    def kept(self) -> MemoryReader:
        return self

    def tables(self) -> Mapping[str, Columns]:
        return {name: kinds(frame) for name, frame in self._content.tables.items()}

    def generations(self) -> Sequence[Generation]:
        return list(self._content.generations)

    def dataset_states(self, sequence: int) -> Mapping[str, DatasetState]:
        return self._content.states.get(sequence, {})

    def stored_values(self, kpi: str, grain: str, dimension: str, sequence: int) -> StoredSeries | None:
        mine = (kpi, (grain, dimension))
        found = [s for s in self._content.series if (s.kpi, s.key) == mine and s.valid(sequence)]
        if not found:
            return None
        rows = [v for v in self._content.values if (v.kpi, v.key[:2]) == mine and v.valid(sequence)]
        rows.sort(key=lambda v: v.key)
        frame = pd.DataFrame([(*v.key[2:], *v.facts) for v in rows], columns=[*KEY[2:], *FACTS])
        floats = dict.fromkeys(FACTS[:3], "float64")
        return StoredSeries(found[0].definition, frame.astype({**floats, "n": "Int64", "complete": bool}))

    def stored_series(self, keys: Iterable[SeriesKey], sequence: int) -> Mapping[SeriesKey, StoredSeries]:
        found = {key: self.stored_values(*key, sequence) for key in keys}
        return {key: series for key, series in found.items() if series is not None}

    def read_ahead(self, keys: Iterable[SeriesKey], sequence: int) -> None:
        pass

    def published_files(self) -> Mapping[str, str]:
        return dict(self._content.files)

    def failures(self) -> Mapping[str, Failure]:
        return dict(self._content.failures)

    def rollups(self) -> Mapping[str, Rollup]:
        return self._content.rollups.rollups()

    def all_stored_definitions(self) -> Mapping[tuple[str, str], Sequence[tuple[str, int]]]:
        asked = {(s.kpi, s.key[0]) for s in self._content.series if s.key[1] == ""}
        return {key: self.stored_definitions(*key) for key in asked}

    def stored_definitions(self, kpi: str, grain: str) -> Sequence[tuple[str, int]]:
        found = [(s.definition, s.start) for s in self._content.series if s.kpi == kpi and s.key == (grain, "")]
        return sorted(found, key=lambda item: item[1])

    def quarantine(self) -> pd.DataFrame:
        return pd.DataFrame(self._content.quarantine, columns=QUARANTINE).sort_values(QUARANTINE[:4])

    def close(self) -> None:
        if self._sqlite is not None:
            self._sqlite.close()


class MemoryLoading(MemoryReader):
    """Loads into a content of its own."""

    def __init__(self, content: Content, now: datetime) -> None:
        last = max((g.sequence for g in content.generations), default=0)
        named = f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
        super().__init__(content, Generation(last + 1, named, now.astimezone(UTC)))

    def stored_values(self, kpi: str, grain: str, dimension: str, sequence: int) -> None:
        return None

    def cursor(self, source: str) -> Cursor:
        found = self._content.pulled.get(source)
        return found.cursor if found else {}

    def last_full(self, source: str) -> datetime | None:
        found = self._content.pulled.get(source)
        return found.full_at if found else None

    def rows(self, sql: str) -> Sequence[tuple[Any, ...]]:
        plain = self.frame(sql).astype(object)
        return list(plain.where(plain.notna(), None).itertuples(index=False, name=None))

    def readings(self, source: str) -> Mapping[str, TextReading]:
        return {}

    def pulled_at(self) -> Mapping[str, datetime]:
        return {name: pulled.at for name, pulled in self._content.pulled.items()}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        parts = ("tables", "changed", "pulled", "quarantine")
        before = {part: copy.copy(getattr(self._content, part)) for part in parts}
        try:
            yield
        except BaseException:
            self._content.__dict__.update(before)
            raise
        finally:
            self.close()
            self._sqlite = None

    def begin_load(self, options: SourceOptions, *, anew: bool = False, retype: bool = False) -> MemoryLoad:
        return MemoryLoad(self._content, options, self.generation.published_at, anew=anew, retype=retype)

    def changes(self, table: str) -> str | None:
        if table not in self._content.changed:
            return ""
        frame = self._content.changed[table]
        return None if frame is None else f'"changed {table}"' if len(frame) else ""

    def settle(self) -> None:
        pass


class MemoryStaging(MemoryLoading):
    """The next generation of a warehouse."""

    def __init__(self, warehouse: MemoryWarehouse, content: Content, now: datetime) -> None:
        super().__init__(content, now)
        self._warehouse = warehouse
        self.written = 0
        self.loads, self.due = True, False

    def live_definitions(self) -> Mapping[str, str]:
        return {s.kpi: s.definition for s in self._content.series if s.end is None}

    def stored_segments(
        self, kpi: str, grain: str, dimension: str, outside: Sequence[tuple[datetime, datetime]]
    ) -> Mapping[str, int] | None:
        found: dict[str, int] = {}
        for v in self._valid(kpi):
            if v.key[:2] == (grain, dimension):
                n = 0 if any(a <= v.key[3] < b for a, b in outside) or v.facts[3] is None else v.facts[3]
                found[v.key[2]] = found.get(v.key[2], 0) + n
        return found or None

    def valid_values(self, kpi: str) -> pd.DataFrame:
        rows = [(*v.key, *v.facts) for v in self._valid(kpi)]
        floats = dict.fromkeys(FACTS[:3], "float64")
        return pd.DataFrame(rows, columns=[*KEY, *FACTS]).astype({**floats, "n": "Int64", "complete": bool})

    def store_dataset_states(self, states: Sequence[DatasetState]) -> None:
        self._content.states.setdefault(self.generation.sequence, {}).update({s.name: s for s in states})

    def store_files(self, texts: Mapping[str, str]) -> None:
        self._content.files = dict(texts)

    def store_values(self, kpi: str, definition: str, text: str, frame: pd.DataFrame, touched: pd.DataFrame) -> None:
        sequence, versions = self.generation.sequence, 0
        plain = frame.astype(object).where(frame.notna(), None)
        fresh = {tuple(row[:4]): tuple(row[4:]) for row in plain[[*KEY, *FACTS]].itertuples(index=False, name=None)}
        spans = [tuple(row) for row in touched.itertuples(index=False)]
        kept = {}
        for v in self._valid(kpi):
            within = any(v.key[:2] == (g, d) and start <= v.key[3] < end for g, d, start, end in spans)
            same = v.key in fresh and alike(v.facts, fresh[v.key])
            if v.definition != definition or (within and not same):
                v.end, versions = sequence, versions + 1
            else:
                kept[v.key] = v
        new = [key for key, facts in fresh.items() if key not in kept or not alike(kept[key].facts, facts)]
        self._content.values += [Version(kpi, definition, key, fresh[key], sequence) for key in new]
        there = {v.key[:2] for v in self._valid(kpi)}
        for s in self._content.series:
            if s.kpi == kpi and s.end is None and (s.definition != definition or s.key not in there):
                s.end = sequence
        known = {s.key for s in self._content.series if s.kpi == kpi and s.end is None}
        added = {key[:2] for key in fresh} - known
        self._content.series += [Version(kpi, definition, key, (), sequence) for key in sorted(added)]
        self._content.failures.pop(kpi, None)
        self.written += versions + len(new)

    def store_failure(self, kpi: str, failure: Failure) -> None:
        self._content.failures[kpi] = failure
        if not failure.kept:
            self._end(lambda name: name == kpi)

    def forget_values(self, kpis_kept: Sequence[str]) -> None:
        self.written += self._end(lambda name: name not in kpis_kept)
        self._content.failures = {n: f for n, f in self._content.failures.items() if n in kpis_kept}

    def keep_rollup(
        self,
        name: str,
        about: Mapping[str, Any],
        sql: str,
        *,
        most: int,
        touched: tuple[datetime, datetime] | None = None,
    ) -> str:
        rows = self.frame(sql)
        self._sqlite = None
        return self._content.rollups.keep(name, about, rows, most, touched)

    def bring_rollup(
        self,
        name: str,
        about: Mapping[str, Any],
        rows: pd.DataFrame | None,
        *,
        touched: tuple[datetime, datetime] | None = None,
    ) -> str:
        self._sqlite = None
        most = -1 if rows is None else len(rows)
        return self._content.rollups.keep(name, about, pd.DataFrame() if rows is None else rows, most, touched)

    def forget_rollups(self, kept: Iterable[str]) -> None:
        self._content.rollups.forget(kept)

    def publish(self) -> Generation:
        self._content.rollups.publish()
        self._content.generations.append(self.generation)
        self._content.changed.clear()
        self._warehouse.publish(self._content, self.generation.id)
        return self.generation

    def _valid(self, kpi: str) -> list[Version]:
        return [v for v in self._content.values if v.kpi == kpi and v.end is None]

    def _end(self, chosen: Any) -> int:
        found = [v for v in (*self._content.values, *self._content.series) if v.end is None and chosen(v.kpi)]
        for v in found:
            v.end = self.generation.sequence
        return len(found)


class MemoryWarehouse:
    """Generations as pickles in a data folder, and the name of the live one in a file."""

    def __init__(self, data: Path) -> None:
        self._data, self._pointer = data, data / "live"

    def live(self) -> str | None:
        return self._chosen()[0]

    def damage(self) -> Sequence[str]:
        try:
            live, faults = self._chosen()
        except DamagedData as error:
            return (error.message,)
        return (f"{'; '.join(faults)}: {live} is read instead",) if faults else ()

    def reader(self) -> MemoryReader:
        live = self.live()
        if live is None:
            raise NoData("no data yet", where=str(self._data), hint="Run `kpi sync`.")
        content = self._content(live)
        return MemoryReader(content, content.generations[-1])

    @contextmanager
    def staging(self, now: datetime, *, anew: bool = False) -> Iterator[MemoryStaging]:
        self._data.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self._data / "sync.lock", timeout=0):
                if anew:
                    self._put_aside([*self._data.glob("*.pickle"), self._pointer])
                live = None if anew else self._mended()[0]
                staging = MemoryStaging(self, self._content(live) if live else Content(), now)
                try:
                    yield staging
                finally:
                    staging.close()
                    self._collect()
        except Timeout:
            raise SyncRunning("another sync is running", where=str(self._data)) from None

    def check(self) -> Sequence[Check]:
        states = [(path.stem, self._readable(path.stem)) for path in sorted(self._data.glob("*.pickle"))]
        return [Check(name, "ok" if good else "damaged", "read in whole") for name, good in states]

    @contextmanager
    def held(self) -> Iterator[None]:
        self._data.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self._data / "sync.lock", timeout=0):
                yield
        except Timeout:
            raise SyncRunning("another sync is running", where=str(self._data)) from None

    def repair(self) -> Sequence[str]:
        return self._mended()[1]

    def _chosen(self) -> tuple[str | None, list[str]]:
        """The generation that is read, and what is wrong."""
        pointed = self._pointer.read_bytes().decode(errors="replace") if self._pointer.exists() else ""
        if pointed and self._readable(pointed):
            return pointed, []
        names = sorted(path.stem for path in self._data.glob("*.pickle"))
        good = [(self._content(name).generations[-1].sequence, name) for name in names if self._readable(name)]
        if not good and (names or pointed or (self._data / "damaged").exists()):
            raise DamagedData("no generation can be read", hint="Restore a backup, or `kpi sync --anew`.")
        return (max(good)[1] if good else None), [f"{pointed or 'the pointer'} cannot be read"] if good else []

    def _mended(self) -> tuple[str | None, list[str]]:
        live, faults = self._chosen()
        bad = [path for path in self._data.glob("*.pickle") if not self._readable(path.stem)]
        self._put_aside(bad)
        if live:
            self._point(live)
        return live, [*faults, *(f"{path.name} is kept in data/damaged" for path in bad)]

    def _put_aside(self, paths: Sequence[Path]) -> None:
        for path in paths:
            (self._data / "damaged").mkdir(exist_ok=True)
            os.replace(path, self._data / "damaged" / path.name)

    def _readable(self, generation: str) -> bool:
        with suppress(OSError, ValueError, pickle.UnpicklingError, EOFError, IndexError):
            return bool(self._content(generation).generations)
        return False

    @contextmanager
    def scratch(self, now: datetime, *, small: bool = False) -> Iterator[MemoryLoading]:
        loading = MemoryLoading(Content(), now)
        yield loading
        loading.close()

    def companion(self, generation: str, of: str = "impacts") -> Path:
        return self._data / f"{generation}.{of}"

    def room(self) -> Room:
        live = self.live()
        size = self._file(live).stat().st_size if live else 0
        return Room(shutil.disk_usage(self._data).free, size, 2 * size + 1)

    def live_files(self) -> LiveFiles | None:
        live = self.live()
        return LiveFiles(live, {f"data/{live}.pickle": self._file(live)}) if live else None

    def restore(self, generation: str) -> None:
        try:
            self._content(generation)
        except (OSError, pickle.UnpicklingError, EOFError) as error:
            raise WarehouseError(str(error)) from error
        self._point(generation)
        number = len(self._content(generation).generations)
        later = [p for p in self._data.glob("*.pickle") if len(self._content(p.stem).generations) > number]
        self._put_aside(later)

    def kept_texts(self, name: str) -> Mapping[str, str | None]:
        return {path.stem: self._content(path.stem).files.get(name) for path in sorted(self._data.glob("*.pickle"))}

    def describe(self) -> str:
        return "files are renamed"

    def publish(self, content: Content, generation: str) -> None:
        """Make a content the live generation."""
        fresh = self._file(generation).with_suffix(".staging")
        fresh.write_bytes(pickle.dumps(content))
        os.replace(fresh, self._file(generation))
        self._point(generation)

    def _point(self, generation: str) -> None:
        fresh = self._data / ".live"
        fresh.write_text(generation)
        os.replace(fresh, self._pointer)

    def _collect(self) -> None:
        live = self.live()
        others = sorted(self._data.glob("*.pickle"), key=lambda path: path.stat().st_mtime_ns)
        for path in [p for p in others if p.stem != live][:-KEPT_BEFORE_LIVE]:
            path.unlink()
            for of in COMPANIONS:
                self.companion(path.stem, of).unlink(missing_ok=True)

    def _file(self, generation: str) -> Path:
        return self._data / f"{generation}.pickle"

    def _content(self, generation: str) -> Content:
        found: Content = pickle.loads(self._file(generation).read_bytes())
        return found
