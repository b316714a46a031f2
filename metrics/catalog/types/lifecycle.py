"""lifecycle: who is new, returning, resurrected or dormant in each period; the quick ratio of gained to lost."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from metrics.catalog.cohort import Cohort
from metrics.catalog.models.kpi import Condition, Place

PARTS = ("new", "returning", "resurrected", "dormant")


class Lifecycle(Cohort):
    """New, returning, resurrected and dormant entities."""

    type: Literal["lifecycle"]
    activity: str = Field("", description="Filter: rows that make an entity active.")

    @property
    def conditions(self) -> dict[Place, Condition]:
        """activity."""
        return {("activity",): self._rows(Condition(filter=self.activity))}

    @property
    def part_names(self) -> tuple[str, ...]:
        """The four counts."""
        return PARTS
