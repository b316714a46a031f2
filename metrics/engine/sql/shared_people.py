"""Distinct people of all KPIs of a dataset, by every grain and dimension: each person's days are found once.

Who came on a day, with all dimensions of few values, is one row, flagged by what it meets; a longer period's people are
counted among those of its days.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
from sqlglot import exp

from connectors.errors import DiskFull, KpiError
from connectors.warehouse.contract import NO_DIMENSION
from metrics.catalog.models.dataset import Dataset
from metrics.catalog.models.values import GRAINS
from metrics.engine.dirty_ranges import Span
from metrics.engine.query import Scope
from metrics.engine.sql import trees
from metrics.engine.sql.people_by_day import ALL, People, once
from metrics.engine.sql.rollups import dimensions_kept, entity_days
from metrics.engine.sql.shared_reading import Reading, united
from metrics.engine.together import each, named

log = logging.getLogger(__name__)
MOST_CONDITIONS = 12  # of one statement


@dataclass
class PeopleScan:
    """People of one key. spans: grain → ranges of periods; conditions: whom they are counted by."""

    people: People
    whole: bool  # nothing lies before it
    spans: dict[str, list[Span]] = field(default_factory=dict)
    conditions: dict[str, None] = field(default_factory=dict)
    dimensions: dict[str, None] = field(default_factory=dict)
    kpis: dict[str, None] = field(default_factory=dict)

    @property
    def called(self) -> str:
        """Whose its costs are."""
        return f"people {' '.join(self.people.key)} {self.whole}"

    def covers(self, people: People, scope: Scope) -> bool:
        """Whether it has all that is asked for."""
        same = self.people.key == people.key and all(c in self.conditions for c in people.conditions)
        spans = self.spans.get(scope.grain, ())
        return same and any((self.whole or a <= scope.start) and scope.end <= b for a, b in spans)


class SharedPeople:
    """Answers what is asked of planned scans of people. A scan runs when something of it is asked first."""

    def __init__(self, scans: Iterable[PeopleScan]) -> None:
        self.scans = list(scans)
        self._tables: dict[int, dict[tuple[str, str, str], pd.DataFrame]] = {}

    def found(self, people: People, scope: Scope, dataset: Dataset) -> list[pd.DataFrame] | None:
        """Period, segment and `people` of each condition; None if they are not shared."""
        if scope.filters or scope.entities:
            return None
        if scope.together:
            return self._of_all(people, scope, dataset)
        for number, scan in enumerate(self.scans):
            if scan.covers(people, scope):
                if number not in self._tables:
                    self._tables[number] = dict(_Running(scan, dataset, scope).tables())
                keys = [(scope.grain, scope.by or NO_DIMENSION, condition) for condition in people.conditions]
                tables = [self._tables[number].get(key) for key in keys]
                known = [table for table in tables if table is not None]
                if len(known) == len(keys):
                    return [table[_inside(table[trees.PERIOD], scope)] for table in known]
        return None

    def _of_all(self, people: People, scope: Scope, dataset: Dataset) -> list[pd.DataFrame] | None:
        found = {name: self.found(people, one, dataset) for name, one in each(scope).items()}
        known = {name: tables for name, tables in found.items() if tables is not None}
        if len(known) < len(found):
            return None
        return [_together({name: tables[i] for name, tables in known.items()}) for i in range(len(people.conditions))]


def _together(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The tables of several dimensions as one."""
    parts = [
        table.assign(**{trees.SEGMENT: named(table[trees.SEGMENT], dimension, len(table))})
        for dimension, table in tables.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _inside(at: pd.Series, scope: Scope) -> pd.Series:
    return (at >= scope.start) & (at < scope.end)


class _Running:
    """One scan: which statements it takes."""

    def __init__(self, scan: PeopleScan, dataset: Dataset, scope: Scope) -> None:
        every = [span for spans in scan.spans.values() for span in spans]
        self._scan = scan
        self._reading = Reading(scan.called, dataset, scope, "day", min(a for a, _ in every), max(b for _, b in every))

    def tables(self) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame]]:
        """(grain, dimension, condition) → its people."""
        people, wanted = self._scan.people, [n for n in self._scan.dimensions if n != NO_DIMENSION]
        allowed = [c for c in self._scan.conditions if self._reading.single((), (c, *people.key))]
        kept = dimensions_kept(people, self._reading, allowed)
        named = list(self._reading.sizes(wanted)) if kept is None else [name for name in wanted if name in kept]
        for first in range(0, len(allowed), MOST_CONDITIONS):
            yield from self._asked(named, allowed[first : first + MOST_CONDITIONS])

    def _asked(
        self, named: list[str], conditions: Sequence[str]
    ) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame]]:
        """Halved where they cannot be computed together."""
        cuts = [(grain, by, c) for grain in self._scan.spans for by in (NO_DIMENSION, *named) for c in conditions]
        try:
            found = self._reading.run(self._select(named, conditions, cuts))
        except DiskFull:
            raise
        except KpiError as error:
            log.info("people of %s are not shared: %s", self._scan.people.dataset, error)
            middle = len(conditions) // 2
            for half in (conditions[:middle], conditions[middle:]) if middle else ():
                yield from self._asked(named, half)
            return
        parts = dict(tuple(found.groupby("cut")))
        for number, cut in enumerate(cuts):
            own = parts.get(number, found.iloc[:0])
            yield cut, pd.DataFrame({trees.PERIOD: own["at"], trees.SEGMENT: own["segment"], "people": own["people"]})

    def _select(self, named: list[str], conditions: Sequence[str], cuts: list[tuple[str, str, str]]) -> exp.Query:
        """The people of each cut, out of their days, weeks …: whoever came on five days is one row of a month."""
        flags = {c: f"f{i}" for i, c in enumerate(c for c in conditions if c != ALL)}
        keys = ("entity", *(f"d{i}" for i in range(len(named))))
        people, reading, level = self._scan.people, self._reading, _level("day")
        if (kept := entity_days(people, reading, named, conditions)) is None:
            days = people.days(reading, named, conditions)
            ctes: dict[str, exp.Query] = {"active": days, level: once(exp.column("day"), keys, flags, "active")}
        elif kept.each_once:
            ctes = {level: kept.select}
        else:
            ctes = {"active": kept.select, level: once(exp.column("day"), keys, flags, "active")}
        made_of = {g: _made_of(g, self._scan.spans) for g in GRAINS[GRAINS.index("week") :] if self._scan.spans.get(g)}
        for grain, shorter in made_of.items():
            day = exp.column("day")
            rows = once(trees.period(day, self._reading.scope, grain), keys, flags, _level(shorter))
            spans = self._needed(grain, made_of)
            ctes[_level(grain)] = rows.where(exp.or_(*(trees.in_range(day, a, b) for a, b in spans)))
        final = united(self._cut(i, cut, named, flags) for i, cut in enumerate(cuts))
        return trees.assembled(final, **ctes)

    def _needed(self, grain: str, made_of: Mapping[str, str]) -> list[Span]:
        """The ranges that a grain is asked for, and those of longer ones that are made of it."""
        longer = [span for g, shorter in made_of.items() if shorter == grain for span in self._needed(g, made_of)]
        return [*self._scan.spans[grain], *longer]

    def _cut(self, number: int, cut: tuple[str, str, str], named: list[str], flags: dict[str, str]) -> exp.Select:
        """The people of each period of a grain and segment of a dimension."""
        grain, by, condition = cut
        day = exp.column("day")
        segment: exp.Expr = exp.column(f"d{named.index(by)}") if by in named else exp.Literal.string("")
        people = exp.Count(this=exp.Distinct(expressions=[exp.column("entity")]))
        query = exp.select(
            exp.Literal.number(number).as_("cut"), day.as_("at"), segment.as_("segment"), people.as_("people")
        )
        inside = exp.or_(*(trees.in_range(day, a, b) for a, b in self._scan.spans[grain]))
        query = query.from_(_level(grain)).where(inside)
        query = query.where(exp.column(flags[condition]).eq(1)) if condition in flags else query
        return query.group_by(*(exp.Literal.number(i) for i in (1, 2, 3)))


def _level(grain: str) -> str:
    return f"active_by_{grain}"


def _made_of(grain: str, spans: Mapping[str, Sequence[Span]]) -> str:
    """The longest shorter grain whose periods it is made of, if that is asked for half of its time; otherwise days.

    Of a new day one month is wanted, and to make the year's other months first takes longer than the year of its days.
    """
    for shorter in ("quarter", "month"):
        nested = GRAINS.index(shorter) < GRAINS.index(grain) and grain != "week"
        if nested and 2 * _length(spans.get(shorter, ())) >= _length(spans[grain]):
            return shorter
    return "day"


def _length(spans: Sequence[Span]) -> pd.Timedelta:
    return sum((end - start for start, end in spans), pd.Timedelta(0))
