"""A second Warehouse, for the contract's tests: pandas in memory, one pickle for each generation, SQLite for SQL.

Small, not fast. What it cannot: JSON files, CSV other than plain, widening of types.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import pickle
import shutil
import sqlite3
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import sqlglot
from filelock import FileLock, Timeout

from connectors.errors import DamagedData, LoadError, NoData, SyncRunning, WarehouseError
from connectors.sources.contract import Batch, Cursor, FileScan, SourceOptions
from connectors.texts.reading import TextReading
from connectors.warehouse.contract import (
    COMPANIONS,
    Check,
    Columns,
    DatasetState,
    Failure,
    Generation,
    LiveFiles,
    Loaded,
    Rollup,
    Room,
    SeriesKey,
    StoredSeries,
)
from tests.warehouse.batch_rows import alike, differing, rows_of
from tests.warehouse.in_sqlite import kinds, runnable, sqlite_of, with_times
from tests.warehouse.memory_rollups import KeptFrames

KEY = ["grain", "dimension", "segment", "period"]
FACTS = ["value", "numerator", "denominator", "n", "complete", "parts"]
QUARANTINE = ["source", "file", "line", "column_name", "reason", "raw", "seen_at"]
KEPT_BEFORE_LIVE = 2
MOST_CHANGED = 0.2  # of a table's rows, unless they are few


@dataclass
class Version:
    """One value, or the series of values (key: grain and dimension only), and the generations it is valid in."""

    kpi: str
    definition: str
    key: tuple[Any, ...]
    facts: tuple[Any, ...]
    start: int
    end: int | None = None

    def valid(self, sequence: int) -> bool:
        return self.start <= sequence and (self.end is None or self.end > sequence)


@dataclass
class Pulled:
    """How far one source was pulled."""

    cursor: dict[str, str]
    full_at: datetime | None
    at: datetime


@dataclass
class Content:
    """All that a generation is. Frames are replaced, never changed."""

    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    changed: dict[str, pd.DataFrame | None] = field(default_factory=dict)
    pulled: dict[str, Pulled] = field(default_factory=dict)
    quarantine: list[dict[str, Any]] = field(default_factory=list)
    generations: list[Generation] = field(default_factory=list)
    states: dict[int, dict[str, DatasetState]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    values: list[Version] = field(default_factory=list)
    series: list[Version] = field(default_factory=list)
    failures: dict[str, Failure] = field(default_factory=dict)
    rollups: KeptFrames = field(default_factory=KeptFrames)


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


class MemoryLoad:
    """One source's rows on their way into its table."""

    def __init__(self, content: Content, options: SourceOptions, now: datetime, *, anew: bool, retype: bool) -> None:
        self._content, self._options, self._now = content, options, now
        self._full, self._anew, self._retype = anew, anew or retype, retype
        self._rows: list[pd.DataFrame] = []
        self._quarantined = 0
        self._notes: tuple[str, ...] = ()
        self._all_from: Any = None
        if self._anew:
            self._judge_anew()

    def add(self, batch: Batch) -> int:
        if batch.restart and not self._anew:
            self._anew = True
            self._judge_anew()
        self._all_from = batch.all_from or self._all_from
        back = {new: old for old, new in self._options.columns.items() if new not in ("drop", "hash")}
        known = {} if self._retype else kinds(self._content.tables.get(self._options.table, pd.DataFrame()))
        origin = batch.rows.origin if isinstance(batch.rows, FileScan) else self._options.name
        rows = rows_of(batch)
        told = {back.get(c, c): kind for c, kind in known.items()} if isinstance(batch.rows, FileScan) else batch.types
        for column, kind in {**rows.attrs.get("guessed", {}), **told, **rows.attrs.get("types", {})}.items():
            if column in rows and kinds(rows)[column] != kind.upper():
                rows = self._cast(rows, column, kind.upper(), origin)
        rows = rows.drop(columns=[c for c, rule in self._options.columns.items() if rule == "drop"])
        for column in [c for c, rule in self._options.columns.items() if rule == "hash"]:
            rows[column] = [None if pd.isna(v) else hashlib.sha256(str(v).encode()).hexdigest() for v in rows[column]]
        rows = rows.rename(columns={old: new for new, old in back.items()})
        for column, kind in kinds(rows).items():
            if known.get(column, kind) != kind:
                raise LoadError(f"column '{column}' is {kind} in the source and {known[column]} in the table")
        self._rows.append(rows)
        return len(rows)

    def finish(self, cursor: Cursor | None) -> Loaded:
        name = self._options.name
        before = self._content.pulled.get(name)
        reached = dict(cursor) if cursor is not None else before.cursor if before else {}
        full_at = self._now if self._full else before.full_at if before else None
        loaded = self._brought() if self._rows else 0
        self._content.pulled[name] = Pulled(reached, full_at, self._now)
        return Loaded(loaded, self._quarantined, self._notes)

    def _brought(self) -> int:
        table = self._options.table
        old, new = self._content.tables.get(table), pd.concat(self._rows, ignore_index=True)
        merge, keys = self._options.load_mode == "merge", list(self._options.primary_key)
        if merge:
            keyless = new[keys].isna().any(axis=1)
            self._notes = (f"{keyless.sum()} rows have no '{', '.join(keys)}'",) if keyless.any() else ()
            new = new[keyless | ~new.duplicated(keys, keep="last")]
        if old is None or self._anew:
            same = old is not None and kinds(old) == kinds(new)
            changed = pd.concat(differing(old, new)) if same else None
            self._content.tables[table] = new.reset_index(drop=True)
            self._content.changed[table] = changed
            return len(new) if self._retype or changed is None or len(changed) else 0
        gone = pd.DataFrame(columns=old.columns)
        if merge:
            names = [*old.columns, *new.columns.difference(old.columns)]
            _, new = differing(old.reindex(columns=names), new.reindex(columns=names))
            keyed = new[new[keys].notna().all(axis=1)]
            replaced = old.set_index(keys).index.isin(keyed.set_index(keys).index)
            gone, old = old[replaced], old[~replaced]
            if self._all_from is not None:
                column, start = self._all_from
                lost = (old[column] >= pd.Timestamp(start)) & ~old.set_index(keys).index.isin(self._come(keys))
                gone, old = pd.concat([gone, old[lost]]), old[~lost]
        self._content.tables[table] = pd.concat([old, new], ignore_index=True).astype(
            {c: old[c].dtype for c in old if c in new and not new[c].isna().any()}
        )
        changed = pd.concat([part for part in (gone, new) if len(part)] or [new])
        much = len(changed) > max(10, MOST_CHANGED * len(self._content.tables[table]))
        self._content.changed[table] = None if much else changed
        return len(new)

    def _come(self, keys: list[str]) -> pd.Index:
        """The keys of all rows that came."""
        return pd.concat(self._rows).set_index(keys).index

    def _cast(self, rows: pd.DataFrame, column: str, kind: str, origin: str) -> pd.DataFrame:
        """Values as the type they must have; a row with one that cannot be goes to quarantine."""
        given = rows[column]
        if kind in ("BIGINT", "DOUBLE"):
            cast = pd.to_numeric(given, errors="coerce")
        elif kind in ("DATE", "TIMESTAMP"):
            cast = pd.to_datetime(given, errors="coerce", format="ISO8601")
        else:
            cast = given.astype("str")
        rows = rows.assign(**{column: cast})
        rows = self._put_aside(rows, given.notna() & cast.isna(), column, f"'{column}' is not {kind}", origin, given)
        return rows.astype({column: "int64"}) if kind == "BIGINT" and not rows[column].isna().any() else rows

    def _put_aside(
        self, rows: pd.DataFrame, bad: pd.Series, column: str, reason: str, origin: str, given: Any = None
    ) -> pd.DataFrame:
        for place, row in rows[bad].iterrows():
            raw = json.dumps({**row, **({column: given[place]} if given is not None else {})}, default=str)
            line = int(str(place)) + 2 if rows.attrs else None
            item = dict(
                zip(QUARANTINE, (self._options.name, origin, line, column, reason, raw, self._now), strict=True)
            )
            if line or not any({**q, "seen_at": 0} == {**item, "seen_at": 0} for q in self._content.quarantine):
                self._content.quarantine.append(item)
                self._quarantined += 1
        return rows[~bad]

    def _judge_anew(self) -> None:
        self._content.quarantine = [q for q in self._content.quarantine if q["source"] != self._options.name]


class MemoryStaging(MemoryLoading):
    """The next generation of a warehouse."""

    def __init__(self, warehouse: MemoryWarehouse, content: Content, now: datetime) -> None:
        super().__init__(content, now)
        self._warehouse = warehouse
        self.written = 0

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
