"""alerts: where every rule stands, what happened, and what people do about it: acknowledge, silence, mark."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from connectors.channels.contract import Message, Outcome, channel_for
from connectors.errors import ContactError, SettingsError, UnknownName, require
from connectors.settings import environment, expand_secrets
from connectors.state import alerts as store
from connectors.state.alerts import Delivery, Incident, Silence, StandingRow
from jobs.alerts.incident_events import IncidentEvents
from jobs.alerts.rows import data_row, incident_row, shown_to, standing_row
from jobs.audit.record import Act, record
from jobs.outbox import webhooks
from jobs.project.project import Project
from metrics.alerts.rules import rules_of
from metrics.presentation.format import iso

DEAD_AFTER = 2  # attempts without success before a contact point counts as dead


@dataclass(frozen=True)
class Contact:
    """How a contact point fares. dead: its last messages failed; error: why."""

    name: str
    waiting: int
    dead: bool
    error: str


@dataclass(frozen=True)
class AlertState:
    """Everything kept about alerts, read in one go."""

    standings: tuple[StandingRow, ...] = ()
    open: tuple[Incident, ...] = ()
    history: tuple[Incident, ...] = ()
    silences: tuple[Silence, ...] = ()
    contacts: tuple[Contact, ...] = ()
    marks: tuple[tuple[str, int, int], ...] = ()  # rule key, useful, noise


def read_state(project: Project, *, now: datetime, kpi: str = "") -> AlertState:
    """What the state store knows; empty before the first evaluation. Raises StateError."""
    if not project.state.exists():
        return AlertState()
    with project.state.reading() as connection:
        standings = list(store.standings(connection).values())
        open_, history = (
            list(store.open_incidents(connection).values()),
            store.history(connection, kpis=[kpi] if kpi else ()),
        )
        silences, messages = store.silences(connection, now), store.deliveries(connection)
        marks = store.marks(connection)
    if not project.sees_all:
        shown = shown_to(project)
        standings = [row for row in standings if shown(row)]
        open_, history = [item for item in open_ if shown(item)], [item for item in history if shown(item)]
        open_, history = (
            [replace(item, place="") if project.hides_dimensions(item.kpi) else item for item in rows]
            for rows in (open_, history)
        )
        told = {row.rule_key for row in standings}
        marks, messages = {key: m for key, m in marks.items() if key in told}, []
    return AlertState(
        tuple(row for row in standings if not kpi or row.kpi == kpi),
        tuple(item for item in open_ if not kpi or item.kpi == kpi),
        tuple(history),
        tuple(silences),
        contacts_of(messages),
        tuple((key, m.get("useful", 0), m.get("noise", 0)) for key, m in marks.items()),
    )


def contacts_of(messages: Sequence[Delivery]) -> tuple[Contact, ...]:
    """Each contact point that was ever written to, from its messages, the latest first."""
    found = []
    for name in sorted({m.contact for m in messages}):
        mine = [m for m in messages if m.contact == name]
        delivered = [m.finished_at for m in mine if m.status == "delivered" and m.finished_at]
        troubled = [m for m in mine if m.error and (not delivered or (m.finished_at or m.created_at) > delivered[0])]
        waiting = sum(m.status in ("pending", "sending") for m in mine)
        lost = any(m.status in ("failed", "unknown") for m in troubled)
        dead = bool(troubled) and (lost or sum(m.attempts for m in troubled) >= DEAD_AFTER)
        error = troubled[0].error if troubled else ""
        found.append(Contact(name, waiting, dead, error))
    return tuple(found)


def status_rows(project: Project, *, now: datetime) -> list[dict[str, Any]]:
    """`kpi alerts status --json`: one row per rule and segment, sources that are late among them."""
    state = read_state(project, now=now)
    rows = [standing_row(row, state.silences) for row in state.standings]
    rows += [data_row(item, state.silences) for item in state.open if not item.kpi]
    order = ["firing", "recovering", "pending", "error", "stale", "no_data", "ok"]
    severities = ["critical", "warning", None]
    return sorted(
        rows,
        key=lambda r: (
            order.index(str(r["state"])),
            severities.index(r["severity"]),
            str(r["kpi"]),
            str(r["rule"]),
            r["segment"] or "",
        ),
    )


def history_rows(project: Project, *, kpis: Collection[str] = ()) -> list[dict[str, Any]]:
    """`kpi alerts history --json`: incidents, the latest first. kpis: only of these names; empty = all."""
    if not project.state.exists():
        return []
    with project.state.reading() as connection:
        found = store.history(connection, kpis=kpis)
    return [incident_row(item) for item in found]


def firing(project: Project, *, now: datetime, at_least: Literal["warning", "critical"]) -> list[dict[str, Any]]:
    """Rules that fire with this severity or a worse one, and are not silenced."""
    wanted = ("critical",) if at_least == "critical" else ("warning", "critical")
    rows = status_rows(project, now=now)
    return [
        r
        for r in rows
        if r["state"] in ("firing", "recovering") and r["severity"] in wanted and not r["silenced_until"]
    ]


def rule_key(project: Project, name: str, *, now: datetime) -> str:
    """`kpi.rule`, a rule's name that one KPI has, or a source's name. Raises UnknownName."""
    standings = read_state(project, now=now)
    keys = {row.rule_key for row in standings.standings} | {i.rule_key for i in standings.open}
    keys |= {f"{kpi}.{rule.name}" for kpi, rule in _rules(project)}
    if name in keys:
        return name
    if f"source:{name}" in keys:
        return f"source:{name}"
    same = sorted(key for key in keys if key.split(".", 1)[-1] == name)
    if len(same) == 1:
        return same[0]
    if same:
        raise UnknownName(f"{len(same)} KPIs have a rule '{name}'", hint=f"Write one of: {', '.join(same)}.")
    require(name, sorted({key.split(".", 1)[-1] for key in keys} | keys), kind="rule")
    return name


def silence(
    project: Project, name: str, until: datetime, *, by: str, now: datetime, segment: str | None = None
) -> Silence:
    """Tell nobody of a rule until then; its state goes on. Raises UnknownName, StateError."""
    key = rule_key(project, name, now=now)
    if segment is not None:
        known = [row.segment for row in read_state(project, now=now).standings if row.rule_key == key]
        if known:
            require(segment, sorted(known), kind="segment", where=key)
    made = Silence(key, segment, until, by, now)
    told = {"until": iso(until), **({"segment": segment} if segment else {})}
    with project.state.writing() as connection:
        store.add_silence(connection, made)
        record(project.state, connection, Act("silenced", key, by, told), now)
        IncidentEvents(project, connection, now).put_silenced(made)
    return made


def acknowledge(project: Project, number: int, *, by: str, now: datetime) -> Incident:
    """Somebody looks after an incident: no more reminders. The first name stays. Raises UnknownName."""
    with project.state.writing() as connection:
        found = _incident(store.incident(connection, number), number)
        if found.ack_by is None:
            store.change_incident(connection, number, ack_by=by, ack_at=now)
            record(project.state, connection, Act("acknowledged", f"incident:{number}", by, _which(found)), now)
            found = _incident(store.incident(connection, number), number)
            IncidentEvents(project, connection, now).put("acknowledged", found)
        return found


def mark(project: Project, number: int, verdict: Literal["useful", "noise"], *, by: str, now: datetime) -> None:
    """Whether it was good to be told; counted per rule. Raises UnknownName."""
    with project.state.writing() as connection:
        found = _incident(store.incident(connection, number), number)
        store.change_incident(connection, number, mark=verdict, marked_by=by)
        told = {**_which(found), "mark": verdict}
        record(project.state, connection, Act("marked", f"incident:{number}", by, told), now)


def new_normal(project: Project, number: int, *, by: str, now: datetime) -> None:
    """Close an incident because its level is the normal one from now on; the expected range starts there.

    Raises UnknownName.
    """
    with project.state.writing() as connection:
        found = _incident(store.incident(connection, number), number)
        row = store.standings(connection).get((found.rule_key, found.segment))
        period = found.last_period or found.opened_period
        if found.closed_at is None:
            store.change_incident(
                connection, number, closed_at=now, closed_period=found.last_period, closed_why="new_normal"
            )
        if period is not None:
            store.add_normal(connection, found.rule_key, found.segment, period, by, now)
        if row is not None:
            calm = replace(row, state="ok", severity="", opened_period=None, since=row.last_period)
            store.put_standings(connection, [calm])
        record(project.state, connection, Act("new_normal", f"incident:{number}", by, _which(found)), now)
        if found.closed_at is None:
            ended = _incident(store.incident(connection, number), number)
            IncidentEvents(project, connection, now).put("resolved", ended)


def send_test(project: Project, name: str) -> Outcome:
    """One message to a contact point or webhook, now. Raises ContactError."""
    if hook := project.settings.webhook(name):
        return webhooks.send_test(project, hook)
    point = project.settings.contact(name)
    known = [p.name for p in project.settings.contact_points] + [h.name for h in project.settings.webhooks]
    if point is None or (point.name != name and name not in known):
        hint = (
            f"Known: {', '.join(known)}."
            if known
            else "Write `contact_points: [{name: team, url: …}]` in settings.yml."
        )
        raise ContactError(f"no contact point '{name}'", where="settings.yml", hint=hint)
    try:
        url = str(expand_secrets(point.url, environment(), where=f"settings.yml, contact point {name}"))
    except SettingsError as error:
        raise ContactError(error.message, where=error.where, hint=error.hint) from None
    channel = channel_for(url, project.settings.outbound_hosts)
    if problem := channel.problem(url):
        raise ContactError(f"the address of '{name}' cannot be used: {problem}", where="settings.yml")
    body = f"Alerts of {project.name} will come this way.\n{project.links.line()}"
    return channel.send(url, Message(f"{project.name}: a test", body))


def span_from(now: datetime, text: str) -> datetime | None:
    """`2h`, `3d` from now; None if the text is no span."""
    from connectors.settings import span

    try:
        length = span(text)
    except ValueError:
        return None
    return now + length if isinstance(length, timedelta) and length else None


def _which(incident: Incident) -> dict[str, str]:
    """What the audit says of an incident beside its number."""
    return {"rule": incident.rule_key, **({"segment": incident.segment} if incident.segment else {})}


def _incident(found: Incident | None, number: int) -> Incident:
    if found is None:
        raise UnknownName(f"no incident {number}", hint="`kpi alerts history` lists them.")
    return found


def _rules(project: Project) -> list[tuple[str, Any]]:

    return [(kpi.name, rule) for kpi in project.catalogue().kpis.values() for rule in rules_of(kpi)]
