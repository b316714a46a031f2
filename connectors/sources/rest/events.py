"""What sources of product events share: from when on, how far to look back, properties that become columns."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from connectors.settings import Span
from connectors.sources.contract import RecordField, SourceOptions


def _chosen(value: Any) -> Any:
    """[plan, …], or column → name of a property, or column → {path: keys that lead to it, type: DOUBLE}."""
    if isinstance(value, list):
        value = {str(name): str(name) for name in value}
    if not isinstance(value, Mapping):
        return value
    return {column: _property(stated) for column, stated in value.items()}


def _property(stated: Any) -> RecordField:
    if isinstance(stated, str):
        return RecordField((stated,))
    if isinstance(stated, Mapping) and "path" in stated and set(stated) <= {"path", "type"}:
        path = stated["path"]
        keys = tuple(map(str, path)) if isinstance(path, list | tuple) else (str(path),)
        return RecordField(keys, str(stated.get("type", "VARCHAR")))
    raise ValueError("a property is its name, such as plan, or {path: price, type: DOUBLE}")


Properties = Annotated[dict[str, RecordField], BeforeValidator(_chosen)]
SAID = "Properties that become columns: [plan, country], or column → name, or column → {path: price, type: DOUBLE}."


class EventOptions(SourceOptions):
    """Options of a table of events. Rows come again with each look-back, so they are merged by their key."""

    start: date = Field(description="First day to pull, such as 2026-01-01.")
    lookback: Span = Field(timedelta(0), description="How far before the last pull to ask again, for what came late.")
    properties: Properties = Field(default_factory=dict, description=SAID)

    @model_validator(mode="after")
    def _merged(self) -> Self:
        if self.load_mode != "merge":
            raise ValueError(
                "events come again with each look-back, so they are merged by `primary_key`\nLeave `load` out."
            )
        return self


def with_properties(
    own: Mapping[str, RecordField], inside: tuple[str, ...], chosen: Mapping[str, RecordField]
) -> dict[str, RecordField]:
    """Columns of a table with those chosen from the properties, which are `inside` of a record. Raises ValueError."""
    if twice := sorted(set(own) & set(chosen)):
        raise ValueError(
            f"'{twice[0]}' is a column already\nGive the property another name: {{{twice[0]}_property: {twice[0]}}}."
        )
    return {**own, **{column: RecordField((*inside, *one.path), one.type) for column, one in chosen.items()}}
