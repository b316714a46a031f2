"""What webhooks are told of incidents: opened, escalated, acknowledged, silenced, resolved, changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import Connection

from connectors.state import alerts as store
from connectors.state.alerts import Incident, Silence, StandingRow
from connectors.webhooks import Webhook
from jobs.access.audience import part_of
from jobs.alerts.rows import data_row, incident_row, shown_to, standing_row
from jobs.outbox.webhooks import Event, listening, put
from jobs.project.project import Project
from jobs.project.undo import Undo

Shown = Callable[[StandingRow | Incident], bool]


class IncidentEvents:
    """Puts events into the outbox, in the writing transaction of what caused them and after its other writes."""

    def __init__(self, project: Project, connection: Connection, now: datetime) -> None:
        self._project, self._connection, self._now = project, connection, now
        self._listening = bool(listening(project, "incident"))
        self._parts: dict[str, tuple[Project, Shown]] = {}

    def put(self, what: str, incident: Incident, *, instead_of: Incident | None = None) -> None:
        """Tell what happened to an incident, as it is now. instead_of: only those whose role does not see that one."""
        if not self._listening:
            return

        def told(hook: Webhook) -> dict[str, Any] | None:
            told_already = instead_of is not None and self._part(hook)[1](instead_of)
            return None if told_already else self._told(hook, incident)

        event = Event(f"incident.{what}", f"incident:{incident.id}", self._now)
        put(self._project, self._connection, event, told)

    def put_silenced(self, made: Silence) -> None:
        """Tell of each open incident that a silence is of."""
        for item in self._covered(made.rule_key, made.segment):
            self.put("silenced", item)

    def put_undone(self, undo: Undo) -> None:
        """Tell how incidents are after an act upon them was taken back."""
        found: dict[int, Incident] = {}
        for scope in undo.scopes:
            where = dict(scope.where)
            if scope.table == "alert_incidents" and (item := store.incident(self._connection, where["id"])):
                found[item.id] = item
            elif scope.table == "alert_silences":
                found |= {item.id: item for item in self._covered(where["rule_key"], where["segment"])}
        for item in found.values():
            self.put("changed", item)

    def _covered(self, rule_key: str, segment: str | None) -> list[Incident]:
        if not self._listening:
            return []
        found = store.open_incidents(self._connection).values()
        return [item for item in found if item.rule_key == rule_key and segment in (None, item.segment)]

    @cached_property
    def _silences(self) -> list[Silence]:
        return store.silences(self._connection, self._now)

    @cached_property
    def _standings(self) -> Mapping[tuple[str, str], StandingRow]:
        return store.standings(self._connection)

    def _part(self, hook: Webhook) -> tuple[Project, Shown]:
        """What a webhook's role sees, and whether that is so of an incident."""
        if hook.role not in self._parts:
            part = part_of(self._project, hook.role)
            self._parts[hook.role] = part, shown_to(part)
        return self._parts[hook.role]

    def _told(self, hook: Webhook, incident: Incident) -> dict[str, Any] | None:
        """The incident as `kpi alerts history` and `status` have it, and where it sits; None = not for its role."""
        part, shown = self._part(hook)
        if not shown(incident):
            return None
        if part.hides_dimensions(incident.kpi):
            incident = replace(incident, place="")
        row = self._standings.get((incident.rule_key, incident.segment))
        stands = data_row(incident, self._silences)
        if row is not None:
            stands |= standing_row(row, self._silences)
        elif incident.kpi:  # its rule is gone
            stands |= {"kpi": incident.kpi, "state": None, "since": None}
        links = self._project.links
        page = links.to("kpi", {"kpi": incident.kpi}) if incident.kpi else links.to("data")
        return {
            **stands,
            **incident_row(incident),
            "severity": incident.severity,
            "place": incident.place or None,
            "closed_why": incident.closed_why,
            "url": page or None,
        }


def tell_undone(project: Project, now: datetime, connection: Connection, undo: Undo) -> None:
    """Tell of incidents whose acknowledgement, silence, mark or end was taken back, in the transaction that does it."""
    IncidentEvents(project, connection, now).put_undone(undo)
