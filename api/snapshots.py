"""/snapshots and /snapshots/{week}: the weeks that were frozen, and one of them whole."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.asking import Answer, Asked, Parameters
from api.paging import Paged, Part, part
from api.resource import Resource
from jobs.project.log import masked
from jobs.snapshots.archived import document_of, list_rows


class OfWeek(Parameters):
    """Which of a week's documents."""

    snapshot: str = Field("", description="Which definition; empty = the first.")
    revision: int = Field(0, ge=0, le=1_000_000, description="0 = the latest.")


class Frozen(BaseModel):
    """The JSON of `kpi snapshot show --json` (docs/cli.md)."""

    model_config = ConfigDict(extra="allow")
    snapshot: str
    week: str
    revision: int
    generation: str
    headline: str
    sections: list[dict[str, Any]]


def listed(asked: Asked) -> Answer:
    """The rows of `kpi snapshot list --json`."""
    return part(asked, masked(list_rows(asked.project)))


def one(asked: Asked) -> Answer:
    """What was frozen."""
    document = document_of(asked.project, asked.of.snapshot, asked.where["week"], asked.of.revision)
    return Answer(document.as_dict())


RESOURCES = (
    Resource("/snapshots", "Every week and revision that was taken, the latest first.", "read", Paged, Part, listed),
    Resource("/snapshots/{week}", "What was frozen of a week, such as 2026-W46.", "read", OfWeek, Frozen, one),
)
