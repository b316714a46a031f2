"""What is asked and what is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

from connectors.warehouse.contract import DatasetState, Reader
from metrics.catalog.catalogue import Catalogue

if TYPE_CHECKING:
    import pandas as pd

    from metrics.engine.kept_values import KeptValues
    from metrics.engine.sql.rollups import KeptRollups
    from metrics.engine.sql.shared_scans import SharedScans

Comparison = Literal["previous_range", "previous_period", "same_period_last_year", "to_date"]
COMPARISONS = ("previous_range", "previous_period", "same_period_last_year", "to_date")
TOGETHER = "\x1f"  # begins `by` of a scope of several dimensions; parts a dimension from its segment there
FACT_COLUMNS = ["segment", "period", "value", "numerator", "denominator", "n", "complete", "parts"]


@dataclass(frozen=True)
class Filter:
    """Rows whose dimension has one of these values; `(none)` means NULL. Different filters are ANDed."""

    dimension: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class EntitySet:
    """The entities of a dataset that have a row meeting `condition` (a launch's audience)."""

    dataset: str
    condition: str


@dataclass(frozen=True)
class Query:
    """One question to one KPI.

    grain: None = the KPI's home grain; `total` = one exact row for the whole range.
    start inclusive, end exclusive, both widened to whole periods; None = first event, watermark.
    row_scope: filters of the reader's role. entities: only these are counted. Both bypass stored values.
    measured: the grain that launches are measured by is allowed, also where the KPI does not offer it.
    """

    kpi: str
    grain: str | None = None
    start: date | None = None
    end: date | None = None
    by: str | None = None
    where: tuple[Filter, ...] = ()
    compare: Comparison | None = None
    as_of: str | None = None
    row_scope: tuple[Filter, ...] = ()
    entities: EntitySet | None = None
    measured: bool = False


@dataclass(frozen=True)
class Series:
    """The answer.

    frame: one row per (segment, period), segments in order of size, periods rising: `segment` (str, empty
    without a breakdown), `period` (naive timestamp, see periods.py; NaT for total), value, numerator,
    denominator (float, NaN = unknown), n (Int64), complete (bool), parts (None, or a tuple of floats that
    `part_names` names: a funnel's steps, a retention's curve …), then a column per companion and, if
    compared, comparison, difference and change (relative, or points: see `change_in_points`).
    part_names: of `parts`, in order; parts_form: how they are told. watermark: UTC, None if nothing was observed.
    begins: from when on all behind it is observed, on the grain's clock; None if something is not.
    gaps: why part of what was asked for is not known, where one of several datasets ends or begins before others.
    level: stored, rollup or facts. sql: what was run. notes: what a reader must know; meant: those about dimensions.
    """

    kpi: str
    definition: str
    generation: str
    watermark: datetime | None
    grain: str
    unit: str
    by: str | None
    frame: pd.DataFrame
    companions: tuple[str, ...] = ()
    transformed: bool = False
    change_in_points: bool = False
    parts_form: str = "counts"
    part_names: tuple[str, ...] = ()
    begins: pd.Timestamp | None = None
    gaps: tuple[str, ...] = ()
    level: str = "facts"
    notes: tuple[str, ...] = ()
    meant: tuple[str, ...] = ()
    sql: tuple[str, ...] = ()


@dataclass
class Cost:
    """Statements, and seconds that the engine took for them."""

    statements: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        self.statements += 1
        self.seconds += seconds


@dataclass
class Shared:
    """What the KPIs of one refresh share. answers: of parts that several name; scans: what is read for all together;

    kept: values that are stored and still hold; rollups: those of the generation before, as far as they do;
    flags: what is known of datasets in the periods of a scope; sizes: dataset → how many values dimensions have.
    costs: KPI → what was asked for it alone; kpi: whose turn it is.
    """

    answers: dict[Any, pd.DataFrame] = field(default_factory=dict)
    scans: SharedScans | None = None
    kept: KeptValues | None = None
    rollups: KeptRollups | None = None
    flags: dict[Any, list[bool]] = field(default_factory=dict)
    sizes: dict[str, dict[str, int]] = field(default_factory=dict)
    costs: dict[str, Cost] = field(default_factory=dict)
    kpi: str = ""


@dataclass(frozen=True)
class Scope:
    """Where and how the facts of a KPI are counted: a Query with its names resolved.

    start, end: periods of the grain (days for total), half-open. segments: of a breakdown, that are answered
    even where they have no rows in the range, because they have some outside it. together: the dimensions of a scope of
    several (together.py), each with the catalogue that it is counted with; then `by` names them all.
    """

    catalogue: Catalogue
    reader: Reader
    states: Mapping[str, DatasetState]
    grain: str
    start: pd.Timestamp
    end: pd.Timestamp
    by: str | None = None
    filters: tuple[Filter, ...] = ()
    entities: EntitySet | None = None
    segments: tuple[str, ...] = ()
    together: Mapping[str, Catalogue] = field(default_factory=dict)
    so_far: bool = False  # a total up to now: it carries its value so far, although its last entries are not mature
    statements: list[str] = field(default_factory=list)
    shared: Shared | None = None  # with the other questions of a refresh
    rollups: KeptRollups | None = None  # None = rows are counted
    known: dict[Any, Any] = field(default_factory=dict)  # see Catalogue.known

    def remembered(self, what: Any, compute: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """The answer to `what` in this scope: computed once for all KPIs of one refresh."""
        if self.shared is None or self.filters or self.entities:
            return compute()
        key, known = (what, self.grain, self.start, self.end, self.by, self.segments), self.shared.answers
        if key not in known:
            known[key] = compute()
        return known[key].copy()

    @property
    def zone(self) -> str:
        """The project's time zone."""
        return self.catalogue.timezone

    @property
    def week_start_days(self) -> int:
        """Days that the week's first day lies after Monday."""
        return self.catalogue.week_start_days
