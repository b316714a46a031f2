"""retention: who of a cohort comes back, period by period: the whole curve, and its entry `at`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from metrics.catalog.cohort import Cohort, Rows
from metrics.catalog.models.kpi import Condition, KpiCommon, Longer, Place, with_format

CURVE = {"day": 30, "week": 12, "month": 12}  # how far a retention curve reaches, in units, where nobody says


class Retention(Cohort):
    """Share of a cohort that comes back at a later period."""

    type: Literal["retention"]
    start: Rows = Field(Condition(), description="What makes an entity join a cohort; default every row.")
    return_: Rows = Field(Condition(), alias="return", description="What counts as coming back; default every row.")
    unit: Literal["day", "week", "month"] = "week"
    at: int = Field(ge=1, description="The headline's entry of the curve, in units after the start.")
    cohort: Literal["first", "recurring"] = "first"
    mode: Literal["bounded", "rolling"] = "bounded"
    count_from: Literal["calendar", "start"] = Field(
        "calendar", description="Whole calendar units after the start's, or units counted from each start's own day."
    )
    curve: int | None = Field(None, ge=1, le=400, description="Units that the curve reaches; default 30 days, else 12.")

    @model_validator(mode="before")
    @classmethod
    def _percent(cls, data: Any) -> Any:
        """Cohorts are those of the curve's unit, where nobody says otherwise."""
        found = with_format(data, "percent")
        unit = found.get("unit", "week") if isinstance(found, dict) else None
        return {"grain": unit, **found} if isinstance(unit, str) and unit in CURVE else found

    @model_validator(mode="after")
    def _units(self) -> Retention:
        if self.count_from == "start" and self.unit == "month":
            raise ValueError("months from a start have no fixed length\nWrite `unit: week`, or `count_from: calendar`.")
        return self

    @property
    def length(self) -> int:
        """Units that the curve reaches."""
        return max(self.at, self.curve or CURVE[self.unit])

    @property
    def conditions(self) -> dict[Place, Condition]:
        """start, return."""
        return {("start",): self._rows(self.start), ("return",): self._rows(self.return_)}

    def _longer(self, kpis: Mapping[str, KpiCommon]) -> Longer:
        """A share of a cohort, whatever days it is of."""
        return "level"

    @property
    def part_names(self) -> tuple[str, ...]:
        """The units of its curve."""
        return tuple(f"{self.unit} {k}" for k in range(self.length + 1))

    @property
    def parts_form(self) -> str:
        """Size, then who is there after each unit."""
        return "curve"
