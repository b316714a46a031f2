"""Roll-ups that a generation keeps, by dimensions: people and sums by day, values by month (DESIGN 6, level 2).

They answer what is filtered by their dimensions, and a refresh that touches few days. Each is named after the SQL that
makes it: of another definition it is another one, and rows are read.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from sqlglot import exp

from connectors.warehouse.contract import Rollup
from metrics.catalog.models.kpi import Measure
from metrics.engine import periods
from metrics.engine.dirty_ranges import FAR, Span
from metrics.engine.grids import Days
from metrics.engine.query import Scope
from metrics.engine.sql import trees
from metrics.engine.sql.dialects import DUCKDB, render
from metrics.engine.sql.people_by_day import ALL, People, once, people_of_rows
from metrics.engine.sql.shared_reading import Reading, united
from metrics.engine.sql.sums import ROWS, Column, Part, Sums
from metrics.engine.sql.sums_by_day import SumsByDay, added_up

VERSION = 1  # raise it when what is in them changes
ALWAYS = pd.Timestamp("1000-01-01"), FAR  # all days
DAY = exp.column("day")
MADE_OF_MONTHS = ("month", "quarter", "year")


@dataclass(frozen=True)
class About:
    """What is in a roll-up. kind: people, sums or values; key: of which rows; counts: conditions, or parts as texts.

    dimensions: its columns d0 …; many: those that have too many values to be in it.
    """

    kind: str
    key: tuple[str, ...]
    dataset: str
    dimensions: tuple[str, ...]
    counts: tuple[str, ...]
    many: tuple[str, ...] = ()

    @staticmethod
    def of(rollup: Rollup) -> About:
        """What its generation says of it."""
        said = rollup.about
        lists = {name: tuple(said[name]) for name in ("key", "dimensions", "counts", "many")}
        return About(kind=said["kind"], dataset=said["dataset"], **lists)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(self).items()}


@dataclass(frozen=True)
class Touched:
    """Days of a roll-up that a refresh counted anew. relation: where; what is kept of them no longer holds."""

    span: Span
    relation: str


@dataclass
class KeptRollups:
    """Those of a generation, or of one in the making. touched: name → what was counted anew; read: which were.

    known: (roll-up, name) → whether it would be made so now.
    """

    rollups: Mapping[str, Rollup]
    touched: Mapping[str, Touched] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)
    known: dict[Any, Any] = field(default_factory=dict)

    def found(
        self, kind: str, key: Sequence[str], dimensions: Collection[str], counts: Collection[str], name: NameOf
    ) -> tuple[Rollup, About] | None:
        """One that has all of these and was made as it would be made now."""
        for rollup in self.rollups.values():
            about = About.of(rollup)
            same = rollup.relation and (about.kind, about.key) == (kind, tuple(key))
            if same and set(dimensions) <= set(about.dimensions) and set(counts) <= set(about.counts):
                asked = "roll-up", rollup.name
                if asked not in self.known:
                    self.known[asked] = name(about) == rollup.name
                if self.known[asked]:
                    return rollup, about
        return None

    def rows(self, rollup: Rollup, columns: Sequence[exp.Expr], start: pd.Timestamp, end: pd.Timestamp) -> exp.Query:
        """Columns of its rows of some days, as they are now."""
        self.read.append(rollup.name)

        def of(relation: str) -> exp.Select:
            table = trees.kept_table(relation)
            return exp.select(*(c.copy() for c in columns)).from_(table).where(trees.in_range(DAY, start, end))

        anew = self.touched.get(rollup.name)
        if anew is None:
            return of(rollup.relation)
        held = of(rollup.relation).where(exp.not_(trees.in_range(DAY, *anew.span)))
        return united([held, of(anew.relation)]) if start < anew.span[1] and anew.span[0] < end else held


NameOf = Callable[[About], str]


def people_select(people: People, about: About, reading: Reading) -> exp.Select:
    """The people of each day of a range: `day`, `entity`, d0 …, f0 …, each once."""
    flags = {c: f"f{i}" for i, c in enumerate(c for c in about.counts if c != ALL)}
    keys = ("entity", *(f"d{i}" for i in range(len(about.dimensions))))
    days = people.days(reading, about.dimensions, about.counts)
    return trees.assembled(once(exp.column("day"), keys, flags, "active"), active=days)


def sums_select(about: About, reading: Reading) -> exp.Select:
    """Sums of each day of a range: `day`, d0 …, c0 …"""
    parts = {part_of(text): f"c{i}" for i, text in enumerate(about.counts)}
    days = added_up(reading, about.dimensions, parts)
    names = [*(f"d{i}" for i in range(len(about.dimensions))), *parts.values()]
    return trees.assembled(exp.select(exp.column("at").as_("day"), *names).from_("added_up"), added_up=days)


def values_select(about: About, reading: Reading) -> exp.Select:
    """How often each value occurs in each month of a range: `day` (the month's first), d0 …, `value`, c0 …"""
    reading = reading.within(reading.scope.start, reading.scope.end, "month")
    parts = {(ROWS, condition): f"c{i}" for i, condition in enumerate(about.counts)}
    rows = added_up(reading, about.dimensions, parts, of=about.key[1])
    names = [*(f"d{i}" for i in range(len(about.dimensions))), "value", *parts.values()]
    return trees.assembled(exp.select(exp.column("at").as_("day"), *names).from_("added_up"), added_up=rows)


def named(about: About, select: exp.Query) -> str:
    """The name of the roll-up that a SELECT over `ALWAYS` makes. Two of other keys are two, though their SQL is one."""
    said = "\n".join([str(VERSION), about.kind, *about.key, render(select, DUCKDB)])
    return hashlib.sha256(said.encode()).hexdigest()[:24]


def part_as_text(part: Part) -> str:
    """An aggregate and its condition as one text."""
    column, condition = part
    return json.dumps([column.how, column.of, condition])


def part_of(text: str) -> Part:
    """What `part_as_text` made a text of."""
    how, of, condition = json.loads(text)
    return Column(how, of), condition


@dataclass(frozen=True)
class EntityDays:
    """What `People.days` selects, of a roll-up. each_once: nobody is there twice with the same dimensions on a day."""

    select: exp.Query
    each_once: bool


def entity_days(
    people: People, reading: Reading, dimensions: Sequence[str], conditions: Sequence[str]
) -> EntityDays | None:
    """What `people.days` selects, of a roll-up; None: rows tell."""
    kept, found = reading.scope.rollups, _people(people, reading, dimensions, conditions)
    if not kept or not found:
        return None
    rollup, about = found
    flags = [c for c in about.counts if c != ALL]
    met = [c for c in conditions if c != ALL]
    columns: list[exp.Expr] = [
        *(exp.column("day"), exp.column("entity")),
        *(exp.column(f"d{about.dimensions.index(name)}").as_(f"d{i}") for i, name in enumerate(dimensions)),
        *(exp.column(f"f{flags.index(c)}").as_(f"f{i}") for i, c in enumerate(met)),
    ]
    rows = kept.rows(rollup, columns, reading.scope.start, reading.scope.end)
    each_once = set(dimensions) == set(about.dimensions)
    if ALL in conditions:
        return EntityDays(rows, each_once)
    some = exp.select("*").from_("any_met").where(exp.or_(*(exp.column(f"f{i}").eq(1) for i in range(len(met)))))
    return EntityDays(trees.assembled(some, any_met=rows), each_once)


def dimensions_kept(people: People, reading: Reading, conditions: Sequence[str]) -> tuple[str, ...] | None:
    """The dimensions of few values that a roll-up of these people has; None: there is none."""
    found = _people(people, reading, (), conditions)
    return found[1].dimensions if found else None


def _people(
    people: People, reading: Reading, dimensions: Sequence[str], conditions: Sequence[str]
) -> tuple[Rollup, About] | None:
    kept, always = reading.scope.rollups, reading.within(*ALWAYS)

    def name(about: About) -> str:
        return named(about, people_select(people, about, always))

    within = kept is not None and _within(reading.scope)
    return kept.found("people", people.key, dimensions, conditions, name) if kept and within else None


def _within(scope: Scope) -> bool:
    """Whether it has days, and all of them would be in a roll-up."""
    return bool(ALWAYS[0] <= scope.start < scope.end <= ALWAYS[1])


def people_of(measure: Measure, scope: Scope) -> exp.Select | None:
    """SELECT `segment`, `entity`, `day` of whom a distinct count counts in a scope; None: rows tell.

    Who has several segments or filtered dimensions on a day is there several times.
    """
    dataset, asked = scope.catalogue.datasets[measure.dataset], _asked(scope)
    if not scope.rollups or scope.entities or scope.grain == "hour":
        return None
    reading = Reading("", dataset, scope, "day", scope.start, scope.end)
    days = entity_days(people_of_rows(measure), reading, asked, [measure.filter])
    if days is None:
        return None
    rows = exp.select(_segment(scope, asked).as_("segment"), "entity", "day").from_("people_by_day")
    return trees.assembled(_filtered(rows, scope, asked), people_by_day=days.select)


def sums_rows(reading: Reading, dimensions: Sequence[str], parts: Mapping[Part, str]) -> exp.Query | None:
    """What `added_up` selects of days, of a roll-up; None: rows tell."""
    kept, always = reading.scope.rollups, reading.within(*ALWAYS)
    texts = {part_as_text(part): name for part, name in parts.items()}
    if not kept or reading.scope.grain != "day" or not _within(reading.scope):
        return None
    found = kept.found("sums", [reading.dataset_name], dimensions, texts, lambda a: named(a, sums_select(a, always)))
    if not found:
        return None
    rollup, about = found
    columns: list[exp.Expr] = [
        DAY.as_("at"),
        *(exp.column(f"d{about.dimensions.index(name)}").as_(f"d{i}") for i, name in enumerate(dimensions)),
        *(exp.column(f"c{about.counts.index(text)}").as_(name) for text, name in texts.items()),
    ]
    return kept.rows(rollup, columns, reading.scope.start, reading.scope.end)


def sums_of(sums: Sums, scope: Scope) -> Days | None:
    """The sums of each day of a scope, with its filters; None: rows tell."""
    dataset, asked = scope.catalogue.datasets[sums.dataset], _asked(scope)
    if not scope.rollups or scope.entities or scope.grain in ("hour", periods.TOTAL) or scope.start >= scope.end:
        return None
    names = {part: f"c{i}" for i, part in enumerate(dict.fromkeys((c, sums.condition) for c in sums.needs()))}
    rows = sums_rows(Reading("", dataset, scope, "day", scope.start, scope.end), asked, names)
    if rows is None:
        return None
    query = exp.select(
        "at",
        _segment(scope, asked).as_("segment"),
        *(column.of_parts(exp.column(name)).as_(name) for (column, _), name in names.items()),
    )
    query = _filtered(query.from_("sums_by_day"), scope, asked)
    query = query.group_by(exp.Literal.number(1), exp.Literal.number(2))
    found = trees.run(trees.assembled(query, sums_by_day=rows), scope)
    index = periods.spine(scope.start, scope.end, "day")
    return SumsByDay(index, [sums], names, found).days(sums).within(scope.start, scope.end)


def values_of(measure: Measure, scope: Scope) -> exp.Query | None:
    """SELECT `segment`, `value`, `day` (a month's first) and how often it is there, `rows`; None: rows tell.

    Of a scope of several dimensions `d0`, `d1` … in their order, instead of `segment`.
    """
    dataset, asked, kept = scope.catalogue.datasets[measure.dataset], _asked(scope), scope.rollups
    if not kept or scope.entities or scope.grain not in MADE_OF_MONTHS or not _within(scope):
        return None
    key, always = (measure.dataset, measure.expr), Reading("", dataset, scope, "day", *ALWAYS)
    found = kept.found("values", key, asked, [measure.filter], lambda a: named(a, values_select(a, always)))
    if not found:
        return None
    rollup, about = found
    columns: list[exp.Expr] = [
        exp.column("day"),
        *(exp.column(f"d{about.dimensions.index(name)}").as_(f"d{i}") for i, name in enumerate(asked)),
        *(exp.column("value"), exp.column(f"c{about.counts.index(measure.filter)}").as_("rows")),
    ]
    rows = kept.rows(rollup, columns, scope.start, scope.end)
    several = [exp.column(f"d{i}") for i in range(len(asked))]
    by = several if scope.together else [_segment(scope, asked).as_("segment")]
    final = exp.select(*by, "value", "day", "rows").from_("values_by_month")
    final = _filtered(final.where(exp.column("rows") > 0), scope, asked)
    return trees.assembled(final, values_by_month=rows)


def _asked(scope: Scope) -> list[str]:
    """Dimensions that a question names: d0, d1 … of what it reads."""
    named = scope.together or [scope.by]
    return list(dict.fromkeys([*filter(None, named), *(item.dimension for item in scope.filters)]))


def _segment(scope: Scope, asked: Sequence[str]) -> exp.Expr:
    return exp.column(f"d{asked.index(scope.by)}") if scope.by else exp.Literal.string("")


def _filtered(query: exp.Select, scope: Scope, asked: Sequence[str]) -> exp.Select:
    for item in scope.filters:
        query = query.where(trees.matches(exp.column(f"d{asked.index(item.dimension)}"), item))
    return query
