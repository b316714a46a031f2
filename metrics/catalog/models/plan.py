"""plans/*.yml: the tracking plan, which events and properties the product is to send, and whose they are."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from metrics.catalog.models.dataset import NAME
from metrics.catalog.models.kpi import Strict

PropertyType = Literal["string", "number", "integer", "boolean", "datetime", "object", "array", "any"]


class PlannedProperty(Strict):
    """A property of an event."""

    type: PropertyType = Field("any", description="What its values are.")
    required: bool = Field(False, description="Whether every event has it.")
    values: tuple[str, ...] = Field((), description="The only values that it may have.")
    description: str = ""
    owner: str = ""

    @field_validator("values", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        return [_text(item) for item in value] if isinstance(value, list) else value


class PlannedEvent(Strict):
    """An event that the product is to send."""

    description: str = ""
    owner: str = ""
    properties: dict[str, PlannedProperty] = Field(
        default_factory=dict, description="Name → its type, or {type: string, required: true, values: [free, pro]}."
    )

    @field_validator("properties", mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {str(name): {"type": item} if isinstance(item, str) else item for name, item in value.items()}


class Plan(Strict):
    """One tracking plan: the events of one dataset."""

    name: str = Field(pattern=NAME, description="The file's stem.")
    dataset: str = Field(description="Dataset whose rows are the events.")
    event: str = Field("event", description="Column that holds an event's name.")
    properties: str = Field("", description="Column with the properties as JSON; default: a column for each.")
    owner: str = Field("", description="Who is asked, where an event names nobody.")
    description: str = ""
    events: dict[str, PlannedEvent] = Field(description="Name of an event → what is planned of it.")

    @field_validator("events", mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        """A list of names, or an event of which nothing else is said."""
        if isinstance(value, list):
            return {str(name): {} for name in value}
        return {str(k): v if v is not None else {} for k, v in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _something(self) -> Plan:
        if not self.events:
            raise ValueError("a plan names at least one event")
        return self


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
