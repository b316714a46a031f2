"""Sums by day and dimensions: the SELECT of them, and what it found as grids of segments × days."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from sqlglot import exp

from metrics.catalog import sql
from metrics.engine.grids import Days, Grid
from metrics.engine.sql import trees
from metrics.engine.sql.shared_reading import Reading
from metrics.engine.sql.sums import ROWS, Column, Part, Sums


class SumsByDay:
    """What one statement found, by a segment or none: columns `at`, `segment` and those of `parts`."""

    def __init__(
        self, index: pd.DatetimeIndex, sums: Iterable[Sums], parts: Mapping[Part, str], found: pd.DataFrame
    ) -> None:
        self.sums, self._parts, self._found = set(sums), parts, found
        self._index = index
        self._codes, names = pd.factorize(found["segment"].astype("object"))
        self._segments = np.asarray(names, dtype=object)
        self._at = index.get_indexer(pd.DatetimeIndex(found["at"]))
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


def added_up(reading: Reading, named: Sequence[str], parts: Mapping[Part, str], of: str = "") -> exp.Select:
    """SELECT `at`, d0 … of each dimension and the parts, by their names: the rows of a range added up.

    of: SQL of a `value` whose rows are added up apart.
    """
    dataset = reading.dataset(named, [of, *(text for column, condition in parts for text in (condition, column.of))])
    value = [sql.expression(of).as_("value")] if of else []
    query = exp.select(
        trees.period(reading.local(dataset), reading.scope).as_("at"),
        *(trees.segment(dataset, name).as_(f"d{i}") for i, name in enumerate(named)),
        *value,
        *(column.tree(condition).as_(alias) for (column, condition), alias in parts.items()),
    )
    query = reading.scanned(query, dataset)
    return query.group_by(*(exp.Literal.number(i + 1) for i in range(1 + len(named) + len(value))), copy=False)


def said_by(sums: Iterable[Sums]) -> list[str]:
    """SQL that may name dimensions."""
    return [text for one in sums for text in (one.condition, *(column.of for column in one.needs()))]
