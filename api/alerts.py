"""/alerts: where every rule stands."""

from __future__ import annotations

from pydantic import Field

from api.asking import Answer, Asked
from api.paging import Paged, Part, part
from api.resource import Resource
from jobs.alerts.incidents import status_rows
from jobs.project.log import masked


class OfAlerts(Paged):
    """Which rules."""

    kpi: str = Field("", description="Only rules of this KPI.")
    state: str = Field("", description="ok, pending, firing, recovering, no_data, stale or error; empty = all.")


def listed(asked: Asked) -> Answer:
    """The rows of `kpi alerts status --json`."""
    kpi, state = asked.of.kpi, asked.of.state
    found = status_rows(asked.project, now=asked.now)
    rows = [row for row in found if (not kpi or row["kpi"] == kpi) and (not state or row["state"] == state)]
    return part(asked, masked(rows))


RESOURCES = (Resource("/alerts", "Where every alert rule stands, firing first.", "read", OfAlerts, Part, listed),)
