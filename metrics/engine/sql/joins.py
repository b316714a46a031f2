"""Joins that borrow dimensions are many-to-one, or refused: a row that met two would be counted twice."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sqlglot import exp

from connectors.errors import QueryRefused
from metrics.catalog.models.dataset import Dataset
from metrics.engine.query import Scope
from metrics.engine.sql import trees
from metrics.engine.sql.dialects import render


def refuse_fan_out(dataset: Dataset, scope: Scope) -> None:
    """Raise QueryRefused if the key of a dataset that this one borrows of is not unique."""
    for other in {other.name: other for _, other in dataset.borrowed().values()}.values():
        memo: dict[Any, pd.DataFrame] = {} if scope.memo is None else scope.memo
        asked = ("fan_out", other.name)
        if asked not in memo:
            memo[asked] = scope.reader.frame(render(_twice(other), scope.reader.dialect))
        twice = memo[asked]
        if len(twice):
            key, value, count = other.primary_key[0], twice["key"].iloc[0], int(twice["rows"].iloc[0])
            raise QueryRefused(
                f"rows of {dataset.name} would be counted several times: "
                f"{key} '{value}' has {count} rows in {other.name}",
                where=f"dataset {dataset.name}, join {other.name}",
                hint=f"Join a dataset with one row for each {key}, such as a SELECT that groups by it.",
            )


def _twice(other: Dataset) -> exp.Select:
    key = exp.column(other.primary_key[0], quoted=True)
    query = exp.select(key.as_("key"), exp.Count(this=exp.Star()).as_("rows")).where(trees.known(key))
    query = trees.from_dataset(query, other)
    return query.group_by(key.copy()).having("count(*) > 1").limit(1)
