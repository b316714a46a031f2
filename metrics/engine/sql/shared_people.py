"""Distinct people of all KPIs of a dataset, by every grain and dimension: each person's days are found once.

Who came on a day, with all dimensions of few values, is one row; a period's people are counted among those.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
from sqlglot import exp

from connectors.errors import DiskFull, KpiError
from connectors.warehouse.contract import NO_DIMENSION
from metrics.catalog import sql
from metrics.catalog.models.dataset import Dataset
from metrics.catalog.models.kpi import Measure
from metrics.catalog.models.values import GRAINS
from metrics.engine.query import Scope
from metrics.engine.sql import trees
from metrics.engine.sql.shared_reading import Reading, united

log = logging.getLogger(__name__)
MOST_CONDITIONS = 12  # of one statement
Span = tuple[pd.Timestamp, pd.Timestamp]


@dataclass
class PeopleScan:
    """Distinct values of one expression over a dataset. spans: grain → ranges of periods; conditions: of rows."""

    dataset: str
    entity: str
    whole: bool  # nothing lies before it
    spans: dict[str, list[Span]] = field(default_factory=dict)
    conditions: dict[str, None] = field(default_factory=dict)
    dimensions: dict[str, None] = field(default_factory=dict)
    kpis: dict[str, None] = field(default_factory=dict)
    statements: int = 0

    def covers(self, measure: Measure, scope: Scope) -> bool:
        """Whether it has all rows of a measure in a scope."""
        same = (self.dataset, self.entity) == (measure.dataset, measure.expr) and measure.filter in self.conditions
        spans = self.spans.get(scope.grain, ())
        return same and any((self.whole or a <= scope.start) and scope.end <= b for a, b in spans)


class SharedPeople:
    """Answers what is asked of planned scans of people. A scan runs when something of it is asked first."""

    def __init__(self, scans: Iterable[PeopleScan]) -> None:
        self.scans = list(scans)
        self._tables: dict[int, dict[tuple[str, str, str], pd.DataFrame]] = {}

    def found(self, measure: Measure, scope: Scope, dataset: Dataset) -> pd.DataFrame | None:
        """Period, segment, value and n of a measure's people, as asked for alone; None if they are not shared."""
        if measure.agg != "count_distinct" or scope.filters or scope.entities:
            return None
        for number, scan in enumerate(self.scans):
            if scan.covers(measure, scope):
                if number not in self._tables:
                    self._tables[number] = dict(_Running(scan, dataset, scope).tables())
                table = self._tables[number].get((scope.grain, scope.by or NO_DIMENSION, measure.filter))
                if table is not None:
                    at = table[trees.PERIOD]
                    return table[(at >= scope.start) & (at < scope.end)]
        return None


class _Running:
    """One scan: which statements it takes."""

    def __init__(self, scan: PeopleScan, dataset: Dataset, scope: Scope) -> None:
        every = [span for spans in scan.spans.values() for span in spans]
        self._scan = scan
        self._reading = Reading(dataset, scope, "day", min(a for a, _ in every), max(b for _, b in every))

    def tables(self) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame]]:
        """(grain, dimension, condition) → its people."""
        named = list(self._reading.sizes(n for n in self._scan.dimensions if n != NO_DIMENSION))
        allowed = [c for c in self._scan.conditions if self._reading.single((), (c, self._scan.entity))]
        for first in range(0, len(allowed), MOST_CONDITIONS):
            yield from self._asked(named, allowed[first : first + MOST_CONDITIONS])

    def _asked(
        self, named: list[str], conditions: Sequence[str]
    ) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame]]:
        """Halved where they cannot be computed together."""
        cuts = [(grain, by, c) for grain in self._scan.spans for by in (NO_DIMENSION, *named) for c in conditions]
        self._scan.statements += 1
        try:
            found = self._reading.run(self._select(named, conditions, cuts))
        except DiskFull:
            raise
        except KpiError as error:
            log.info("people of %s are not shared: %s", self._scan.dataset, error)
            middle = len(conditions) // 2
            for half in (conditions[:middle], conditions[middle:]) if middle else ():
                yield from self._asked(named, half)
            return
        for number, (grain, by, condition) in enumerate(cuts):
            own = found[found["cut"] == number]
            columns = {trees.PERIOD: own["at"], trees.SEGMENT: own["segment"]}
            yield (grain, by, condition), pd.DataFrame({**columns, trees.VALUE: own["people"], "n": own["people"]})

    def _select(self, named: list[str], conditions: Sequence[str], cuts: list[tuple[str, str, str]]) -> exp.Query:
        """The people of each cut, out of their days, weeks …: whoever came on five days is one row of a month."""
        dataset = self._reading.dataset(named, (*conditions, self._scan.entity))
        flags = {c: f"f{i}" for i, c in enumerate(conditions) if c}
        keys = ("day", "entity", *(f"d{i}" for i in range(len(named))))
        one, none = exp.Literal.number(1), exp.Literal.number(0)
        met = {
            flag: exp.Case(ifs=[exp.If(this=sql.expression(condition), true=one.copy())], default=none.copy())
            for condition, flag in flags.items()
        }
        columns = [
            trees.period(self._reading.local(dataset), self._reading.scope).as_("day"),
            sql.expression(self._scan.entity).as_("entity"),
            *(trees.segment(dataset, name).as_(f"d{i}") for i, name in enumerate(named)),
        ]
        levels = {"day": _once(self._reading.scanned(exp.select(*columns), dataset), len(keys), met)}
        for grain in GRAINS[GRAINS.index("week") :]:
            if spans := self._needed(grain):
                day = exp.column("day")
                longer = trees.period(day, self._reading.scope, grain).as_("day")
                rows = exp.select(longer, *keys[1:]).from_(_level(_shorter(grain, levels)))
                rows = rows.where(exp.or_(*(trees.in_range(day, a, b) for a, b in spans)))
                levels[grain] = _once(rows, len(keys), {flag: exp.column(flag) for flag in flags.values()})
        final = united(self._cut(i, *cut, named, flags) for i, cut in enumerate(cuts))
        return trees.assembled(final, **{_level(grain): query for grain, query in levels.items()})

    def _needed(self, grain: str) -> list[Span]:
        """The ranges that a grain is asked for, or longer ones that are made of it."""
        if grain == "week":
            return self._scan.spans.get(grain, [])
        longer = GRAINS[GRAINS.index(grain) :]
        own = grain in self._scan.spans
        return [span for g in longer for span in self._scan.spans.get(g, ())] if own else []

    def _cut(
        self, number: int, grain: str, by: str, condition: str, named: list[str], flags: dict[str, str]
    ) -> exp.Select:
        """The people of each period of a grain and segment of a dimension."""
        day = exp.column("day")
        segment: exp.Expr = exp.column(f"d{named.index(by)}") if by in named else exp.Literal.string("")
        people = exp.Count(this=exp.Distinct(expressions=[exp.column("entity")]))
        query = exp.select(
            exp.Literal.number(number).as_("cut"), day.as_("at"), segment.as_("segment"), people.as_("people")
        )
        query = query.from_(_level(grain)).where(
            exp.or_(*(trees.in_range(day, a, b) for a, b in self._scan.spans[grain]))
        )
        query = query.where(exp.column(flags[condition]).eq(1)) if condition else query
        return query.group_by(*(exp.Literal.number(i) for i in (1, 2, 3)))


def _level(grain: str) -> str:
    return f"active_by_{grain}"


def _shorter(grain: str, levels: Collection[str]) -> str:
    """The longest grain whose periods those of this one are made of."""
    nested = [g for g in ("month", "quarter") if g in levels and GRAINS.index(g) < GRAINS.index(grain)]
    return nested[-1] if nested else "day"


def _once(rows: exp.Select, keys: int, flags: Mapping[str, exp.Expr]) -> exp.Select:
    """Each combination of the first columns once, with the greatest of each flag."""
    if not flags:
        return rows.distinct()
    return rows.select(*(exp.Max(this=x).as_(flag) for flag, x in flags.items())).group_by(
        *(exp.Literal.number(i + 1) for i in range(keys))
    )
