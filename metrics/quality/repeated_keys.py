"""Primary keys of datasets: whether rows share one, asked of the rows that a sync changed where that says all."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from connectors.errors import KpiError, Problem
from connectors.warehouse.contract import Staging
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.dataset import Dataset
from metrics.engine.sql.dialects import render

CODE = "repeated_key"


def unrepeated(catalogue: Catalogue, staging: Staging, told: Sequence[Problem] | None) -> frozenset[str]:
    """Datasets whose key surely is no row's twice: it was not before, and none of the changed rows has another's.

    told: what was odd about the live generation, by the same definitions; None = nobody knows.
    """
    if told is None or not staging.generations():
        return frozenset()
    old, new = staging.published_files(), catalogue.texts()
    repeating = [problem.file for problem in told if problem.code == CODE]
    return frozenset(
        name
        for name, dataset in catalogue.datasets.items()
        if dataset.primary_key
        and not dataset.select
        and old.get(f"dataset:{name}") == new[f"dataset:{name}"]
        and not any(f"/{name}.yml" in f"/{file}" for file in repeating)
        and _alone(dataset, staging)
    )


def _alone(dataset: Dataset, staging: Staging) -> bool:
    """Whether each key of a changed row is that of one row."""
    changed = staging.changes(dataset.source)
    if not changed:
        return changed == ""
    try:
        found = staging.frame(render(_counted(dataset, changed), staging.dialect)).iloc[0]
    except KpiError:
        return False
    return bool(found["n"] == found["d"])


def _counted(dataset: Dataset, changed: str) -> exp.Select:
    keys = [exp.column(key, "t", quoted=True) for key in dataset.primary_key]
    same = [
        exp.EQ(this=exp.column(key, "c", quoted=True), expression=of)
        for key, of in zip(dataset.primary_key, keys, strict=True)
    ]
    among = exp.select(exp.Literal.number(1)).from_(exp.to_table(changed, dialect="duckdb", alias="c")).where(*same)
    return (
        exp.select(exp.Count(this=exp.Star()).as_("n"), exp.Count(this=exp.Distinct(expressions=keys)).as_("d"))
        .from_(exp.to_table(dataset.source, quoted=True, alias="t"))
        .where(exp.Exists(this=among))
    )
