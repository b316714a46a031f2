"""funnel: who passes each step in order, within the window from the first; the count of every step."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal

from pydantic import Field, model_validator

from connectors.errors import Problem
from metrics.catalog.checks.fields import Known
from metrics.catalog.cohort import TIES, Cohort, Ties
from metrics.catalog.document import Document
from metrics.catalog.models.kpi import Condition, KpiCommon, Longer, Place, Strict, with_format
from metrics.catalog.models.values import Duration


class Step(Strict):
    """One funnel step."""

    name: str
    filter: str = ""
    dataset: str = ""


class Funnel(Cohort):
    """Entities that pass each step in order."""

    type: Literal["funnel"]
    steps: tuple[Step, ...] = Field(min_length=2)
    window: Duration | None = Field(None, description="From the first step to the last; default: ever.")
    order: Literal["sequential", "strict"] = "sequential"
    per: Literal["entity", "attempt"] = Field(
        "entity", description="attempt: an entity counts once for each day on which it starts."
    )

    ties: Ties | None = Field(None, description=TIES)

    @model_validator(mode="before")
    @classmethod
    def _percent(cls, data: Any) -> Any:
        return with_format(data, "percent")

    @model_validator(mode="after")
    def _one_dataset(self) -> Funnel:
        if self.order == "strict" and len({c.dataset for c in self.conditions.values()}) > 1:
            raise ValueError("`order: strict` needs all steps in one dataset\nWrite `order: sequential`.")
        if self.order == "strict" and self.ties is not None:
            raise ValueError(
                "`ties` has no effect with `order: strict`, where rows of one moment stand in the order of the primary "
                "key\nLeave out `ties`, or write `order: sequential`."
            )
        names = [step.name for step in self.steps]
        if len(set(names)) < len(names):
            raise ValueError("two steps have the same name")
        return self

    @property
    def conditions(self) -> dict[Place, Condition]:
        """The steps."""
        return {
            ("steps", i): self._rows(Condition(dataset=s.dataset, filter=s.filter)) for i, s in enumerate(self.steps)
        }

    @property
    def condition_names(self) -> tuple[str, ...]:
        """Names of its steps."""
        return tuple(step.name for step in self.steps)

    def _longer(self, kpis: Mapping[str, KpiCommon]) -> Longer:
        """A share of those who began, whatever days it is of."""
        return "level"

    @property
    def part_names(self) -> tuple[str, ...]:
        """Names of its steps."""
        return self.condition_names

    @property
    def parts_form(self) -> str:
        """One step after another."""
        return "steps"

    @property
    def settles_after(self) -> timedelta:
        """`window`."""
        return self.window or timedelta(0)

    @property
    def has_each_day(self) -> bool:
        """Its first step is counted by any period."""
        return True

    def problems(self, document: Document, known: Known) -> list[Problem]:
        """As whoever is followed; and which of two rows of one moment comes first."""
        found = super().problems(document, known)
        if self.order != "strict" or found:
            return found
        data = known.datasets[next(iter(self.conditions.values())).dataset]
        if data.primary_key:
            return []
        text = "which of two rows of the same moment is first is not known; that of the earlier step is taken"
        hint = f"Write `primary_key:` in datasets/{data.name}.yml; then its columns decide."
        return [document.problem(("order",), "no_order", text, hint, "warning")]
