"""What a well-formed tracking plan can still get wrong: its dataset and columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from connectors.errors import Problem, did_you_mean
from connectors.warehouse.contract import Columns
from metrics.catalog.document import Document
from metrics.catalog.models.plan import Plan


def plan_problems(
    plan: Plan, document: Document, datasets: Collection[str], columns: Mapping[str, Columns | None]
) -> list[Problem]:
    """Every problem of one plan. columns: of each dataset; None before the first sync."""
    if plan.dataset not in datasets:
        hint = did_you_mean(plan.dataset, sorted(datasets))
        return [document.problem(("dataset",), "unknown_dataset", f"unknown dataset '{plan.dataset}'", hint)]
    known = columns.get(plan.dataset)
    if known is None:
        return []
    wanted = [("event", plan.event)] + ([("properties", plan.properties)] if plan.properties else [])
    return [
        document.problem(
            (key,), "unknown_column", f"dataset {plan.dataset} has no column '{name}'", did_you_mean(name, list(known))
        )
        for key, name in wanted
        if name not in known
    ]
