"""Joins that borrow dimensions are many-to-one, or refused: a row that met two would be counted twice.

A join that brings nothing of what is asked is left out: it can neither slow nor refuse a question.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from sqlglot import exp

from connectors.errors import QueryRefused
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.dataset import Dataset
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine.query import Scope
from metrics.engine.sql import trees
from metrics.engine.sql.dialects import render
from metrics.engine.together import each


def reading_what_is_asked(kpi: KpiCommon, scope: Scope) -> Scope:
    """The scope whose datasets join only what the KPI, the breakdown or a filter names."""
    if scope.together:
        slim = {name: reading_what_is_asked(kpi, one).catalogue for name, one in each(scope).items()}
        scope = dataclasses.replace(scope, together=slim)
    catalogue = scope.catalogue
    said = " ".join([*_words(kpi, catalogue), scope.entities.condition if scope.entities else ""])
    asked = {scope.by, *scope.together, *(item.dimension for item in scope.filters)}
    datasets = dict(catalogue.datasets)
    for name in catalogue.datasets_of(kpi):
        if name not in kpi.reads(catalogue.datasets):  # an analyst's SELECT may say *
            datasets[name] = datasets[name].reading(lambda dimension: dimension in asked or dimension in said)
    if all(datasets[name] is catalogue.datasets[name] for name in datasets):
        return scope
    return dataclasses.replace(scope, catalogue=dataclasses.replace(catalogue, datasets=datasets))


def _words(kpi: KpiCommon, catalogue: Catalogue) -> list[str]:
    """All that a KPI and those it is made of say, its expressions among them."""
    inner = [word for name in catalogue.references(kpi) for word in _words(catalogue.kpi(name), catalogue)]
    return [kpi.model_dump_json(), *inner]


def refuse_fan_out(dataset: Dataset, scope: Scope) -> None:
    """Raise QueryRefused if the key of a dataset that this one borrows of is not unique."""
    for name, (_, other) in dataset.borrowed().items():
        refuse_fan_out(other.reading(name.__eq__), scope)
        known: dict[Any, Any] = scope.known if scope.shared is None else scope.shared.answers
        asked = ("fan_out", other.name)
        if asked not in known:
            known[asked] = scope.reader.frame(render(_twice(_alone(other)), scope.reader.dialect))
        twice = known[asked]
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


def _alone(dataset: Dataset) -> Dataset:
    """Its rows, joined with nothing."""
    return dataset.reading(lambda _: False)
