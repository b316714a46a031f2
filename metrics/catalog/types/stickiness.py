"""stickiness: mean actives of the short periods, as a share of the long period's actives."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from metrics.catalog.cohort import Cohort
from metrics.catalog.models.kpi import Condition, Place, with_format
from metrics.catalog.models.values import Grain

FITTING = {("day", long) for long in ("week", "month", "quarter", "year")}
FITTING |= {("month", "quarter"), ("month", "year"), ("quarter", "year")}


class Stickiness(Cohort):
    """Mean short-period actives / long-period actives."""

    type: Literal["stickiness"]
    activity: str = Field("", description="Filter: rows that make an entity active.")
    short: Grain = "day"
    long: Grain = "month"

    @model_validator(mode="before")
    @classmethod
    def _home(cls, data: Any) -> Any:
        found = with_format(data, "percent")
        if isinstance(found, dict) and "grain" not in found:
            found = {**found, "grain": found.get("long", "month")}
        return found

    @model_validator(mode="after")
    def _periods(self) -> Stickiness:
        if (self.short, self.long) not in FITTING:
            raise ValueError(
                f"{self.long}s do not hold whole {self.short}s\nWrite such as `short: day` and `long: month`."
            )
        if self.grain != self.long:
            raise ValueError(f"its home grain is its long period\nWrite `grain: {self.long}`, or leave it out.")
        return self

    @property
    def conditions(self) -> dict[Place, Condition]:
        """activity."""
        return {("activity",): self._rows(Condition(filter=self.activity))}

    @property
    def home_grain_only(self) -> bool:
        """Unless `period_agg` says how longer periods are made."""
        return self.period_agg is None
