"""datasets/*.yml: rows that KPIs are counted over, with their time, entity and dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator

from metrics.catalog.models.values import Duration

NAME = r"^[a-z][a-z0-9_]*$"


class Join(BaseModel):
    """Borrow dimensions of another dataset by its key: many rows here to one row there."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    dataset: str
    by: str = Field(description="Column of this dataset that holds the other's primary key.")
    dimensions: tuple[str, ...] = Field((), description="Default: all of the other's.")


class Dataset(BaseModel):
    """One dataset. Column names and expressions are DuckDB SQL."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=NAME, description="The file's stem.")
    label: str = ""
    description: str = ""
    owner: str = ""
    source: str = Field("", description="A table of the warehouse, or a SELECT over tables.")
    sql: str = Field("", description="A SELECT over tables, in place of `source`.")
    primary_key: tuple[str, ...] = ()
    time_dimension: str = Field(description="Column that says when a row happened.")
    timezone: str = Field("UTC", description="Zone of naive timestamps.")
    entity: str = Field("", description="Column of who is counted.")
    dimensions: dict[str, str] = Field(default_factory=dict, description="Name → column or expression.")
    watermark: Literal["sync", "data", "whole_days"] | None = Field(
        None, description="Complete up to the last pull, the latest event, or the end of its day. Default by source."
    )
    lag: Duration = Field(timedelta(0), description="How late rows may arrive after the pull; `watermark: sync` only.")
    stale_after: Duration | None = Field(None, description="Watermark older than this = waiting for data.")
    empty: Literal["zero", "unknown"] = Field("zero", description="An observed period without rows.")
    join: tuple[Join, ...] = ()
    meta: dict[str, Any] = Field(default_factory=dict)
    _others: dict[str, Dataset] = PrivateAttr(default_factory=dict)

    def joined(self, others: Mapping[str, Dataset]) -> Dataset:
        """This dataset with the dimensions that it borrows of `others`, as columns of their names."""
        if not self.join:
            return self
        found = self.model_copy(
            update={"dimensions": {**self.dimensions, **{d: f'"{d}"' for d in self.borrowed(others)}}}
        )
        found._others = {join.dataset: others[join.dataset] for join in self.join}
        return found

    def borrowed(self, others: Mapping[str, Dataset] | None = None) -> dict[str, tuple[Join, Dataset]]:
        """Borrowed dimension → the join that brings it, and the other dataset."""
        known = self._others if others is None else others
        return {
            name: (join, known[join.dataset])
            for join in self.join
            if join.dataset in known
            for name in join.dimensions or known[join.dataset].dimensions
        }

    @field_validator("dimensions", mode="before")
    @classmethod
    def _list_too(cls, value: Any) -> Any:
        """A list of columns is short for column: column."""
        return {name: name for name in value} if isinstance(value, list) else value

    @field_validator("primary_key", mode="before")
    @classmethod
    def _one_key(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("timezone")
    @classmethod
    def _zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"unknown time zone '{zone}'\nWrite one such as Europe/Berlin.") from None
        return zone

    @property
    def select(self) -> str:
        """The SELECT over tables, or empty where `source` names a table."""
        if self.sql:
            return self.sql
        return self.source if self.source.lstrip("( \n").lower().startswith(("select", "with")) else ""
