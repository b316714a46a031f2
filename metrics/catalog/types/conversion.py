"""conversion: who of a period's base converts within the window; or what is credited to the base's last row."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal

from pydantic import Field, model_validator

from metrics.catalog.cohort import TIES, Cohort, Rows, Ties
from metrics.catalog.models.kpi import Condition, KpiCommon, Longer, Measure, Place, given, with_format
from metrics.catalog.models.values import Duration


class Conversion(Cohort):
    """Share of the period's base that converts within the window."""

    type: Literal["conversion"]
    base: Rows = Field(Condition(), description="Who may convert; default every row of the dataset.")
    conversion: Rows
    window: Duration | None = Field(None, description="At once, or later by less than this; default: ever.")
    calculation: Literal["rate", "count"] = "rate"
    of: Literal["entities", "events"] = "entities"
    ties: Ties | None = Field(None, description=TIES)

    @model_validator(mode="before")
    @classmethod
    def _percent(cls, data: Any) -> Any:
        return with_format(data, "number" if given(data, "calculation") == "count" else "percent")

    @property
    def conditions(self) -> dict[Place, Condition]:
        """base, conversion."""
        return {("base",): self._rows(self.base), ("conversion",): self._rows(self.conversion)}

    def people_measures(self, kpis: Mapping[str, KpiCommon]) -> tuple[Measure, ...] | str:
        """Of a rate of entities both parts are people."""
        if self.of == "entities" and self.calculation == "rate":
            return ()
        return "its conversions are no people, or its base is not told beside them"

    @property
    def settles_after(self) -> timedelta:
        """`window`."""
        return self.window or timedelta(0)

    @property
    def has_each_day(self) -> bool:
        """Its base is counted by any period."""
        return True

    def _longer(self, kpis: Mapping[str, KpiCommon]) -> Longer:
        """A rate is one of any period; people are counted once in each."""
        return "level" if self.calculation == "rate" else "sum" if self.of == "events" else "other"

    @property
    def grows_with_people(self) -> bool:
        """A number of conversions does."""
        return self.calculation == "count"
