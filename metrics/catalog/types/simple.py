"""simple: an aggregate over rows, or over a trailing window of whole days."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from connectors.errors import Problem
from metrics.catalog.checks import fields
from metrics.catalog.checks.fields import Known
from metrics.catalog.document import Document
from metrics.catalog.models.kpi import Agg, KpiCommon, Longer, Measure, Place, SemiAdditive
from metrics.catalog.models.values import Window


class Simple(KpiCommon):
    """An aggregate over rows, or over a trailing window of whole days."""

    type: Literal["simple"] = "simple"
    dataset: str
    agg: Agg | None = None
    expr: str = ""
    percentile: float | None = Field(None, gt=0, lt=1)
    sql: str = ""
    filter: str = ""
    window: Window | None = None
    semi_additive: SemiAdditive | None = None

    @model_validator(mode="after")
    def _whole(self) -> Simple:
        _ = self.measure
        if self.window and self.grain == "hour":
            raise ValueError("a windowed KPI has no hour grain\nWrite `grain: day`.")
        if self.semi_additive and (self.sql or self.agg in ("first", "last")):
            raise ValueError("`semi_additive` picks the rows, `agg` adds them\nWrite `agg: sum` with `expr`.")
        if self.semi_additive and self.window:
            raise ValueError("`semi_additive` and `window` do not go together\nLeave out `window`.")
        return self

    @property
    def measure(self) -> Measure:
        """The aggregate, as a ratio's part would write it."""
        return Measure(
            dataset=self.dataset,
            agg=self.agg,
            expr=self.expr,
            percentile=self.percentile,
            sql=self.sql,
            filter=self.filter,
        )

    @property
    def measures(self) -> dict[Place, Measure]:
        """Its own."""
        return {(): self.measure}

    def people_measures(self, kpis: Mapping[str, KpiCommon]) -> tuple[Measure, ...] | str:
        """Its own."""
        return (self.measure,)

    @property
    def row_filters(self) -> dict[str, str]:
        """Its own."""
        return {"": self.filter}

    @property
    def trailing_window(self) -> Window | None:
        """`window`."""
        return self.window

    @property
    def additivity(self) -> str:
        """Counts and sums add up, balances and windows over segments only."""
        if self.sql or self.agg not in ("count", "sum"):
            return "non-additive"
        longer = self.period_agg in ("last", "mean", "max")
        return "semi-additive" if self.window or self.semi_additive or longer else "additive"

    def _longer(self, kpis: Mapping[str, KpiCommon]) -> Longer:
        """A trailing window has the same length whatever the period."""
        return "level" if self.window or (self.sql and self.is_rate) else self.measure.longer

    @property
    def counts_each_hour_once(self) -> bool:
        """Counts and sums without a window."""
        return self.agg in ("count", "sum") and not self.window

    @property
    def grows_with_people(self) -> bool:
        """Counts and sums do."""
        return self.agg in ("count", "count_distinct", "sum")

    @property
    def coarser_by(self) -> str:
        """Windows have days below their home grain, so they do it themselves; a balance is that of the last one."""
        if self.window:
            return ""
        return self._stated_coarser_by("last" if self.semi_additive else "exact")

    @property
    def is_part(self) -> bool:
        """A simple KPI may be a part of others."""
        return True

    @property
    def has_each_day(self) -> bool:
        """Rows are counted by any period."""
        return True

    def problems(self, document: Document, known: Known) -> list[Problem]:
        """Its aggregate, and whose row counts of a balance."""
        found = fields.measure(document, (), self.measure, known)
        if self.semi_additive is None:
            return found
        data, pick, per = known.datasets[self.dataset], self.semi_additive.pick, self.semi_additive.per
        if not (per or data.entity):
            text = f"dataset '{self.dataset}' has no entity, so it is unknown whose {pick} row counts"
            hint = "Write `per: account_id`, or its `entity`."
            return [*found, document.problem(("semi_additive",), "no_entity", text, hint)]
        columns = known.columns.get(self.dataset)
        return found + (fields.expression(document, ("semi_additive", "per"), per, columns) if per else [])
