"""kpis/*.yml: types that follow entities: conversion, funnel, retention, lifecycle, stickiness."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from metrics.catalog.models.common import Condition, KpiCommon, Strict, given, with_format
from metrics.catalog.models.values import Duration, Grain


def _as_condition(given: Any) -> Any:
    """A filter on the KPI's own dataset is short for {filter: …}."""
    return {"filter": given} if isinstance(given, str) else given


_PROPERTIES = {name: {"type": "string"} for name in ("dataset", "filter")}
Rows = Annotated[
    Condition,
    BeforeValidator(_as_condition),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "description": "A filter on the KPI's own dataset."},
                {"type": "object", "properties": _PROPERTIES, "additionalProperties": False},
            ]
        }
    ),
]


class Cohort(KpiCommon):
    """A type that follows entities from the rows of one condition to those of others, maybe of other datasets."""

    dataset: str

    def _rows(self, given: Condition) -> Condition:
        return given if given.dataset else Condition(dataset=self.dataset, filter=given.filter)


class Conversion(Cohort):
    """Share of the period's base that converts within the window."""

    type: Literal["conversion"]
    base: Rows = Field(Condition(), description="Who may convert; default every row of the dataset.")
    conversion: Rows
    window: Duration | None = Field(None, description="At once, or later by less than this; default: ever.")
    calculation: Literal["rate", "count"] = "rate"
    of: Literal["entities", "events"] = "entities"

    @model_validator(mode="before")
    @classmethod
    def _percent(cls, data: Any) -> Any:
        return with_format(data, "number" if given(data, "calculation") == "count" else "percent")

    @property
    def conditions(self) -> dict[tuple[str | int, ...], Condition]:
        """base, conversion."""
        return {("base",): self._rows(self.base), ("conversion",): self._rows(self.conversion)}


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

    @model_validator(mode="before")
    @classmethod
    def _percent(cls, data: Any) -> Any:
        return with_format(data, "percent")

    @model_validator(mode="after")
    def _one_dataset(self) -> Funnel:
        if self.order == "strict" and len({c.dataset for c in self.conditions.values()}) > 1:
            raise ValueError("`order: strict` needs all steps in one dataset\nWrite `order: sequential`.")
        names = [step.name for step in self.steps]
        if len(set(names)) < len(names):
            raise ValueError("two steps have the same name")
        return self

    @property
    def conditions(self) -> dict[tuple[str | int, ...], Condition]:
        """The steps."""
        return {
            ("steps", i): self._rows(Condition(dataset=s.dataset, filter=s.filter)) for i, s in enumerate(self.steps)
        }


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
        return with_format(data, "percent")

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
    def conditions(self) -> dict[tuple[str | int, ...], Condition]:
        """start, return."""
        return {("start",): self._rows(self.start), ("return",): self._rows(self.return_)}


class Lifecycle(Cohort):
    """New, returning, resurrected and dormant entities."""

    type: Literal["lifecycle"]
    activity: str = Field("", description="Filter: rows that make an entity active.")

    @property
    def conditions(self) -> dict[tuple[str | int, ...], Condition]:
        """activity."""
        return {("activity",): self._rows(Condition(filter=self.activity))}


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
    def conditions(self) -> dict[tuple[str | int, ...], Condition]:
        """activity."""
        return {("activity",): self._rows(Condition(filter=self.activity))}


FITTING = {("day", long) for long in ("week", "month", "quarter", "year")}
FITTING |= {("month", "quarter"), ("month", "year"), ("quarter", "year")}
