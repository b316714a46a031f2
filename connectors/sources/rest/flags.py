"""What sources of feature flags share: one table of changes, whoever the vendor is, and the options of it.

A row says what a flag does in an environment from a moment on. Launches are drafted from it (`launches:`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Self

from pydantic import Field, model_validator

from connectors.sources.contract import RecordField, SourceOptions

EVERYWHERE = "*"  # as environment: all of them
CHANGES: Mapping[str, RecordField] = {
    "id": RecordField(("id",)),
    "project": RecordField(("project",)),
    "flag": RecordField(("flag",)),
    "name": RecordField(("name",)),
    "environment": RecordField(("environment",)),
    "changed_at": RecordField(("changed_at",), "utc"),
    "action": RecordField(("action",)),
    "is_on": RecordField(("is_on",), "BOOLEAN"),  # from then on; none = the change does not say
    "share": RecordField(("share",), "DOUBLE"),  # percent who get it while it is on; none = the change does not say
    "strategy": RecordField(("strategy",)),  # of several, by which one
    "constrained": RecordField(("constrained",), "BOOLEAN"),  # the share is of a part of the users only
    "author": RecordField(("author",)),
    "comment": RecordField(("comment",)),
    "url": RecordField(("url",)),
}


class FlagOptions(SourceOptions):
    """Options of a table of changes. What is looked back on comes again, so rows are merged by their key."""

    primary_key: tuple[str, ...] = Field(("id", "environment"), description="Columns that name a row.")
    token: str = Field(description="The key, as ${NAME}.")
    environment: str = Field("production", description="Whose changes are pulled; `*` = of all environments.")
    start: date = Field(description="First day to pull, such as 2026-01-01 (UTC).")

    @model_validator(mode="after")
    def _merged(self) -> Self:
        if self.load_mode != "merge":
            raise ValueError(
                f"`load: {self.load_mode}` would keep rows twice\nLeave it out: rows are merged by `primary_key`."
            )
        return self

    @property
    def begins(self) -> datetime:
        """The first moment to pull."""
        return datetime(self.start.year, self.start.month, self.start.day, tzinfo=UTC)

    def wants(self, environment: str) -> bool:
        """Whether a change in an environment, or in all of them, is pulled."""
        return EVERYWHERE in (self.environment, environment) or environment == self.environment
