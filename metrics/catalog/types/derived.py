"""derived: arithmetic of other KPIs: `1000 * {tickets} / {active_users} offset 1 week`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from connectors.errors import Problem
from metrics.catalog.checks.fields import Known
from metrics.catalog.document import Document
from metrics.catalog.formula import WHOLE_IN, formula, longer
from metrics.catalog.models.kpi import KpiCommon, Longer
from metrics.catalog.sql import SqlProblem


class Derived(KpiCommon):
    """Arithmetic of other KPIs: `1000 * {tickets} / {active_users} offset 1 week`."""

    type: Literal["derived"]
    expr: str

    @property
    def references(self) -> list[tuple[tuple[str, ...], str]]:
        """The KPIs in braces. Raises SqlProblem."""
        return [(("expr",), reference.kpi) for reference in formula(self.expr).references]

    @property
    def offsets(self) -> tuple[tuple[int, str], ...]:
        """Those of its formula; none where that is wrong."""
        try:
            return tuple((r.offset, r.offset_grain) for r in formula(self.expr).references if r.offset)
        except SqlProblem:
            return ()

    def _longer(self, kpis: Mapping[str, KpiCommon]) -> Longer:
        """By what its formula does with them."""
        parsed = formula(self.expr)
        return longer(parsed.tree, {f"p{i}": kpis[r.kpi].longer(kpis) for i, r in enumerate(parsed.references)})

    @property
    def offered_grains(self) -> tuple[str, ...]:
        """Those whose periods its offsets are a whole number of, and its home grain."""
        return tuple(g for g in super().offered_grains if g == self.grain or not self._broken_at(g))

    def _broken_at(self, grain: str) -> str:
        """The grain of an offset that is no whole number of these; empty if there is none."""
        return next((of for _, of in self.offsets if grain not in WHOLE_IN[of]), "")

    def problems(self, document: Document, known: Known) -> list[Problem]:
        """Its formula, and grains at which an offset of it means nothing."""
        try:
            formula(self.expr)
        except SqlProblem as problem:
            return [document.problem(("expr",), "sql", str(problem), problem.hint)]
        hint = f"It is not offered; left are: {', '.join(self.offered_grains)}."
        return [
            document.problem(
                ("grains", i), "grain", f"an offset by {of} is no whole number of {grain}s", hint, "warning"
            )
            for i, grain in enumerate(self.grains)
            if (of := self._broken_at(grain)) and grain != self.grain
        ]
