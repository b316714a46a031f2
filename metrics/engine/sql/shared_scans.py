"""Sums that a refresh needs of a dataset, of all KPIs and dimensions, in one statement or a few.

Rows are read once: added up by day and by all dimensions of few values together, and then by each of them. Nobody can
tell a value that was counted so from one that was asked for alone (tests/engine/test_shared_scans.py).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd
from sqlglot import exp

from connectors.errors import DiskFull, KpiError
from connectors.warehouse.contract import NO_DIMENSION
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.dataset import Dataset
from metrics.engine import periods
from metrics.engine.grids import Days, joined
from metrics.engine.query import Scope
from metrics.engine.sql import trees
from metrics.engine.sql.people_by_day import People
from metrics.engine.sql.rollups import sums_rows
from metrics.engine.sql.shared_people import PeopleScan, SharedPeople
from metrics.engine.sql.shared_reading import Reading, united
from metrics.engine.sql.sums import Part, Sums
from metrics.engine.sql.sums_by_day import SumsByDay, added_up, said_by
from metrics.engine.together import each

log = logging.getLogger(__name__)
MOST_GROUPS = 200_000  # days × values of dimensions that are added up together
MOST_CELLS = 20_000_000  # groups × aggregates of one statement: their memory


@dataclass
class Scan:
    """The sums of a dataset in a range of its days (or hours). kpis: whose they are."""

    dataset: str
    grain: str
    start: pd.Timestamp
    end: pd.Timestamp
    sums: dict[Sums, None] = field(default_factory=dict)
    dimensions: dict[str, None] = field(default_factory=dict)
    kpis: dict[str, None] = field(default_factory=dict)
    whole: bool = False  # nothing lies before it

    @property
    def called(self) -> str:
        """Whose its costs are."""
        return f"sums {self.dataset} {self.grain} {self.start} {self.end}"

    def covers(self, scope: Scope) -> bool:
        """Whether it has all rows of a scope."""
        begun = self.whole or self.start <= scope.start
        return self.grain == scope.grain and begun and scope.end <= self.end


class SharedScans:
    """Answers what is asked of planned scans. A scan runs when something of it is asked first."""

    def __init__(self, catalogue: Catalogue, scans: Iterable[Scan], people: Iterable[PeopleScan] = ()) -> None:
        self._datasets, self.of_people = catalogue.datasets, SharedPeople(people)
        self.scans = sorted(scans, key=lambda scan: scan.end - scan.start)
        self._tables: dict[tuple[int, str], list[SumsByDay]] = {}

    def days(self, sums: Sums, scope: Scope) -> Days | None:
        """The sums by each day (or hour) of a scope; None if they are not shared."""
        if scope.filters or scope.entities or scope.grain not in ("day", "hour") or scope.start >= scope.end:
            return None
        if scope.together:
            return joined({name: self.days(sums, one) for name, one in each(scope).items()})
        by = scope.by or NO_DIMENSION
        for number, scan in enumerate(self.scans):
            if scan.dataset == sums.dataset and sums in scan.sums and by in scan.dimensions and scan.covers(scope):
                for table in self._of(number, by, scope):
                    if sums in table.sums:
                        return table.days(sums).within(scope.start, scope.end)
        return None

    def people(self, people: People, scope: Scope) -> list[pd.DataFrame] | None:
        """Period, segment and `people` of each of their conditions; None if they are not shared."""
        return self.of_people.found(people, scope, self._datasets[people.dataset])

    def _of(self, number: int, by: str, scope: Scope) -> list[SumsByDay]:
        if (number, by) not in self._tables:
            scan = self.scans[number]
            for dimension in scan.dimensions:
                self._tables[number, dimension] = []
            for dimension, table in _Running(scan, self._datasets[scan.dataset], scope).tables():
                self._tables[number, dimension].append(table)
        return self._tables[number, by]


class _Running:
    """One scan: which statements it takes."""

    def __init__(self, scan: Scan, dataset: Dataset, scope: Scope) -> None:
        self._scan, self._reading = scan, Reading(scan.called, dataset, scope, scan.grain, scan.start, scan.end)
        self._count = len(periods.spine(scan.start, scan.end, scan.grain))

    def tables(self) -> Iterable[tuple[str, SumsByDay]]:
        """The tables of each dimension."""
        sums = [one for one in self._scan.sums if self._reading.single((), said_by([one]))]
        for dimensions, groups in self._together():
            size = max(1, MOST_CELLS // max(1, groups))
            for first in range(0, len(sums), size):
                yield from self._asked(dimensions, sums[first : first + size])

    def _together(self) -> Iterable[tuple[list[str], int]]:
        """Dimensions that are added up in one go, and in how many groups at the most."""
        sizes = self._reading.sizes(name for name in self._scan.dimensions if name != NO_DIMENSION)
        pack, groups = [NO_DIMENSION], self._count
        for name, size in sizes.items():
            if groups * size > MOST_GROUPS:
                yield pack, groups
                pack, groups = [], self._count
            pack, groups = [*pack, name], groups * size
        yield pack, groups

    def _asked(self, dimensions: list[str], sums: list[Sums]) -> Iterable[tuple[str, SumsByDay]]:
        """The tables of some sums; halved where they cannot be computed together."""
        if not sums:
            return
        parts = dict.fromkeys((column, one.condition) for one in sums for column in one.needs())
        names: dict[Part, str] = {part: f"c{i}" for i, part in enumerate(parts)}
        try:
            found = self._reading.run(self._select(dimensions, names))
        except DiskFull:
            raise
        except KpiError as error:
            log.info("%d sums of %s are not shared: %s", len(sums), self._scan.dataset, error)
            middle = len(sums) // 2
            for half in (sums[:middle], sums[middle:]) if middle else ():
                yield from self._asked(dimensions, half)
            return
        index = periods.spine(self._scan.start, self._scan.end, self._scan.grain)
        for number, dimension in enumerate(dimensions):
            own = found[found["cut"] == number]
            yield dimension, SumsByDay(index, sums, names, own)

    def _select(self, dimensions: list[str], names: dict[Part, str]) -> exp.Query:
        named = [name for name in dimensions if name != NO_DIMENSION]
        parts = sums_rows(self._reading, named, names) or added_up(self._reading, named, names)
        return trees.assembled(united(self._cuts(dimensions, named, names)), parts=parts)

    def _cuts(self, dimensions: list[str], named: list[str], names: dict[Part, str]) -> Iterable[exp.Select]:
        for number, name in enumerate(dimensions):
            segment: exp.Expr = exp.column(f"d{named.index(name)}") if name in named else exp.Literal.string("")
            cut = exp.select(
                exp.Literal.number(number).as_("cut"),
                "at",
                segment.as_("segment"),
                *(column.of_parts(exp.column(alias)).as_(alias) for (column, _), alias in names.items()),
            )
            yield cut.from_("parts").group_by(*(exp.Literal.number(i) for i in (1, 2, 3)))
