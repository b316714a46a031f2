"""Sums that a refresh needs of a dataset, of all KPIs and dimensions, in one statement or a few.

Rows are read once: added up by day and by all dimensions of few values together, and then by each of them. Nobody can
tell a value that was counted so from one that was asked for alone (tests/engine/test_shared_scans.py).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sqlglot import exp

from connectors.errors import DiskFull, KpiError
from connectors.warehouse.contract import NO_DIMENSION
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.dataset import Dataset
from metrics.engine import periods
from metrics.engine.grids import Days, Grid
from metrics.engine.query import Scope
from metrics.engine.sql import trees
from metrics.engine.sql.shared_people import People, PeopleScan, SharedPeople
from metrics.engine.sql.shared_reading import Reading, united
from metrics.engine.sql.sums import ROWS, Column, Sums

log = logging.getLogger(__name__)
MOST_GROUPS = 200_000  # days × values of dimensions that are added up together
MOST_CELLS = 20_000_000  # groups × aggregates of one statement: their memory
Part = tuple[Column, str]  # an aggregate, and the condition that its rows meet


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
        self._tables: dict[tuple[int, str], list[_Table]] = {}

    def days(self, sums: Sums, scope: Scope) -> Days | None:
        """The sums by each day (or hour) of a scope; None if they are not shared."""
        if scope.filters or scope.entities or scope.grain not in ("day", "hour") or scope.start >= scope.end:
            return None
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

    def _of(self, number: int, by: str, scope: Scope) -> list[_Table]:
        if (number, by) not in self._tables:
            scan = self.scans[number]
            for dimension in scan.dimensions:
                self._tables[number, dimension] = []
            for dimension, table in _Running(scan, self._datasets[scan.dataset], scope).tables():
                self._tables[number, dimension].append(table)
        return self._tables[number, by]


class _Table:
    """What one statement found for one dimension."""

    def __init__(self, scan: Scan, sums: Sequence[Sums], parts: dict[Part, str], found: pd.DataFrame) -> None:
        self.sums, self._parts, self._found = set(sums), parts, found
        self._index = periods.spine(scan.start, scan.end, scan.grain)
        self._codes, names = pd.factorize(found["segment"].astype("object"))
        self._segments = np.asarray(names, dtype=object)
        self._at = self._index.get_indexer(pd.DatetimeIndex(found["at"]))
        self._known: dict[Part, Grid] = {}

    def days(self, sums: Sums) -> Days:
        """The sums of each segment and day."""
        rows = self._grid(ROWS, sums.condition)
        columns = {name: self._grid(column, sums.condition) for name, column in sums.columns}
        return Days(self._segments, self._index, rows > 0, columns)

    def _grid(self, column: Column, condition: str) -> Grid:
        part = column, condition
        if part not in self._known:
            values = pd.to_numeric(self._found[self._parts[part]]).to_numpy(dtype="float64", na_value=np.nan)
            grid = np.full((len(self._segments), len(self._index)), np.nan)
            grid[self._codes, self._at] = values
            self._known[part] = grid
        return self._known[part]


class _Running:
    """One scan: which statements it takes."""

    def __init__(self, scan: Scan, dataset: Dataset, scope: Scope) -> None:
        self._scan, self._reading = scan, Reading(scan.called, dataset, scope, scan.grain, scan.start, scan.end)
        self._count = len(periods.spine(scan.start, scan.end, scan.grain))

    def tables(self) -> Iterable[tuple[str, _Table]]:
        """The tables of each dimension."""
        sums = [one for one in self._scan.sums if self._reading.single((), _said([one]))]
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

    def _asked(self, dimensions: list[str], sums: list[Sums]) -> Iterable[tuple[str, _Table]]:
        """The tables of some sums; halved where they cannot be computed together."""
        if not sums:
            return
        parts = dict.fromkeys((column, one.condition) for one in sums for column in one.needs())
        names: dict[Part, str] = {part: f"c{i}" for i, part in enumerate(parts)}
        try:
            found = self._reading.run(self._select(dimensions, sums, names))
        except DiskFull:
            raise
        except KpiError as error:
            log.info("%d sums of %s are not shared: %s", len(sums), self._scan.dataset, error)
            middle = len(sums) // 2
            for half in (sums[:middle], sums[middle:]) if middle else ():
                yield from self._asked(dimensions, half)
            return
        for number, dimension in enumerate(dimensions):
            own = found[found["cut"] == number]
            yield dimension, _Table(self._scan, sums, names, own)

    def _select(self, dimensions: list[str], sums: list[Sums], names: dict[Part, str]) -> exp.Query:
        named = [name for name in dimensions if name != NO_DIMENSION]
        dataset = self._reading.dataset(named, _said(sums))
        query = exp.select(
            trees.period(self._reading.local(dataset), self._reading.scope).as_("at"),
            *(trees.segment(dataset, name).as_(f"d{i}") for i, name in enumerate(named)),
            *(column.tree(condition).as_(alias) for (column, condition), alias in names.items()),
        )
        query = self._reading.scanned(query, dataset)
        query = query.group_by(*(exp.Literal.number(i + 1) for i in range(len(named) + 1)))
        return trees.assembled(united(self._cuts(dimensions, named, names)), parts=query)

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


def _said(sums: Iterable[Sums]) -> list[str]:
    """SQL that may name dimensions."""
    return [text for one in sums for text in (one.condition, *(column.of for column in one.needs()))]
