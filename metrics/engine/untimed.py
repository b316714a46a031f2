"""Rows that are in no period, since nobody knows when they happened."""

from __future__ import annotations

from sqlglot import exp

from connectors.warehouse.contract import Reader
from metrics.catalog.models.dataset import Dataset
from metrics.engine.sql import trees


def rows_without_time(dataset: Dataset, reader: Reader) -> int:
    """How many rows of a dataset have no time. Raises WarehouseError."""
    time = exp.column(dataset.time_dimension, quoted=True)
    counted = exp.select(exp.Count(this=exp.Star()).as_("n"))
    query = trees.from_dataset(counted, dataset).where(exp.Is(this=time, expression=exp.Null()))
    return int(reader.frame(query.sql(dialect=reader.dialect))["n"].iloc[0])
