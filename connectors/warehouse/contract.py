"""What every engine behind the metrics layer offers. Importing this loads no engine and no pandas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pandas as pd

SeriesKey = tuple[str, str, str]  # KPI, grain, dimension
Columns = Mapping[str, str]  # column → SQL type as the engine spells it
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
    """

    name: str
    watermark: datetime | None
    first_at: datetime | None
    last_at: datetime | None
    rows: int
    future_rows: int


@dataclass(frozen=True)
class Loaded:
    """What loading one batch did, in rows."""

    rows: int
    quarantined: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class StoredSeries:
    """Finished values of one KPI: which definition made them, and a frame (DESIGN 6, level 1).

    frame: one row per (segment, period): segment str, period (local timestamp), value, numerator,
    denominator (float, NaN unknown), n (Int64), complete (bool), parts (None or a tuple of floats).
    """

    definition: str
    frame: pd.DataFrame


class Reader(Protocol):
    """Reads one generation. Never writes, never sees another process's half-done work."""

    @property
    def dialect(self) -> str:
        """The name that sqlglot knows the engine's SQL by."""

    @property
    def generation(self) -> Generation:
        """What is read."""

    def frame(self, sql: str) -> pd.DataFrame:
        """The rows of one SELECT. Raises WarehouseError."""

    def columns(self, sql: str) -> Columns:
        """Columns and types of one SELECT, without running it. Raises WarehouseError."""

    def tables(self) -> Mapping[str, Columns]:
        """Every loaded table with its columns."""

    def generations(self) -> Sequence[Generation]:
        """All published generations, oldest first."""

    def dataset_states(self, sequence: int) -> Mapping[str, DatasetState]:
        """Dataset states as of the generation with this sequence."""

    def stored_values(self, kpi: str, grain: str, dimension: str, sequence: int) -> StoredSeries | None:
        """What was published for this KPI as of a generation; None if it was not stored."""

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

    def quarantine(self) -> pd.DataFrame:
        """Rows that could not be read: source, file, line, column_name, reason, raw, seen_at."""


class Staging(Reader, Protocol):
    """A generation in the making. Nothing of it is seen before `publish`."""

    def cursor(self, source: str) -> Mapping[str, str]:
        """Where the last successful pull of this source ended; empty = from the start."""

    def store_dataset_states(self, states: Sequence[DatasetState]) -> None:
        """Record the dataset states of this generation."""

    def changes(self, table: str) -> str | None:
        """A relation with the old and new versions of the rows that this sync changed in a table.

        Empty = none changed; None = any may have.
        """

    def live_definitions(self) -> Mapping[str, str]:
        """KPI → definition of the values that are valid now."""

    def stored_segments(
        self, kpi: str, grain: str, dimension: str, outside: Sequence[tuple[datetime, datetime]]
    ) -> Mapping[str, int] | None:
        """Segments of the valid values → their n outside of these ranges of periods; None = nothing is stored."""

    def store_values(self, kpi: str, definition: str, text: str, frame: pd.DataFrame, touched: pd.DataFrame) -> int:
        """Make `frame` the valid values of a KPI; what differs gets a new version, the old one stays.

        frame: grain, dimension, segment, period, value, numerator, denominator, n, complete, parts. touched: TOUCHED
        columns; within these ranges what is not in `frame` ends, outside of them everything stays valid.
        text: the definition, archived by its hash. Returns how many versions were written.
        """

    def end_values(self, kpi: str) -> None:
        """End the validity of all values of a KPI: they could not be computed for this generation."""

    def store_files(self, texts: Mapping[str, str]) -> None:
        """Make these the definitions of this generation; see Reader.published_files."""

    def forget_values(self, kpis_kept: Sequence[str]) -> int:
        """End the validity of values of KPIs not in `kpis_kept`. Returns how many."""


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
        }
