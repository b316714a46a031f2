"""/launches and /launches/{name}: launches and other marks, and the scorecard of one."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.asking import Answer, Asked, Parameters
from api.paging import Paged, Part, part
from api.resource import Resource
from jobs.launches.board import list_rows, scorecard_dict
from jobs.project.log import masked


class OfLaunches(Paged):
    """Which marks."""

    kind: str = Field("", description="launch, incident, campaign, holiday or note; empty = all.")


class Scorecard(BaseModel):
    """The JSON of `kpi launch show --json` (docs/cli.md)."""

    model_config = ConfigDict(extra="allow")
    launch: str
    label: str
    kind: str
    start: str
    phase: str
    day: int
    headline: str
    kpis: list[dict[str, Any]]


def listed(asked: Asked) -> Answer:
    """The rows of `kpi launch list --json`."""
    return part(asked, masked(list_rows(asked.project, now=asked.now, kind=asked.of.kind)))


def one(asked: Asked) -> Answer:
    """The scorecard of one."""
    return Answer(scorecard_dict(asked.project, asked.where["name"], now=asked.now))


RESOURCES = (
    Resource("/launches", "Launches and other marks, the latest first.", "read", OfLaunches, Part, listed),
    Resource("/launches/{name}", "The scorecard of a launch.", "read", Parameters, Scorecard, one),
)
