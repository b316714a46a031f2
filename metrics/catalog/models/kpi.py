"""kpis/*.yml: every KPI type. Shape only; names and SQL are checked in check.py.

What all have in common is in common.py, those that follow entities in cohorts.py.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import Field, model_validator

from metrics.catalog.models.cohorts import Cohort, Conversion, Funnel, Lifecycle, Retention, Stickiness
from metrics.catalog.models.common import AGGS, Agg, Condition, KpiCommon, Measure, SemiAdditive, given, with_format
from metrics.catalog.models.values import Duration, Grain, Window


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


Part = str | Measure


class Ratio(KpiCommon):
    """Sum of parts / sum of parts; each part a KPI's name or an inline measure."""

    type: Literal["ratio"]
    numerator: Part
    denominator: Part

    @model_validator(mode="after")
    def _datasets(self) -> Ratio:
        for key in ("numerator", "denominator"):
            part = getattr(self, key)
            if isinstance(part, Measure) and not (part.dataset or self.dataset):
                raise ValueError(f"`{key}` needs a dataset\nWrite `dataset:` in the KPI or in the part.")
        return self

    @property
    def parts(self) -> dict[str, Part]:
        """numerator and denominator."""
        return {"numerator": self._placed(self.numerator), "denominator": self._placed(self.denominator)}


class Derived(KpiCommon):
    """Arithmetic of other KPIs: `1000 * {tickets} / {active_users} offset 1 week`."""

    type: Literal["derived"]
    expr: str


class Sql(KpiCommon):
    """A SELECT giving period, value (numerator, denominator, n) and dimensions at the home grain."""

    type: Literal["sql"]
    dataset: str
    sql: str
    maturity: Duration = Field(timedelta(0), description="How long after its end a period keeps changing.")


class Cumulative(KpiCommon):
    """A measure from the first event on, or from the start of the running week, month, quarter or year."""

    type: Literal["cumulative"]
    dataset: str = ""
    measure: Part
    window: Window | None = Field(None, description="Not taken: a trailing window is a simple KPI's `window`.")
    grain_to_date: Grain | None = Field(None, description="Start anew with each of these; default: never.")

    @model_validator(mode="after")
    def _to_date(self) -> Cumulative:
        if self.window is not None:
            raise ValueError("a cumulative KPI has no window\nWrite a simple KPI with `window`, or `grain_to_date`.")
        if self.grain == "hour" or self.grain_to_date in ("hour", "day"):
            raise ValueError("a cumulative KPI counts in days\nWrite `grain: day` and `grain_to_date: month`.")
        if isinstance(self.measure, Measure) and not (self.measure.dataset or self.dataset):
            raise ValueError("`measure` needs a dataset\nWrite `dataset:` in the KPI or in the measure.")
        return self

    @property
    def parts(self) -> dict[str, Part]:
        """measure."""
        return {"measure": self._placed(self.measure)}


class Survey(KpiCommon):
    """NPS, CSAT or CES of answers."""

    type: Literal["survey"]
    dataset: str
    score: str = Field(description="Column or expression that holds the answer.")
    scale: Literal["nps", "csat", "ces"] = "nps"
    comment: str = Field("", description="Column of what customers wrote.")
    filter: str = ""

    @model_validator(mode="before")
    @classmethod
    def _shown(cls, data: Any) -> Any:
        return with_format(data, {"csat": "percent", "ces": "0.0"}.get(str(given(data, "scale")), "0"))

    @property
    def changes_in_points(self) -> bool:
        """Scores change in points."""
        return self.delta != "relative"


Kpi = Simple | Ratio | Derived | Sql | Cumulative | Conversion | Funnel | Retention | Lifecycle | Stickiness | Survey
KPI_TYPES: dict[str, type[KpiCommon]] = {
    "simple": Simple,
    "ratio": Ratio,
    "derived": Derived,
    "cumulative": Cumulative,
    "conversion": Conversion,
    "funnel": Funnel,
    "retention": Retention,
    "lifecycle": Lifecycle,
    "stickiness": Stickiness,
    "survey": Survey,
    "sql": Sql,
}

__all__ = [
    "AGGS",
    "KPI_TYPES",
    "Agg",
    "Cohort",
    "Condition",
    "Conversion",
    "Cumulative",
    "Derived",
    "Funnel",
    "Kpi",
    "KpiCommon",
    "Lifecycle",
    "Measure",
    "Ratio",
    "Retention",
    "SemiAdditive",
    "Simple",
    "Sql",
    "Stickiness",
    "Survey",
]
