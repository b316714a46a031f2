"""evaluate alerts: judge every rule → step its state → record → put messages into the outbox → send them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from connectors.clock import utc_now
from connectors.errors import KpiError, counted
from connectors.secrets import mask
from connectors.settings import ContactPoint
from connectors.state import alerts as store
from connectors.state.alerts import Incident, StandingRow
from jobs.access.audience import may_be_told, part_of
from jobs.alerts.data_alerts import DataAlerts, data_alerts, data_notice, planned, told_to
from jobs.alerts.incident_events import IncidentEvents
from jobs.alerts.standings import Found, blank, changed, grouped, moment, opened_of, peaked, row_of, standing_of
from jobs.alerts.telling import event_due, is_silenced
from jobs.alerts.unchanged import Unchanged
from jobs.outbox.deliver import DeliveryCounts, Renderer, deliver
from jobs.project.project import Project
from metrics.alerts.levels import SEVERITIES
from metrics.alerts.machine import Event, Kind, Standing, State, advance
from metrics.alerts.message import Happened, Notice, notice
from metrics.alerts.message import grouped as grouped_notices
from metrics.alerts.rules import Normals, Rule, filters_of, rules_of
from metrics.engine.data_context import DataContext
from metrics.presentation.freshness import late_reasons

if TYPE_CHECKING:  # loaded where something is judged: an evaluation with nothing new waits for no array
    import pandas as pd

    from metrics.alerts.judge import Judgement
    from metrics.alerts.observe import Answers

log = logging.getLogger(__name__)

LOOK_BACK = timedelta(days=366)  # incidents found in the past when a rule is first evaluated
MOST_PLACES = 25  # incidents of one evaluation whose place is looked for


@dataclass(frozen=True)
class RuleJudgement:
    """A rule and what it says now: its segments judged, or why it was not. unchanged: it says what it said."""

    rule: Rule
    unchanged: bool = field(default=False, kw_only=True)
    judged: tuple[Judgement, ...] = ()
    stale: str = ""
    error: str = ""


@dataclass(frozen=True)
class Evaluation:
    """What one evaluation did. events: (incident, rule key, segment, event)."""

    rules: int = 0
    events: tuple[tuple[int, str, str, str], ...] = ()
    sent: DeliveryCounts = field(default_factory=DeliveryCounts)
    untold: tuple[str, ...] = ()  # owners and contacts without a contact point


def evaluate(project: Project, *, now: datetime, render: Renderer) -> Evaluation:
    """Evaluate all rules on the live generation. Safe beside another evaluator; a second call changes nothing.

    render: of the messages that are due. Raises NoData, StateError.
    """
    context = project.context(now)
    alerts = data_alerts(context)
    has_rules = any(rules_of(kpi) for kpi in context.catalogue.kpis.values())
    if not (has_rules or alerts.firing or project.state.exists()):
        return Evaluation()
    normals = normals_of(project)
    unchanged = Unchanged(project, context, normals)
    looked = look(context, normals, unchanged.rules)
    with project.state.writing() as connection:
        ledger = _Ledger(project, context, connection, now)
        live = project.warehouse.live()
        if live is None or live == context.reader.generation.id:  # else a sync has published: its evaluation counts
            for item in looked:
                ledger.record(item)
            ledger.store_incidents()
            ledger.record_data(alerts)
            ledger.close_gone({item.rule.key for item in looked})
            ledger.notify()
            ledger.tell_webhooks()
            unchanged.keep(now)
    judged = sum(not item.unchanged for item in looked)
    counts = (len(looked), judged, len(ledger.events))
    ids = {"generation": context.reader.generation.id, "incidents": sorted({event[0] for event in ledger.events})}
    log.info("alerts: %d rules, %d of them judged, %d events", *counts, extra={"ids": ids})
    return Evaluation(len(looked), tuple(ledger.events), deliver(project, render), tuple(sorted(ledger.untold)))


def told(done: Evaluation) -> list[str]:
    """What an operator should know of an evaluation, in sentences."""
    failed, unknown = done.sent.failed, done.sent.unknown
    lines = [f"{failed} attempts to send failed; tried again later, see the page Alerts"] if failed else []
    lines += [f"{counted(unknown, 'message')} may not have arrived"] if unknown else []
    return lines + [f"no one is notified for {name}: it has no contact point in settings.yml" for name in done.untold]


def normals_of(project: Project) -> dict[str, Normals]:
    """Rule key → segment → periods from which people called a new level normal."""
    found: dict[str, dict[str, list[pd.Timestamp]]] = {}
    if project.state.exists():
        with project.state.reading() as connection:
            for (key, segment), at in store.normals(connection).items():
                found.setdefault(key, {})[segment] = [moment(period) for period in at]
    return dict(found)


def look(context: DataContext, normals: Mapping[str, Normals], unchanged: Collection[str] = ()) -> list[RuleJudgement]:
    """Judge every rule but those unchanged (keys). A KPI whose data is late waits: nothing of it is judged."""
    states = context.reader.dataset_states(context.reader.generation.sequence)
    found: list[RuleJudgement] = []
    for name in sorted(context.catalogue.kpis):
        item = context.catalogue.kpi(name)
        answers: Answers = {}
        rules = rules_of(item)
        if not rules:
            continue
        late = late_reasons(item, context.catalogue, states, context.runs, context.table_sources, context.now)
        for rule in rules:
            if late:
                found.append(RuleJudgement(rule, stale=late[0]))
                continue
            if rule.key in unchanged:
                found.append(RuleJudgement(rule, unchanged=True))
                continue
            from metrics.alerts.observe import observe

            try:
                mine = normals.get(rule.key)
                judged = observe(
                    rule, context.catalogue, context.reader, country=context.country, normals=mine, answers=answers
                )
                found.append(RuleJudgement(rule, tuple(judged)))
            except KpiError as error:
                found.append(RuleJudgement(rule, error=error.message))
            except Exception as error:  # whatever one rule meets, the others are judged
                log.exception("rule %s cannot be judged", rule.key)
                found.append(RuleJudgement(rule, error=mask(f"unexpected {type(error).__name__}: {error}")))
    return found


@dataclass
class _Ledger:
    """One evaluation's reads and writes, inside one transaction."""

    project: Project
    context: DataContext
    connection: Connection
    now: datetime
    events: list[tuple[int, str, str, str]] = field(default_factory=list)
    untold: set[str] = field(default_factory=set)
    _notices: list[tuple[int, str, tuple[str, ...], Notice]] = field(default_factory=list)
    _live: dict[tuple[str, str], tuple[Rule, Judgement]] = field(default_factory=dict)
    _found: list[Found] = field(default_factory=list)
    _joined: list[tuple[Found, Found]] = field(default_factory=list)  # with the one that stands for it
    _data: DataAlerts = field(default_factory=lambda: DataAlerts({}))
    _closed: list[Incident] = field(default_factory=list)
    _risen: set[int] = field(default_factory=set)  # incidents whose severity did
    _placed: int = 0

    def __post_init__(self) -> None:
        self._standings = store.standings(self.connection)
        self._open = store.open_incidents(self.connection)
        self._silences = store.silences(self.connection, self.now)
        self._sequence = self.context.reader.generation.sequence

    def record(self, item: RuleJudgement) -> None:
        """Step every segment of a rule; a rule that could not be judged keeps its state and says why."""
        rule, rows = item.rule, []
        if item.unchanged:  # by now another evaluator may have judged it: then what that one saw stays
            store.see_again(self.connection, rule.key, self._sequence, self.now)
            return
        if item.stale or item.error:
            state, why = (State.STALE, item.stale) if item.stale else (State.ERROR, item.error)
            known = [row for (key, _), row in self._standings.items() if key == rule.key] or [
                blank(rule, self._sequence, self.now)
            ]
            rows = [replace(row, state=state, why=why, evaluated_at=self.now, words=rule.words) for row in known]
        for judged in item.judged:
            old = self._standings.get((rule.key, judged.segment))
            standing, events = advance(standing_of(old), judged)
            self._live[(rule.key, judged.segment)] = (rule, judged)
            self._follow(rule, judged, old, standing, events)
            rows.append(row_of(rule, judged, standing, self._sequence, self.now))
        if item.judged:
            mine = {key for key in self._standings if key[0] == rule.key}
            gone = mine - {(rule.key, judged.segment) for judged in item.judged}
            for key in gone & set(self._open):
                self._end(key, "rule_gone")
            store.drop_standings(self.connection, gone)
        store.put_standings(self.connection, rows)

    def _follow(
        self, rule: Rule, judged: Judgement, old: StandingRow | None, standing: Standing, events: list[Event]
    ) -> None:
        """Bring incidents in line with what happened. On the first look the past is recorded, nobody is told of it."""
        first, fresh = old is None or old.last_period is None, False
        current = self._open.get((rule.key, judged.segment))
        if current is None and old is not None and old.severity:  # another one stands for it
            current = replace(
                _new(rule, judged, old.opened_period, old.severity, self.now), last_period=old.last_period
            )
        for event in events:
            at = self._moment(rule, event.period) if first else self.now
            if event.kind is Kind.OPENED:
                current = _new(rule, judged, event.period.to_pydatetime(), SEVERITIES[event.severity], at)
                fresh = True
            if current is None:
                continue
            current = replace(current, last_period=event.period.to_pydatetime())
            if SEVERITIES.index(current.severity) < event.severity:
                current = replace(current, severity=SEVERITIES[event.severity])
            if event.kind in (Kind.RESOLVED, Kind.DISSOLVED):
                why = str(event.kind)
                if event.kind is Kind.DISSOLVED and changed(current, old, rule, judged):
                    why = "rule_changed"
                current = replace(current, closed_at=at, closed_period=event.period.to_pydatetime(), closed_why=why)
                if not first or self.now - at < LOOK_BACK:
                    self._keep(Found(replace(current, replayed=first), rule, judged, fresh))
                current = None
        if current is not None and standing.severity:
            self._keep(Found(current, rule, judged, fresh))

    def _keep(self, found: Found) -> None:
        """Update what is stored; what is new waits until all rules were looked at."""
        incident = peaked(found.incident, found.judged)
        self._found.append(replace(found, incident=self._store(incident, found.judged) if incident.id else incident))

    def store_incidents(self) -> None:
        """Store what opened, once for a KPI's whole and its segments that fail together."""
        for host, others in grouped(self._found, lambda one: self._silenced(one.rule_key, one.segment)):
            kept = host.incident if host.incident.id else self._add(host)
            worst = max((SEVERITIES.index(one.incident.severity) for one in others if one.is_open), default=0)
            if kept.closed_at is None and SEVERITIES.index(kept.severity) < worst:
                kept = replace(kept, severity=SEVERITIES[worst])
                self._store(kept, host.judged)
            self._joined += [(one, replace(host, incident=kept)) for one in others if not one.incident.id]

    def _add(self, found: Found) -> Incident:
        if found.incident.replayed:
            return replace(found.incident, id=store.add_incident(self.connection, found.incident))
        return self._store(found.incident, found.judged)

    def _store(self, incident: Incident, judged: Judgement) -> Incident:
        """Insert or update one incident, with its peak."""
        incident = peaked(incident, judged)
        if incident.closed_at is None:
            incident = replace(incident, place=self._place(incident))
        if not incident.id:
            incident = replace(incident, id=store.add_incident(self.connection, incident))
            self.events.append((incident.id, incident.rule_key, incident.segment, "opened"))
        else:
            store.change_incident(
                self.connection,
                incident.id,
                severity=incident.severity,
                last_period=incident.last_period,
                place=incident.place,
                peak_period=incident.peak_period,
                peak_value=incident.peak_value,
                closed_at=incident.closed_at,
                closed_period=incident.closed_period,
                closed_why=incident.closed_why,
            )
        key = (incident.rule_key, incident.segment)
        before = self._open.get(key)
        if before is not None and SEVERITIES.index(before.severity) < SEVERITIES.index(incident.severity):
            self._risen.add(incident.id)
        if incident.closed_at is None:
            self._open[key] = incident
        else:
            self._open.pop(key, None)
            self._closed.append(incident)
            self.events.append((incident.id, *key, str(incident.closed_why)))
        return incident

    def record_data(self, alerts: DataAlerts) -> None:
        """One incident per source that is late, however many KPIs wait for it, and per event that is not as planned."""
        self._data = alerts
        for key, alert in alerts.firing.items():
            incident = self._open.get(key)
            if incident is None:
                incident = Incident(*key, "", alert.rule, "warning", self.now, place=alert.reason)
                incident = replace(incident, id=store.add_incident(self.connection, incident))
                self._open[key] = incident
                self.events.append((incident.id, *key, "opened"))
            elif incident.place != alert.reason:
                self._open[key] = replace(incident, place=alert.reason)
                store.change_incident(self.connection, incident.id, place=alert.reason)
        for key, incident in list(self._open.items()):
            if not incident.kpi and key not in alerts.firing and key[0] not in alerts.unknown:
                plan = planned(incident)
                if plan and plan not in {item.name for item in self.context.catalogue.plans}:
                    if not (self.project.folder / "plans" / f"{plan}.yml").exists():  # else it is only wrong now
                        self._end(key, "rule_gone")
                    continue
                self._end(key, "resolved")

    def close_gone(self, rules: set[str]) -> None:
        """Incidents of rules and segments that are no more."""
        for key, incident in list(self._open.items()):
            if incident.kpi and (incident.rule_key not in rules):
                self._end(key, "rule_gone")
        store.drop_standings(self.connection, [key for key in self._standings if key[0] not in rules])

    def _end(self, key: tuple[str, str], why: str) -> None:
        incident = replace(self._open.pop(key), closed_at=self.now, closed_why=why)
        store.change_incident(self.connection, incident.id, closed_at=self.now, closed_why=why)
        self._closed.append(incident)
        self.events.append((incident.id, *key, why))

    def notify(self) -> None:
        """Put one message per contact point into the outbox: who was not told, what got worse, what is over."""
        for key, incident in self._open.items():
            event = self._event(key, incident)
            if event:
                self._tell(incident, event)
        for incident in self._closed:
            told = incident.notified_at is not None and not self._silenced(incident.rule_key, incident.segment)
            if told and incident.closed_why in ("resolved", "dissolved"):
                self._tell(incident, incident.closed_why)
        for one, host in self._joined:
            self._tell_others(one, host)
        by_contact: dict[str, list[tuple[int, str, Notice]]] = {}
        for number, event, contacts, text in self._notices:
            for contact in contacts:
                by_contact.setdefault(contact, []).append((number, event, text))
        for contact, items in by_contact.items():
            title, body = grouped_notices([text for _, _, text in items], self.project.name)
            about = {number: event for number, event, _ in items}
            store.add_delivery(self.connection, contact, title, body, utc_now(), about)

    def tell_webhooks(self) -> None:
        """Put what happened to incidents into the outbox for programs, whether or not somebody is told of it."""
        fresh = {number for number, _, _, event in self.events if event == "opened"}
        out = IncidentEvents(self.project, self.connection, self.now)
        for incident in (*self._open.values(), *self._closed):
            if incident.id in fresh:
                out.put("opened", incident)
            elif incident.id in self._risen:
                out.put("escalated", incident)
            if incident.closed_at is not None:
                out.put("resolved", incident)
        for one, host in self._joined:
            if one.fresh == one.is_open:  # else it began and ended at once, or goes on
                joined = replace(one.incident, id=host.incident.id)
                out.put("opened" if one.is_open else "resolved", joined, instead_of=host.incident)

    def _tell_others(self, one: Found, host: Found) -> None:
        """Tell of what another incident stands for those whom that one does not reach."""
        event = ("opened" if one.fresh else "") if one.is_open else "" if one.fresh else one.incident.closed_why
        if event not in ("opened", "resolved", "dissolved") or self._silenced(one.rule.key, one.incident.segment):
            return
        found = self._notice(one.incident, event)
        reached = self._points(host.rule.contacts, host.incident)
        names = [] if found is None else [n for n in self._points(found[0], one.incident) if n not in reached]
        if found is not None and names:
            self._notices.append((host.incident.id, event, tuple(names), found[1]))

    def _event(self, key: tuple[str, str], incident: Incident) -> str:
        """What is to be told of an open incident now; empty if nothing. Of a rule that is as it was: nothing."""
        rule = self._live[key][0] if key in self._live else None
        after = rule.alert.renotify_after if rule else None
        return event_due(incident, self._silences, self.now, renotify_after=after)

    def _tell(self, incident: Incident, event: str) -> None:
        found = self._notice(incident, event)
        if found is None:
            return
        names, text = found
        contacts = self._points(names, incident)
        if not contacts:
            return
        bare = tuple(name for name in contacts if self._hides_place(name, incident))
        self._notices.append((incident.id, event, tuple(name for name in contacts if name not in bare), text))
        if bare and (found := self._notice(replace(incident, place=""), event)) is not None:
            self._notices.append((incident.id, event, bare, found[1]))
        store.change_incident(self.connection, incident.id, notified_at=self.now, notified_severity=incident.severity)

    def _points(self, names: Sequence[str], incident: Incident) -> list[str]:
        """Contact points of these names that may be told, each once; who has none is kept for the operator."""
        contacts: list[str] = []
        for name in names:
            point = self.project.settings.contact(name)
            if point is None and self.project.settings.contact_points:  # without any the page says so
                self.untold.add(name)
            elif point is not None and point.name not in contacts and self._may_be_told(point, incident):
                contacts.append(point.name)
        return contacts

    def _may_be_told(self, point: ContactPoint, incident: Incident) -> bool:
        """By the role of those who read there; of what is of no KPI, only those who see everything."""
        if not point.role:
            return True
        rule, _ = self._live.get((incident.rule_key, incident.segment), (None, None))
        filters = filters_of(rule, incident.segment) if rule is not None else ()
        return may_be_told(self.project, point, incident.kpi, {f.dimension: f.values[0] for f in filters})

    def _hides_place(self, contact: str, incident: Incident) -> bool:
        """Whether where it sits may be told by a dimension that those who read there do not see."""
        point = self.project.settings.contact(contact)
        return point is not None and part_of(self.project, point.role).hides_dimensions(incident.kpi)

    def _notice(self, incident: Incident, event: str) -> tuple[tuple[str, ...], Notice] | None:
        links = self.project.links
        if not incident.kpi:
            alert = self._data.firing.get((incident.rule_key, incident.segment))
            names = told_to(incident, self.context.catalogue, self.project.settings.operators)
            return names, data_notice(event, incident, alert, links)
        rule, judged = self._live.get((incident.rule_key, incident.segment), (None, None))
        if rule is None or judged is None or not len(judged.periods):
            return None  # its data is late or gone: it waits
        at = incident.closed_period if event in ("resolved", "dissolved") else incident.last_period
        period = moment(at or incident.opened_period)
        happened = Happened(event, incident.severity, period, incident.place)
        year = self.now.year
        return rule.contacts, notice(happened, rule, judged, self.context.catalogue, links=links, this_year=year)

    def _silenced(self, rule_key: str, segment: str) -> bool:
        return is_silenced(self._silences, rule_key, segment) is not None

    def _place(self, incident: Incident) -> str:
        """Where it sits by now, in words; of very many incidents what was said before."""
        self._placed += 1
        if self._placed > MOST_PLACES:
            return incident.place
        from metrics.alerts.place import place_of_incident

        rule, judged = self._live[(incident.rule_key, incident.segment)]
        found = place_of_incident(
            self.context.catalogue.kpi(rule.kpi),
            self.context.catalogue,
            self.context.reader,
            opened_of(incident, judged),
            filters_of(rule, incident.segment),
            grain=rule.grain,
        )
        return found.words if found else ""

    def _moment(self, rule: Rule, period: pd.Timestamp) -> datetime:
        """The end of a period as an instant."""
        from metrics.engine import periods

        grain = rule.grain or self.context.catalogue.kpi(rule.kpi).grain
        end: datetime = periods.after(period, grain).to_pydatetime()
        zone = UTC if grain == "hour" else ZoneInfo(self.context.catalogue.timezone)
        return end.replace(tzinfo=zone)


def _new(rule: Rule, judged: Judgement, period: datetime | None, severity: str, at: datetime) -> Incident:
    """One that nobody has stored or was told of."""
    return Incident(rule.key, judged.segment, rule.kpi, rule.name, severity, at, opened_period=period)
