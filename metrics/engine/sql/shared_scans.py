"""Sums that a refresh needs of a dataset, of all KPIs and dimensions, in one statement or a few.

Rows are read once: added up by day and by all dimensions of few values together, and then by each of them. Nobody can
tell a value that was counted so from one that was asked for alone (tests/engine/test_shared_scans.py).
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sqlglot import exp

from connectors.errors import DiskFull, KpiError, QueryRefused
from connectors.warehouse.contract import NO_DIMENSION
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.dataset import Dataset
from metrics.engine import periods
from metrics.engine.grids import Days, Grid
from metrics.engine.query import Scope
from metrics.engine.sql import trees
from metrics.engine.sql.joins import refuse_fan_out
from metrics.engine.sql.sums import ROWS, Column, Sums

log = logging.getLogger(__name__)
MOST_SEGMENTS = 400  # of a dimension of more values nothing is shared: it is not stored
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
    statements: int = 0

    def covers(self, scope: Scope) -> bool:
        """Whether it has all rows of a scope."""
        begun = self.whole or self.start <= scope.start
        return self.grain == scope.grain and begun and scope.end <= self.end


class SharedScans:
    """Answers what is asked of planned scans. A scan runs when something of it is asked first."""

    def __init__(self, catalogue: Catalogue, scans: Iterable[Scan]) -> None:
        self._datasets = catalogue.datasets
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
        plain = dataclasses.replace(scope, by=None, segments=(), grain=scan.grain, start=scan.start, end=scan.end)
        self._scan, self._scope = scan, dataclasses.replace(plain, statements=[])
        self._whole = dataset
        self._count = len(periods.spine(scan.start, scan.end, scan.grain))

    def tables(self) -> Iterable[tuple[str, _Table]]:
        sums = [one for one in self._scan.sums if self._allowed(one)]
        for dimensions, groups in self._together():
            size = max(1, MOST_CELLS // max(1, groups))
            for first in range(0, len(sums), size):
                yield from self._asked(dimensions, sums[first : first + size])

    def _dataset(self, needed: Iterable[str], sums: Iterable[Sums]) -> Dataset:
        """The dataset with only what is read joined."""
        said = " ".join([*(s.condition for s in sums), *(c.of for s in sums for c in s.needs())])
        names = set(needed)
        return self._whole.reading(lambda name: name in names or name in said)

    def _allowed(self, sums: Sums) -> bool:
        """Whether it counts no row twice: who asks for it alone is told why not."""
        return self._single((), sums)

    def _single(self, needed: Iterable[str], *sums: Sums) -> bool:
        try:
            refuse_fan_out(self._dataset(needed, sums), self._scope)
        except QueryRefused:
            return False
        return True

    def _together(self) -> Iterable[tuple[list[str], int]]:
        """Dimensions that are added up in one go, and in how many groups at the most."""
        named = [name for name in self._scan.dimensions if name != NO_DIMENSION and self._single([name])]
        sizes = self._sizes(named)
        few = sorted((n for n in named if sizes[n] <= MOST_SEGMENTS), key=lambda name: sizes[name])
        pack, groups = [NO_DIMENSION], self._count
        for name in few:
            if groups * sizes[name] > MOST_GROUPS:
                yield pack, groups
                pack, groups = [], self._count
            pack, groups = [*pack, name], groups * sizes[name]
        yield pack, groups

    def _sizes(self, names: list[str]) -> dict[str, int]:
        """About how many values each dimension has in the range."""
        if not names:
            return {}
        dataset = self._dataset(names, ())
        counts = [exp.ApproxDistinct(this=trees.segment(dataset, n)).as_(f"d{i}") for i, n in enumerate(names)]
        try:
            row = self._run(self._scanned(exp.select(*counts), dataset)).iloc[0]
        except DiskFull:
            raise
        except KpiError:  # a dimension that cannot be computed: who asks for it is told
            return dict.fromkeys(names, MOST_SEGMENTS + 1)
        return {name: max(1, int(row[f"d{i}"])) for i, name in enumerate(names)}

    def _asked(self, dimensions: list[str], sums: list[Sums]) -> Iterable[tuple[str, _Table]]:
        """The tables of some sums; halved where they cannot be computed together."""
        if not sums:
            return
        parts = dict.fromkeys((column, one.condition) for one in sums for column in one.needs())
        names: dict[Part, str] = {part: f"c{i}" for i, part in enumerate(parts)}
        try:
            found = self._run(self._select(dimensions, sums, names))
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
        dataset = self._dataset(named, sums)
        local = trees.local_time(dataset, self._scope, trees.time_type(dataset, self._scope))
        query = exp.select(
            trees.period(local, self._scope).as_("at"),
            *(trees.segment(dataset, name).as_(f"d{i}") for i, name in enumerate(named)),
            *(column.tree(condition).as_(alias) for (column, condition), alias in names.items()),
        )
        query = self._scanned(query, dataset).group_by(*(exp.Literal.number(i + 1) for i in range(len(named) + 1)))
        final: exp.Query | None = None
        for number, name in enumerate(dimensions):
            segment: exp.Expr = exp.column(f"d{named.index(name)}") if name in named else exp.Literal.string("")
            cut = exp.select(
                exp.Literal.number(number).as_("cut"),
                "at",
                segment.as_("segment"),
                *(column.of_parts(exp.column(alias)).as_(alias) for (column, _), alias in names.items()),
            )
            cut = cut.from_("parts").group_by(*(exp.Literal.number(i) for i in (1, 2, 3)))
            final = cut if final is None else exp.union(final, cut, distinct=False)
        assert final is not None
        return trees.assembled(final, parts=query)

    def _scanned(self, query: exp.Select, dataset: Dataset) -> exp.Select:
        return trees.scanned(query, dataset, self._scope, trees.time_type(dataset, self._scope))

    def _run(self, query: exp.Query) -> pd.DataFrame:
        self._scan.statements += 1
        return trees.run(query, self._scope)
