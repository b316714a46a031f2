"""How many rows of a dataset each condition of a KPI counts: those with a moment, not in the future, that meet it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
from sqlglot import exp

from connectors.warehouse.contract import Reader
from metrics.catalog import sql
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.dataset import Dataset
from metrics.catalog.models.kpi import KpiCommon, Part
from metrics.engine.answer import default_scope
from metrics.engine.query import Scope
from metrics.engine.sql import trees
from metrics.engine.sql.dialects import render


@dataclass(frozen=True)
class Counted:
    """name: what people call the condition, maybe empty. entities: how many they are of; None = nobody is known."""

    name: str
    rows: int
    entities: int | None


def counted_rows(kpi: KpiCommon, dataset: str, catalogue: Catalogue, reader: Reader) -> list[Counted]:
    """Each condition and measure of the KPI on this dataset."""
    if catalogue.min_people:
        return []
    scope = default_scope(kpi, kpi.grain, catalogue, reader, reader.dataset_states(reader.generation.sequence))
    item = catalogue.datasets[dataset]
    return [_counted(item, name, rules, scope) for name, rules in _rules(kpi, dataset, catalogue)]


def undated_rows(dataset: Dataset, reader: Reader) -> int:
    """Rows that have no moment, so no period counts them."""
    missing = exp.Is(this=exp.column(dataset.time_dimension, quoted=True), expression=exp.null())
    # As a condition, of which an engine knows by its statistics that few rows or none meet it.
    query = trees.from_dataset(exp.select(exp.Count(this=exp.Star()).as_("undated")), dataset).where(missing)
    return int(reader.frame(render(query, reader.dialect))["undated"].iloc[0])


def _rules(kpi: KpiCommon, dataset: str, catalogue: Catalogue) -> Iterator[tuple[str, list[str]]]:
    """Name → conditions that rows must meet together."""
    item = catalogue.datasets[dataset]
    for name, condition in zip(kpi.condition_names, kpi.conditions.values(), strict=True):
        if condition.dataset == dataset:
            yield name, [condition.filter, f'"{item.entity}" IS NOT NULL']
    if kpi.dataset == dataset:
        for name, rule in kpi.row_filters.items():
            yield name, [rule, kpi.row_needs]
    for name, part in kpi.parts.items():
        yield from ((name, [rule]) for rule in _filters(part, dataset, catalogue))


def _filters(part: Part, dataset: str, catalogue: Catalogue) -> list[str]:
    if isinstance(part, str):
        kpi = catalogue.kpi(part)
        return list(kpi.row_filters.values()) if kpi.dataset == dataset else []
    return [part.filter] if part.dataset == dataset else []


def _counted(item: Dataset, name: str, rules: list[str], scope: Scope) -> Counted:
    columns = [exp.Count(this=exp.Star()).as_("matching")]
    if item.entity:
        entities = exp.Distinct(expressions=[exp.column(item.entity, quoted=True)])
        columns.append(exp.Count(this=entities).as_("entities"))
    local = trees.local_time(item, scope, trees.time_type(item, scope))
    query = trees.from_dataset(exp.select(*columns), item).where(trees.in_range(local, pd.Timestamp(0), scope.end))
    for rule in filter(None, rules):
        query = query.where(sql.expression(rule))
    row = scope.reader.frame(render(query, scope.reader.dialect)).iloc[0]
    return Counted(name, int(row["matching"]), int(row["entities"]) if item.entity else None)
