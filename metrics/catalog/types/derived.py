"""derived: arithmetic of other KPIs: `1000 * {tickets} / {active_users} offset 1 week`."""

from __future__ import annotations

from typing import Literal

from connectors.errors import Problem
from metrics.catalog.checks.fields import Known
from metrics.catalog.document import Document
from metrics.catalog.formula import formula
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.sql import SqlProblem


class Derived(KpiCommon):
    """Arithmetic of other KPIs: `1000 * {tickets} / {active_users} offset 1 week`."""

    type: Literal["derived"]
    expr: str

    @property
    def references(self) -> list[tuple[tuple[str, ...], str]]:
        """The KPIs in braces. Raises SqlProblem."""
        return [(("expr",), reference.kpi) for reference in formula(self.expr).references]

    def problems(self, document: Document, known: Known) -> list[Problem]:
        """Its formula."""
        try:
            formula(self.expr)
        except SqlProblem as problem:
            return [document.problem(("expr",), "sql", str(problem), problem.hint)]
        return []
