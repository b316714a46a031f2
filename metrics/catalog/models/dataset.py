"""datasets/*.yml: rows that KPIs are counted over, with their time, entity and dimensions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator

from metrics.catalog.models.values import Duration

NAME = r"^[a-z][a-z0-9_]*$"
PERSON = "person"  # the column that `identity` brings


class Join(BaseModel):
    """Borrow dimensions of another dataset by its key: many rows here to one row there."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    dataset: str
    by: str = Field(description="Column of this dataset that holds the other's primary key.")
    dimensions: tuple[str, ...] = Field((), description="Default: all of the other's, and what that borrows.")


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
    identity: str = Field(
        "",
        description="Table of whose each `entity` is (columns id, person): who is counted is then the column `person`.",
    )
    dimensions: dict[str, str] = Field(default_factory=dict, description="Name → column or expression.")
    watermark: Literal["sync", "data", "whole_days"] | None = Field(
        None, description="Complete up to the last pull, the latest event, or the end of its day. Default by source."
    )
    lag: Duration = Field(timedelta(0), description="How late rows may arrive after the pull; `watermark: sync` only.")
    stale_after: Duration | None = Field(None, description="Watermark older than this = waiting for data.")
    settled_after: Duration | None = Field(
        None,
        description="Rows so much older than the latest neither come nor change nor go; read where `warehouse` is an "
        "engine, of which a sync then counts the days since.",
    )
    empty: Literal["zero", "unknown"] = Field("zero", description="An observed period without rows.")
    join: tuple[Join, ...] = ()
    classes: dict[str, Literal["personal", "secret"]] = Field(
        default_factory=dict, description="Column → its class: shown and exported only to roles that see the class."
    )
    meta: dict[str, Any] = Field(default_factory=dict)
    _lenders: dict[str, Dataset] = PrivateAttr(default_factory=dict)
    _borrowed: dict[str, tuple[Join, Dataset]] = PrivateAttr(default_factory=dict)
    _unused: frozenset[str] = PrivateAttr(default=frozenset())
    _id: str = PrivateAttr(default="")
    _only: tuple[tuple[str, tuple[str, ...]], ...] = PrivateAttr(default=())
    _closed: str = PrivateAttr(default="")

    @property
    def id(self) -> str:
        """Column of the id that `identity` knows the person of; empty without one."""
        return self._id

    def identified(self) -> Dataset:
        """This dataset with the column `person`, who is its entity. Without `identity` itself."""
        if not self.identity:
            return self
        found = self.model_copy(update={"entity": PERSON})
        found._id = self.entity
        return found

    def joined(self, others: Mapping[str, Dataset], columns: Collection[str] = ()) -> Dataset:
        """This dataset with the dimensions that it borrows of `others`, as columns of their names.

        Others bring what they borrow themselves, too; `columns` are those of its own, which nothing may hide.
        """
        if not self.join:
            return self
        brought = self._brought(others, columns)
        dimensions = {**self.dimensions, **{name: f'"{name}"' for name in brought}}
        found = self.model_copy(update={"dimensions": dimensions})
        found._lenders = {join.dataset: others[join.dataset] for join in self.join if join.dataset in others}
        found._borrowed = brought
        return found

    @property
    def only(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """(dimension, values) of the rows that whoever asks may see; empty = all rows."""
        return self._only

    @property
    def closed(self) -> str:
        """Why whoever asks may see no row; empty = they may."""
        return self._closed

    def seen(
        self,
        only: tuple[tuple[str, tuple[str, ...]], ...],
        closed: str,
        without: Collection[str],
        others: Mapping[str, Dataset],
    ) -> Dataset:
        """What somebody sees of it: rows with these values, no dimension of `without`, of `others` what they see."""
        found = self.model_copy(update={"dimensions": {k: v for k, v in self.dimensions.items() if k not in without}})
        found._only, found._closed = only, closed
        found._lenders = {name: others[name] for name in self._lenders}
        found._borrowed = {k: (by, others[other.name]) for k, (by, other) in self._borrowed.items() if k not in without}
        return found

    def borrowed(self) -> dict[str, tuple[Join, Dataset]]:
        """Borrowed dimension → the join that brings it, and the other dataset."""
        return {name: brought for name, brought in self._borrowed.items() if name not in self._unused}

    def lenders(self) -> dict[str, Dataset]:
        """Name → dataset that it joins, and those that they join."""
        return {
            **{name: far for near in self._lenders.values() for name, far in near.lenders().items()},
            **self._lenders,
        }

    def reading(self, needed: Callable[[str], bool]) -> Dataset:
        """The same rows without what is borrowed and not needed; who sees some of them needs what chooses those."""
        if self._only:
            return self
        unused = frozenset(name for name in self._borrowed if not needed(name))
        if unused == self._unused:
            return self
        found = self.model_copy()
        found._unused = unused
        return found

    def _brought(self, others: Mapping[str, Dataset], columns: Collection[str]) -> dict[str, tuple[Join, Dataset]]:
        """What joins list, or all that the other has of its own; then what it borrows, if one join alone brings it."""
        known = [(join, others[join.dataset]) for join in self.join if join.dataset in others]
        near = {name: (join, other) for join, other in known for name in join.dimensions or other.own_dimensions}
        far = [
            (name, (join, other))
            for join, other in known
            if not join.dimensions
            for name in other._borrowed
            if name not in {*self.dimensions, *columns, *near}
        ]
        ways = Counter(name for name, _ in far)
        return {**near, **{name: brought for name, brought in far if ways[name] == 1}}

    @property
    def own_dimensions(self) -> tuple[str, ...]:
        """Dimensions that it does not borrow."""
        return tuple(name for name in self.dimensions if name not in self._borrowed)

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
