"""What a source is: one class, its options, one method. A new source is one new file beside this one."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from connectors.clock import utc_now
from connectors.errors import require
from connectors.settings import Span
from connectors.texts import dates, numbers

Cursor = Mapping[str, str]
FUTURE = timedelta(days=1)  # clocks and zones differ; a cursor beyond it is wrong


MOST_COMMENTS = 100  # lines before a CSV's header


@dataclass(frozen=True)
class RecordField:
    """Where a column's value stands in a JSON record, and what it is.

    path: the keys that lead to it; none = the record in whole. type: a SQL type, or one of TIMES.
    zone: of a number of TIMES that counts from 1970 by the clock of a zone, and not by UTC.
    """

    path: tuple[str, ...]
    type: str = "VARCHAR"
    zone: str = ""


# Moments, all as UTC: text with an offset or without one (then it is UTC), and numbers since 1970.
TIMES = ("utc", "epoch_s", "epoch_ms", "epoch_us")


@dataclass(frozen=True)
class FileScan:
    """Rows of one local file that the warehouse reads with its own readers.

    path: a local file, possibly gzipped. origin: the name users know it by.
    format: csv, json or parquet. delimiter, null_values, date_format, text_columns: csv only.
    decimal: the mark before decimals. types: column → SQL type that the analyst states. now: of the sync.
    fields: of a file of JSON lines, column → where it stands; what is not named is left out, and nothing is guessed.
    """

    path: Path
    origin: str
    format: Literal["csv", "json", "parquet"]
    delimiter: str = ","
    null_values: tuple[str, ...] = ("",)
    date_format: str = ""
    text_columns: tuple[str, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    decimal: str = "."
    now: datetime = field(default_factory=utc_now)
    fields: Mapping[str, RecordField] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """Rows for one table, and the cursor that is true once they are loaded.

    rows: a FileScan, a pyarrow table or a pandas frame. restart: the table begins anew with this batch.
    types: column → SQL type its values must have; a row with one that has not goes to quarantine.
    whole: the batch has every column that the source has, so one that the table has and it has not is gone.
    all_from: a column and a value of it: the pull has every row from there on, so those of the table that it has not
    are gone from the source. For `load: merge`.
    covered: the moment up to which the rows so far reach, for a line of progress; None = unknown.
    """

    table: str
    rows: Any
    cursor: Cursor
    restart: bool = False
    types: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False
    covered: datetime | None = None
    all_from: tuple[str, date | datetime] | None = None


@dataclass(frozen=True)
class IdLink:
    """Rows of a source's table that say whose an id is.

    known, other: where the two ids stand: a column, then the keys within its JSON. at: column of when it was said.
    merges: both are one person; else `other` is anonymous, of the first known id that it comes with. event: column
    and the value that it has in such rows; none = all rows. prefix: what events have before the anonymous id.
    """

    known: tuple[str | int, ...]
    other: tuple[str | int, ...]
    at: str = ""
    merges: bool = False
    event: tuple[str, str] | None = None
    prefix: str = ""


class Identity(BaseModel):
    """Which ids are one person, as a source's rows say. Without `known` by the rules of the source's type."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="Table of whose each id is; sources may share it.")
    known: str = Field("", description="Column of the id of somebody who is known, such as user_id.")
    anonymous: str = Field("", description="Column of an anonymous id; it is the person it came with first.")
    alias: str = Field("", description="Column of another id of the same person.")
    at: str = Field("", description="Column of when it was said.")

    @model_validator(mode="after")
    def _whole(self) -> Identity:
        if bool(self.known) != bool(self.anonymous or self.alias) or (self.at and not self.known):
            raise ValueError(
                "a rule has `known` and `anonymous` or `alias`\n"
                "Such as {table: people, known: user_id, anonymous: anonymous_id, at: received_at}."
            )
        return self

    @property
    def links(self) -> tuple[IdLink, ...]:
        """As stated; none where the type knows."""
        told = ((self.anonymous, False), (self.alias, True))
        return tuple(IdLink((self.known,), (other,), self.at, merges) for other, merges in told if other)


class LaunchRule(BaseModel):
    """Of which releases or flags of a source launches are drafted, and what is proposed for them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    area: str = Field(description="Area of the KPIs that they are meant to move: some of it are proposed.")
    since: date = Field(description="First day of releases, and of rollouts' beginnings, such as 2026-10-01.")
    only: tuple[str, ...] = Field((), description="Tags or flags by pattern, such as checkout-*; default all.")
    owner: str = Field("", description="Who is told of the launch's verdicts.")
    prereleases: bool = Field(False, description="Whether prereleases count.")
    environment: str = Field("production", description="Environment in which a flag's rollout counts.")

    @field_validator("only", mode="before")
    @classmethod
    def _one_pattern(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


class SourceOptions(BaseModel):
    """Options that every source of sources.yml has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the source, unique in the project.")
    type: str = Field(description="Which source: see `kpi sources`.")
    table: str = Field(description="Table of the warehouse that the rows go to.")
    primary_key: tuple[str, ...] = Field((), description="Columns that name a row; makes `load: merge` the default.")
    load: Literal["merge", "append", "replace"] | None = Field(
        None, description="merge (by primary key), append, or replace (a changed file replaces its rows)."
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Source column → new name, `drop` to leave it out, or `hash` to keep only a digest.",
    )
    full_every: Span = Field(
        timedelta(0), description="How often everything is pulled again, such as 7d: finds rows that were deleted."
    )
    since: date | datetime | None = Field(
        None, description="From when on it holds all there was, such as 2026-01-01; default: its first row."
    )

    identity: Identity | None = Field(
        None,
        description="Table of whose each id is, such as `people`, by the type's own rules; or a rule with `known` and "
        "`anonymous` or `alias`.",
    )
    dates: dict[str, str] = Field(
        default_factory=dict,
        description="Source column → how its dates are written: "
        f"{', '.join(dates.STYLES)}, or a strptime pattern. Default for CSV: found over all rows.",
    )
    numbers: dict[str, str] = Field(
        default_factory=dict,
        description="Source column → how its numbers are written: 1,234.56 or 1.234,56, with % at the end where 45.5% "
        "is 0.455; currencies and brackets are understood. Default for CSV: found over all rows.",
    )
    launches: tuple[LaunchRule, ...] = Field(
        (),
        description="Launches are drafted from its releases or changes of flags: {area: Checkout, since: 2026-10-01}, "
        "or a list of these, of which the first that fits counts.",
    )
    max_quarantine: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of the source's rows that may be put aside as unreadable; above it the source fails.",
    )

    @field_validator("dates", "numbers")
    @classmethod
    def _known_styles(cls, value: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        style_error = dates.style_error if info.field_name == "dates" else numbers.style_error
        wrong = [f"{column}: {error}" for column, style in value.items() if (error := style_error(style))]
        if wrong:
            raise ValueError("; ".join(wrong))
        return value

    @field_validator("identity", mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        return {"table": value} if isinstance(value, str) else value

    @field_validator("launches", mode="before")
    @classmethod
    def _one_rule(cls, value: Any) -> Any:
        return (value,) if isinstance(value, Mapping) else value

    @field_validator("primary_key", mode="before")
    @classmethod
    def _one_key(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @property
    def load_mode(self) -> str:
        """How rows are loaded: the stated mode, else merge with a primary key, else replace."""
        return self.load or ("merge" if self.primary_key else "replace")


@dataclass(frozen=True)
class Question:
    """An option that who sets a source up is asked for. secret: it is read from a variable of the environment.

    inside: of a key of an option of several keys, what the entry says, with {} for the answer: `auth: {file: {}}`.
    """

    option: str
    words: str
    default: str = ""
    secret: bool = False
    inside: str = ""


@dataclass(frozen=True)
class StarterTable:
    """One entry of sources.yml with its dataset and first KPIs.

    suffix: of the name of entry, table and dataset after the source's; "" = the source's own. options: of the entry,
    beside what is asked. dataset: its YAML but name and source. kpis: name → its YAML but the name. datasets: suffix →
    YAML of others made of tables. In all `<suffix>` stands for the dataset of that suffix, `<>` for the one without,
    `<kpi>` for a KPI of these.
    """

    suffix: str
    options: Mapping[str, str]
    dataset: str
    kpis: Mapping[str, str]
    datasets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Starter:
    """What `kpi add source TYPE` asks for and writes."""

    questions: tuple[Question, ...]
    tables: tuple[StarterTable, ...]


class Source:
    """One configured source. Subclasses set `Options` and write `pull`; they never touch the warehouse."""

    Options: ClassVar[type[SourceOptions]] = SourceOptions
    watermark: ClassVar[str] = "sync"  # default of the datasets over this source, DESIGN "Watermark"
    starter: ClassVar[Starter | None] = None
    example: ClassVar[str] = ""  # an entry of sources.yml, for `kpi sources`
    behind: ClassVar[timedelta] = timedelta(0)  # how far before a pull its rows may end, where it gives them later
    forgets: ClassVar[bool] = False  # it gives what is recent only: rows stay, and no pull begins the table anew

    def __init__(self, options: Any, *, folder: Path, allow: tuple[str, ...] = ()) -> None:
        """allow: `outbound_hosts` of the settings; whoever opens a connection asks connectors/outbound.py first."""
        self.options, self.folder, self.allow = options, folder, allow
        self.now = utc_now()  # of the sync
        self.kept: Path | None = None  # where copies of what was pulled may wait for the next attempt
        self.notes: list[str] = []  # what was odd about what was pulled, in sentences; told with the sync
        self.reached: Cursor | None = None  # where a pull ended, if that is not what its last batch says

    def pull(self, cursor: Cursor) -> Iterator[Batch]:
        """Yield what is new since `cursor`, in an order that may be cut anywhere.

        Raises SourceError, with `retryable`, if the outside world does not answer as declared.
        """
        raise NotImplementedError

    def look(self) -> Iterator[Batch]:
        """All there is, as `pull` gives it, for who keeps no cursor. Raises SourceError."""
        yield from self.pull({})

    def probe(self) -> str:
        """Reach the outside world without pulling; say what is there. Raises SourceError."""
        raise NotImplementedError

    def id_links(self) -> tuple[IdLink, ...]:
        """How its rows say which ids are one person, where `identity` states no rule."""
        return ()

    def loaded(self) -> None:
        """What was pulled is in the warehouse for good: copies that were kept for a next attempt may go."""

    def size(self) -> int:
        """Bytes of what a pull of everything brings; 0 = nobody knows beforehand."""
        return 0


def source_types() -> dict[str, type[Source]]:
    """Every source type by name: the file's stem, one Source class in each."""
    folder = importlib.import_module("connectors.sources")
    names = [m.name for m in pkgutil.iter_modules(folder.__path__) if m.name != "contract"]
    return {name: source_type(name) for name in sorted(names)}


def source_type(name: str) -> type[Source]:
    """The Source class of connectors/sources/<name>.py. Raises UnknownName."""
    folder = importlib.import_module("connectors.sources")
    known = sorted(m.name for m in pkgutil.iter_modules(folder.__path__) if m.name != "contract")
    require(name, known, kind="source type")
    module = importlib.import_module(f"connectors.sources.{name}")
    own = f"{module.__name__}."  # what it imports from others is not its own
    return next(
        item
        for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, Source) and f"{item.__module__}.".startswith(own)
    )
