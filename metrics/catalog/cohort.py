"""What types that follow entities share: conversion, funnel, retention, lifecycle, stickiness."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, WithJsonSchema

from connectors.errors import Problem
from metrics.catalog.checks import fields
from metrics.catalog.checks.fields import Known
from metrics.catalog.document import Document
from metrics.catalog.models.kpi import Condition, KpiCommon


def _as_condition(given: Any) -> Any:
    """A filter on the KPI's own dataset is short for {filter: …}."""
    return {"filter": given} if isinstance(given, str) else given


_PROPERTIES = {name: {"type": "string"} for name in ("dataset", "filter")}
Rows = Annotated[
    Condition,
    BeforeValidator(_as_condition),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "description": "A filter on the KPI's own dataset."},
                {"type": "object", "properties": _PROPERTIES, "additionalProperties": False},
            ]
        }
    ),
]


Ties = Literal["same_moment", "strictly_later"]
TIES = (
    "What counts at one moment; default: a row that is not also one of the step before. same_moment: every row, also "
    "the same one; strictly_later: none."
)


class Cohort(KpiCommon):
    """A type that follows entities from the rows of one condition to those of others, maybe of other datasets."""

    dataset: str

    def _rows(self, given: Condition) -> Condition:
        return given if given.dataset else Condition(dataset=self.dataset, filter=given.filter)

    def problems(self, document: Document, known: Known) -> list[Problem]:
        """Each condition has its dataset and filter; all datasets say who is followed, by columns of one type."""
        return fields.conditions(self, document, known)
