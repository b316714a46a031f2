"""cumulative: a measure from the first event on, or from the start of the running week, month, quarter or year."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from connectors.errors import Problem
from metrics.catalog.checks import fields
from metrics.catalog.checks.fields import Known
from metrics.catalog.document import Document
from metrics.catalog.models.kpi import KpiCommon, Longer, Measure, Part
from metrics.catalog.models.values import Grain, Window


class Cumulative(KpiCommon):
    """A measure from the first event on, or from the start of the running week, month, quarter or year."""

    type: Literal["cumulative"]
    dataset: str = ""
    measure: Part
    window: Window | None = Field(None, description="Not taken: a trailing window is a simple KPI's `window`.")
    grain_to_date: Grain | None = Field(None, description="Restart with each of these; default: never.")

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

    @property
    def additivity(self) -> str:
        """Over segments, not over periods."""
        counted = isinstance(self.measure, Measure) and self.measure.agg in ("count", "sum")
        return "semi-additive" if counted else "non-additive"

    def _longer(self, kpis: Mapping[str, KpiCommon]) -> Longer:
        """The value that its last day has."""
        return "level"

    @property
    def runs_on(self) -> bool:
        """From day to day."""
        return True

    @property
    def to_date_grain(self) -> Grain | None:
        """`grain_to_date`."""
        return self.grain_to_date

    @property
    def coarser_by(self) -> str:
        """Running values have days below their home grain, so they do it themselves."""
        return ""

    @property
    def grows_with_people(self) -> bool:
        """As what it adds up does."""
        return True

    def problems(self, document: Document, known: Known) -> list[Problem]:
        """Those of its inline measures."""
        return fields.parts(self, document, known)
