"""read launches: verdicts whose day has come → kept for ever; guardrails → breaches; the owner is told of both.

Part of every sync. A verdict is made once, from the generation that is live then; who looks later reads that one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from connectors.clock import utc_now
from connectors.settings import ContactPoint
from connectors.state import alerts as outbox
from connectors.state import launches as store
from connectors.state.launches import Breach, ReadingRow
from connectors.webhooks import Webhook
from jobs.access.audience import may_be_told
from jobs.launches.scorecards import published_row
from jobs.outbox.deliver import DeliveryCounts, Renderer, deliver
from jobs.outbox.webhooks import Event, put
from jobs.project.project import Project
from metrics.catalog.models.launch import READINGS, Launch
from metrics.engine.data_context import DataContext
from metrics.launches.guardrail import Guard, guard
from metrics.launches.inputs import LaunchInputs
from metrics.launches.message import breach_lines, launch_message, reading_lines
from metrics.launches.observe import observe
from metrics.launches.reading import Reading, due, read
from metrics.launches.scorecard import PublishedReading

WATCHED = timedelta(days=2 * READINGS[-1])  # since launch, that guardrails are watched for breaches
NEWS = timedelta(days=14)  # a verdict that became due longer ago is kept, but nobody is told of it


@dataclass(frozen=True)
class VerdictRun:
    """What one call did. readings: (launch, kpi, days, verdict); breaches: (launch, kpi, opened or closed)."""

    readings: tuple[tuple[str, str, int, str], ...] = ()
    breaches: tuple[tuple[str, str, str], ...] = ()
    sent: DeliveryCounts = field(default_factory=DeliveryCounts)
    untold: tuple[str, ...] = ()


def publish_verdicts(project: Project, *, now: datetime, render: Renderer) -> VerdictRun:
    """Read every launch on the live data. Safe beside another; a second call changes nothing.

    render: of the messages that are due. Raises NoData, StateError.
    """
    context = project.context(now)
    today = context.catalogue.today(now)
    begun = [x for x in context.catalogue.launches if x.kind == "launch" and x.starts_on <= today]
    if not begun:
        return VerdictRun()
    known: set[tuple[str, str, int]] = set()
    if project.state.exists():
        with project.state.reading() as connection:
            known = {(row.launch, row.kpi, row.days) for row in store.readings(connection)}
    fresh = {launch.name: _due(context, launch, known) for launch in begun}
    guards = {launch.name: _guards(context, launch) for launch in begun}
    if not any(fresh.values()) and not any(guards.values()):
        return VerdictRun()
    with project.state.writing() as connection:
        ledger = _Ledger(project, context, connection, now)
        for launch in begun:
            ledger.record(launch, fresh[launch.name], guards[launch.name])
    return VerdictRun(
        tuple(ledger.readings), tuple(ledger.breaches), deliver(project, render), tuple(sorted(ledger.untold))
    )


def told(done: VerdictRun) -> list[str]:
    """What an operator should know, in sentences."""
    lines = [f"{done.sent.failed} attempts to send failed; tried again later"] if done.sent.failed else []
    return lines + [f"no one is notified for {name}: it has no contact point in settings.yml" for name in done.untold]


def _due(context: DataContext, launch: Launch, known: set[tuple[str, str, int]]) -> list[Reading]:
    """Verdicts whose day has come and that were not made yet. KPIs that are completed cost nothing."""
    found = []
    today = context.catalogue.today(context.now)
    for name in dict.fromkeys([*(s.kpi for s in launch.success), *(g.kpi for g in launch.guardrails)]):
        left = [days for days in READINGS if (launch.name, name, days) not in known]
        if not left or name not in context.catalogue.kpis or today < launch.reading_on(left[0]):
            continue
        kpi = context.catalogue.kpi(name)
        observed = observe(launch, kpi, LaunchInputs(context))
        found += [read(launch, kpi, observed, days).reading for days in due(launch, observed) if days in left]
    return found


def _guards(context: DataContext, launch: Launch) -> list[Guard]:
    if context.catalogue.today(context.now) - launch.starts_on > WATCHED:
        return []
    rails = [item for item in launch.guardrails if item.kpi in context.catalogue.kpis]
    return [guard(item, LaunchInputs(context), launch.starts_on) for item in rails]


@dataclass
class _Ledger:
    """One call's writes, inside one transaction."""

    project: Project
    context: DataContext
    connection: Connection
    now: datetime
    readings: list[tuple[str, str, int, str]] = field(default_factory=list)
    breaches: list[tuple[str, str, str]] = field(default_factory=list)
    untold: set[str] = field(default_factory=set)

    def record(self, launch: Launch, fresh: list[Reading], guards: list[Guard]) -> None:
        """Keep what is new of one launch, and write one message about it."""
        lines = [*self._readings(launch, fresh), *self._breaches(launch, guards)]
        if lines:
            self._tell(launch, lines)

    def _readings(self, launch: Launch, fresh: list[Reading]) -> list[str]:
        # Looked up once more, under the lock: another evaluator may have been here.
        known = {(row.kpi, row.days) for row in store.readings(self.connection, launch.name)}
        news = []
        for reading in fresh:
            if (reading.kpi, reading.days) in known:
                continue
            store.add_reading(
                self.connection,
                ReadingRow(
                    launch.name,
                    reading.kpi,
                    reading.days,
                    self.context.reader.generation.id,
                    self.now,
                    launch.model_dump_json(),
                    json.dumps(reading.as_dict(), sort_keys=True),
                ),
            )
            self._tell_webhooks(launch, PublishedReading(reading, self.context.reader.generation.id, self.now, launch))
            self.readings.append((launch.name, reading.kpi, reading.days, reading.verdict))
            if self.context.catalogue.today(self.now) - launch.reading_on(reading.days) <= NEWS:
                news.append(reading)
        return reading_lines(news, self.context.catalogue)

    def _breaches(self, launch: Launch, guards: list[Guard]) -> list[str]:
        opened = {b.kpi: b for b in store.breaches(self.connection, launch.name) if b.closed_at is None}
        news = []
        for item in guards:
            if item.holds is False and item.kpi not in opened and item.since is not None:
                breach = Breach(launch.name, item.kpi, item.since.to_pydatetime(), self.now)
                store.open_breach(self.connection, breach)
                self.breaches.append((launch.name, item.kpi, "opened"))
                news.append(item)
            elif item.holds and item.kpi in opened:
                store.close_breach(self.connection, opened[item.kpi].id, self.now)
                self.breaches.append((launch.name, item.kpi, "closed"))
                news.append(item)
        return breach_lines(news, self.context.catalogue)

    def _tell_webhooks(self, launch: Launch, made: PublishedReading) -> None:
        """Put a verdict into the outbox for programs, whenever its day was."""

        def told(hook: Webhook) -> dict[str, Any] | None:
            if not self._sees(hook, launch):
                return None
            page = self.project.links.to("launch", {"launch": launch.name})
            about = {"launch": launch.name, "label": launch.title, "owner": launch.owner or None}
            return {**about, **published_row(made), "url": page or None}

        about = f"launch:{launch.name}:{made.reading.kpi}:{made.reading.days}"
        put(self.project, self.connection, Event("verdict.published", about, self.now), told)

    def _sees(self, reader: ContactPoint | Webhook, launch: Launch) -> bool:
        """Whether those who read there may see all that a launch is judged by."""
        return all(may_be_told(self.project, reader, name, {}) for name in launch.measured)

    def _tell(self, launch: Launch, lines: list[str]) -> None:
        name = launch.owner or "default"
        point = self.project.settings.contact(name)
        if point is None:
            if self.project.settings.contact_points:
                self.untold.add(name)
            return
        if not self._sees(point, launch):
            self.untold.add(f"{name} (its role does not see all of launch {launch.name})")
            return
        title, body = launch_message(launch, lines, self.project.name, self.project.links)
        outbox.add_delivery(self.connection, point.name, title, body, utc_now(), {})
