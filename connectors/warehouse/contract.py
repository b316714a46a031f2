"""What every engine behind the metrics layer offers. Importing this loads no engine and no pandas.

A **warehouse** keeps the generations of one project and gives out the two halves: **serving**, a `Reader` of what is
published, and **loading**, a `Loading` that batches go into and a `Staging` that becomes the next generation.
tests/warehouse/ holds what all of them promise, for every implementation alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from connectors.sources.contract import Batch, Cursor, SourceOptions
    from connectors.texts.reading import TextReading

SeriesKey = tuple[str, str, str]  # KPI, grain, dimension
# Column → SQL type, by the names of DuckDB whatever the engine: BIGINT, DOUBLE, BOOLEAN, VARCHAR, DATE, TIMESTAMP,
# TIMESTAMP WITH TIME ZONE. Checks of definitions and the engine's local times go by them.
Columns = Mapping[str, str]
# Of launches; by what rules of alerts were judged; by what launches and snapshots left nothing to do; of weeks.
COMPANIONS = ("impacts", "judged", "settled", "weeks")
# Among the texts of a generation: that its values are of rows which an engine by URL has, and what these look like.
OF_AN_ENGINE = "engine:shapes"
OF_A_LAKE = "lake:files"  # the same of rows that lie here and in a lake, which an engine computes them from
OF_THE_AUDIT = "audit:head"  # the same of how far the audit had come when it was made (jobs/audit/syncs.py)
NO_DIMENSION = ""  # the dimension of stored values that are not broken down
TOUCHED = ("grain", "dimension", "start", "end")  # columns of the ranges that stored values stand for
NONE_SEGMENT = "(none)"  # how a NULL segment is shown and asked for


@dataclass(frozen=True)
class Generation:
    """One published state of all data. sequence grows by one; id is its file's stem; published_at is UTC."""

    sequence: int
    id: str
    published_at: datetime


@dataclass(frozen=True)
class DatasetState:
    """What one generation knows of one dataset; all times UTC, None = unknown.

    first_at: earliest event. last_at: end of the latest event that is not in the future
    (of its day, for DATEs). watermark: complete up to here.
    rows: all rows; future_rows: rows later than the sync, kept and counted.
    source_first_at: earliest event of whatever is counted over the same tables. since: from when its sources were
    observed, as stated.
    """

    name: str
    watermark: datetime | None
    first_at: datetime | None
    last_at: datetime | None
    rows: int
    future_rows: int
    source_first_at: datetime | None = None
    since: datetime | None = None


@dataclass(frozen=True)
class Loaded:
    """What one load did. rows: new or changed ones that it brought; quarantined: rows put aside.

    notes: what was odd, in sentences.
    """

    rows: int
    quarantined: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Room:
    """Bytes. free: there is. live: the live generation takes, 0 before the first. needed: a sync takes at the least."""

    free: int
    live: int
    needed: int


@dataclass(frozen=True)
class LiveFiles:
    """The live generation as files that never change. files: path within the data folder, by slashes → the file.

    sums: path → the SHA-256 noted when it was published, of those that have one.
    """

    generation: str
    files: Mapping[str, Path]
    sums: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """What was found out about one published generation, or about the pointer to the live one.

    state: ok, unknown (nothing was noted to compare it with) or damaged. detail: in words.
    """

    name: str
    state: str
    detail: str


@dataclass(frozen=True)
class StoredSeries:
    """Finished values of one KPI: which definition made them, and a frame (DESIGN 6, level 1).

    frame: one row per (segment, period): segment str, period (local timestamp), value, numerator,
    denominator (float, NaN unknown), n (Int64), complete (bool), parts (None or a tuple of floats).
    """

    definition: str
    frame: pd.DataFrame


@dataclass(frozen=True)
class Rollup:
    """Rows of a dataset counted by day once and kept with a generation (DESIGN 6, level 2).

    name: digest of the SQL that makes them. relation: their table, as DuckDB's SQL names it; empty = none is kept.
    about: plain values of whoever had them kept.
    """

    name: str
    relation: str
    about: Mapping[str, Any]


@dataclass(frozen=True)
class Failure:
    """Why a sync could not compute a KPI. since: sequence of the first generation without.

    kept: sequence of the generation whose values are still shown; 0 = none are.
    """

    code: str
    message: str
    hint: str
    since: int
    kept: int = 0


# ---- serving


class Reader(Protocol):
    """Reads one generation. Never writes, never sees another process's half-done work.

    Threads may share it. It goes on reading its generation while others are published.
    dialect: of the SQL that `frame` takes, by its name in sqlglot.
    """

    @property
    def dialect(self) -> str:
        """The name that sqlglot knows the engine's SQL by."""

    @property
    def generation(self) -> Generation:
        """What is read."""

    @property
    def kept(self) -> Reader:
        """What reads the relations of roll-ups, in its own dialect: this one, where rows lie beside them."""

    def frame(self, sql: str) -> pd.DataFrame:
        """The rows of one SELECT in `dialect`. TIMESTAMPs and DATEs are datetime64, counts whole numbers.

        Raises WarehouseError.
        """

    def columns(self, sql: str) -> Columns:
        """Columns and types of one SELECT as definitions write it, without running it. Raises WarehouseError."""

    def tables(self) -> Mapping[str, Columns]:
        """Every loaded table with its columns, in order."""

    def generations(self) -> Sequence[Generation]:
        """All generations up to this one that were published, oldest first; also those that cannot be read any more."""

    def dataset_states(self, sequence: int) -> Mapping[str, DatasetState]:
        """Dataset states as of the generation with this sequence; empty if there was none."""

    def stored_values(self, kpi: str, grain: str, dimension: str, sequence: int) -> StoredSeries | None:
        """What was published for this KPI as of a generation; None if it was not stored. By segment and period."""

    def stored_series(self, keys: Iterable[SeriesKey], sequence: int) -> Mapping[SeriesKey, StoredSeries]:
        """The same for many, in one statement: those that were stored."""

    def read_ahead(self, keys: Iterable[SeriesKey], sequence: int) -> None:
        """Say what `stored_values` is about to be asked for: a reader that remembers reads it all at once."""

    def published_files(self) -> Mapping[str, str]:
        """ "kpi:name" or "dataset:name" → text of each definition that this generation was made with."""

    def all_stored_definitions(self) -> Mapping[tuple[str, str], Sequence[tuple[str, int]]]:
        """(KPI, grain) → what `stored_definitions` says, for all in one statement."""

    def stored_definitions(self, kpi: str, grain: str) -> Sequence[tuple[str, int]]:
        """(definition, sequence of the generation it came with) of a KPI's values, oldest first."""

    def failures(self) -> Mapping[str, Failure]:
        """KPI → why its values could not be computed for this generation."""

    def rollups(self) -> Mapping[str, Rollup]:
        """Name → roll-up that this generation has; of a staging, that the one before has."""

    def quarantine(self) -> pd.DataFrame:
        """Rows that could not be read: source, file, line, column_name, reason, raw, seen_at; in that order."""

    def close(self) -> None:
        """Let go of it; nothing is asked of it afterwards."""


# ---- loading


class Load(Protocol):
    """One source's rows on their way into its table, within `Loading.transaction`."""

    def add(self, batch: Batch) -> int:
        """Read one batch. Returns its rows that can be read. Raises LoadError, SourceError."""

    def finish(self, cursor: Cursor | None) -> Loaded:
        """Bring what was added into the table, and the source's cursor (None = as before) with it. Raises LoadError."""


class Loading(Reader, Protocol):
    """Tables that sources are loaded into. As a Reader it reads what is in them so far.

    Its `stored_values` is None: what is in the making has no finished values to answer from.
    """

    def cursor(self, source: str) -> Cursor:
        """Where the last successful pull of this source ended; empty = from the start."""

    def last_full(self, source: str) -> datetime | None:
        """When everything of this source was pulled last, UTC; None = never."""

    def rows(self, sql: str) -> Sequence[tuple[Any, ...]]:
        """What `frame` gives, as Python's own values, unknown ones None: of few rows, and without pandas.

        Raises WarehouseError.
        """

    def readings(self, source: str) -> Mapping[str, TextReading]:
        """Source column → how its texts are read, of those that are: as stated, or as its rows told at some load."""

    def pulled_at(self) -> Mapping[str, datetime]:
        """Source → when it was pulled last, UTC; a source that never was is not there."""

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing: a source that fails half-way leaves its table, quarantine and cursor as they were.

        Raises LoadError or DiskFull for what the engine refuses.
        """

    def begin_load(self, options: SourceOptions, *, anew: bool = False, retype: bool = False) -> Load:
        """A load to `add` batches to and then `finish`, within `transaction`.

        anew: everything is pulled, so rows that do not come are gone; so does a batch with `restart`. retype: the
        table's columns are found anew, too. With `load: merge` a row takes the place of the one with its key, and the
        last of a key stays; else rows are added. Columns are renamed, hashed and dropped as `options.columns` says.
        """

    def changes(self, table: str) -> str | None:
        """A relation with the old and new versions of the rows that this sync changed in a table.

        Named as DuckDB's SQL names a table. Empty = none changed; None = any may have.
        """

    def settle(self) -> None:
        """All sources are loaded; next, their rows are aggregated. From here on SQL reads nothing but them."""


class Staging(Loading, Protocol):
    """A generation in the making, first a copy of the live one. Nothing of it is seen before `publish`.

    What is stored is written by `publish`, all of it or nothing. written: versions of values that it ended and wrote.
    """

    @property
    def loads(self) -> bool:
        """Whether its rows are loaded here, so that `changes` knows; else they are tables that others write into."""

    @property
    def due(self) -> bool:
        """Whether it is to be published even if nothing was loaded; once it is settled."""

    @property
    def written(self) -> int:
        """Versions of values that `publish` ended and wrote; 0 before."""

    def live_definitions(self) -> Mapping[str, str]:
        """KPI → definition of the values that are valid now."""

    def stored_segments(
        self, kpi: str, grain: str, dimension: str, outside: Sequence[tuple[datetime, datetime]]
    ) -> Mapping[str, int] | None:
        """Segments of the valid values → their n outside of these ranges of periods; None = nothing is stored."""

    def valid_values(self, kpi: str) -> pd.DataFrame:
        """A KPI's valid values of all grains and dimensions: `grain`, `dimension` and the columns of StoredSeries."""

    def store_dataset_states(self, states: Sequence[DatasetState]) -> None:
        """Record the dataset states of this generation."""

    def store_files(self, texts: Mapping[str, str]) -> None:
        """Make these the definitions of this generation; see Reader.published_files."""

    def store_values(self, kpi: str, definition: str, text: str, frame: pd.DataFrame, touched: pd.DataFrame) -> None:
        """Make `frame` the valid values of a KPI; what differs gets a new version, the old one stays.

        frame: grain, dimension, segment, period, value, numerator, denominator, n, complete, parts. touched: TOUCHED
        columns; within these ranges what is not in `frame` ends, outside of them everything stays valid unless it is
        of another definition. Values that differ by the order of a sum only (1e-12 of them) are the same.
        text: the definition, archived by its hash.
        """

    def store_failure(self, kpi: str, failure: Failure) -> None:
        """A KPI could not be computed for this generation: its values end, unless `kept` says that they stay.

        It is told until values are stored, or the KPI is forgotten.
        """

    def forget_values(self, kpis_kept: Sequence[str]) -> None:
        """End the validity of values of KPIs not in `kpis_kept`."""

    def keep_rollup(
        self,
        name: str,
        about: Mapping[str, Any],
        sql: str,
        *,
        most: int,
        touched: tuple[datetime, datetime] | None = None,
    ) -> str:
        """Compute a SELECT in `dialect` of `day` and other columns, and keep its rows as a roll-up when this publishes.

        touched: the days that they stand for, half-open: what is kept of others stays. None = all days. Returns the
        relation to read them by, now; empty where they are more than `most`: then it is kept that there are none.
        Raises WarehouseError, QueryLimit, DiskFull.
        """

    def bring_rollup(
        self,
        name: str,
        about: Mapping[str, Any],
        rows: pd.DataFrame | None,
        *,
        touched: tuple[datetime, datetime] | None = None,
    ) -> str:
        """The same of rows that were computed elsewhere; None = they are too many. Once it is settled.

        Raises WarehouseError, QueryLimit, DiskFull.
        """

    def forget_rollups(self, kept: Iterable[str]) -> None:
        """Drop those that are not in `kept`."""

    def publish(self) -> Generation:
        """Make this the live generation, in one step; the staging is used up.

        A process that dies at any moment leaves the old generation live or the new one, never a part.
        """


# ---- both


class Warehouse(Protocol):
    """The generations of one project, and the way to them. Opening one connects to nothing."""

    def live(self) -> str | None:
        """Id of the live generation; None before the first publish. Cheap enough to ask at every rerun of a page.

        Where the pointer or the file that it names is damaged, the newest generation that can be read. Nothing is
        written. Raises DamagedData where something was published and none of it can be read.
        """

    def damage(self) -> Sequence[str]:
        """What is wrong with the pointer or the live generation, and what is read instead; empty = nothing.

        Cheap, too. What is damaged deep within a file is known only once it was read, or after `check`.
        """

    def reader(self) -> Reader:
        """A reader of `live`, opened anew; who asks closes it. Raises NoData before the first publish, DamagedData."""

    def staging(self, now: datetime, *, anew: bool = False) -> AbstractContextManager[Staging]:
        """The next generation in the making, published at `now` if the caller publishes it, else gone.

        Held under the project's lock: raises SyncRunning at once if another process, or this one, has it. What syncs
        that died left behind is removed, and so are generations older than the two before the live one.
        What is damaged is mended first, and the staging is a copy of the newest good generation, checked in whole.
        Raises DamagedData where none is good, but for `anew`: then all is put aside, and the staging begins with
        nothing. Raises FolderError; DiskFull, before anything is written if that can be known.
        """

    def check(self) -> Sequence[Check]:
        """Read every published generation in whole, and look at the pointer. Writes nothing."""

    def repair(self) -> Sequence[str]:
        """Put aside what `check` finds damaged, and make the newest good generation live. What was done, in sentences.

        Nothing is deleted. Raises SyncRunning, FolderError, DamagedData where none is good (nothing is moved then).
        """

    def held(self) -> AbstractContextManager[None]:
        """The project's lock, with nothing in the making: no sync runs meanwhile. Raises SyncRunning, FolderError."""

    def scratch(self, now: datetime, *, small: bool = False) -> AbstractContextManager[Loading]:
        """Empty tables to load into and look at; gone at the end of the block. Takes no lock, changes nothing.

        small: what comes fits into memory, and need not be written anywhere.
        """

    def companion(self, generation: str, of: str = "impacts") -> Path:
        """A file beside a published generation, for what is computed from it; may not exist. Goes with it.

        of: one of COMPANIONS, what is in it.
        """

    def room(self) -> Room:
        """What `staging` needs and what there is."""

    def live_files(self) -> LiveFiles | None:
        """What a backup keeps; None before the first publish. Raises DamagedData."""

    def restore(self, generation: str) -> None:
        """Make a generation live whose `live_files` were put back at their places in the data folder.

        Later ones, whose numbers the next sync gives again, are put aside where damaged ones are.
        Raises WarehouseError if it cannot be opened or is not what was published; then the pointer is as it was.
        """

    def kept_texts(self, name: str) -> Mapping[str, str | None]:
        """Each generation that is kept → its text of this name among those of `store_files`; None = it has none.

        Raises WarehouseError where one of them cannot be read.
        """

    def describe(self) -> str:
        """How it publishes on this machine, in a few words for `kpi doctor`. Raises OSError where it cannot write."""


@dataclass(frozen=True)
class SourceRun:
    """How one source fared in a sync; what `kpi sync --json` prints."""

    name: str
    status: str  # loaded | unchanged | failed
    rows: int = 0
    quarantined: int = 0
    cursor: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    error: str = ""
    last_success: str = ""  # UTC, ISO
    notes: tuple[str, ...] = ()  # what was odd, in sentences

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "name": self.name,
            "status": self.status,
            "rows": self.rows,
            "quarantined": self.quarantined,
            "cursor": dict(self.cursor),
            "seconds": round(self.seconds, 3),
            "error": self.error or None,
            "notes": list(self.notes),
        }
