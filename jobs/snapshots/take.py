"""snapshots: take a week and keep it for ever, read what was kept, tell what was restated since."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from connectors.errors import KpiError, SnapshotError
from connectors.state import launches as launch_store
from connectors.state import snapshots as store
from connectors.state.snapshots import ArchivedSnapshot
from jobs.access.audience import part_of
from jobs.alerts.incidents import read_state
from jobs.audit.record import Act, record
from jobs.launches.scorecards import published_by_launch
from jobs.outbox.deliver import DeliveryCounts, deliver
from jobs.project.project import Project
from jobs.snapshots.archived import BY_SYNC, rows_of, subject_of
from jobs.snapshots.happened import happened
from jobs.snapshots.kept import keep, week_inputs
from jobs.snapshots.message import dressed
from jobs.snapshots.send import queue
from jobs.snapshots.week_events import tell_restated, tell_taken
from metrics.alerts.board import ENDS, title_of
from metrics.alerts.rules import rules_of
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.launch import Launch
from metrics.catalog.models.snapshot import Snapshot
from metrics.engine.data_context import DataContext
from metrics.launches import words as launch_words
from metrics.presentation import format as fmt
from metrics.snapshots import week as weeks
from metrics.snapshots.document import AlertLine, Document, LaunchLine
from metrics.snapshots.inputs import WeekInputs
from metrics.snapshots.taking import Circumstances, missing, nothing_there, take, unpublished
from metrics.snapshots.week import Week

MOST_WEEKS = 26  # that are caught up
FIRST_WEEKS = 4  # that a new definition begins with, where there is data
RUNNING = timedelta(days=56)  # since launch, that a launch is in the snapshot


@dataclass(frozen=True)
class Due:
    """What one call did. taken: (definition, week, revision). waiting: why a week is not taken yet, in sentences."""

    taken: tuple[tuple[str, str, int], ...] = ()
    waiting: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()
    sent: DeliveryCounts = field(default_factory=DeliveryCounts)


def told(done: Due) -> list[str]:
    """What an operator should know, in sentences."""
    lines = [f"{done.sent.failed} attempts to send failed; tried again later"] if done.sent.failed else []
    lines += [f"no snapshot is sent to {who}" for who in done.untold]
    return [*done.waiting, *lines]


def take_by_hand(project: Project, name: str, week: str, *, by: str, now: datetime, anyway: bool = False) -> Document:
    """Take a week and keep it as a new revision; nothing is sent.

    week: empty = the last one that is over and that data reaches. Raises NoData, UnknownName, QueryRefused for a text
    that is no week, SnapshotError for a week that is not over or, unless `anyway`, whose data is all missing.
    """
    definition = project.catalogue().snapshot(name)
    project = part_of(project, definition.role)
    context = project.context(now)
    inputs, catalogue = week_inputs(project, context), context.catalogue
    definition = catalogue.snapshot(definition.name)
    chosen = weeks.named(week, catalogue.week_start_days) if week else _newest(context, now)
    if chosen.ends_at(catalogue.timezone) > now:
        over = weeks.last_over(now, catalogue.timezone, catalogue.week_start_days)
        raise SnapshotError(
            f"week {chosen.name} is not over: its last day is {chosen.last:%-d %b %Y}",
            hint=f"The last week that is over is {over.name}.",
        )
    changed = unpublished(inputs, definition)
    if changed:
        raise SnapshotError(
            f"{', '.join(changed)}: the definition changed after the last sync, so its numbers are not published yet",
            hint="`kpi sync`, then take the week.",
        )
    gaps = missing(inputs, definition, chosen)
    if gaps and not anyway and nothing_there(inputs, definition, chosen):
        raise SnapshotError(
            f"week {chosen.name} cannot be taken: no data reaches its end",
            hint=" ".join(gaps) + " Sync first, or take it as it is with --anyway.",
        )
    return _keep(project, _taken(project, inputs, definition, chosen, by, now), definition)


def take_due(project: Project, *, now: datetime) -> Due:
    """Take every week that is complete and was not taken, of the definitions in snapshots/. Part of each sync.

    The newest is put into the outbox for its recipients in the same transaction. Safe beside another.
    Raises NoData, StateError.
    """
    context = project.context(now)
    taken: list[tuple[str, str, int]] = []
    waiting: list[str] = []
    untold: set[str] = set()
    for name, problems in context.catalogue.broken_snapshots.items():
        waiting.append(f"snapshot {name} is not taken: {problems[0]}")
    for definition in context.catalogue.snapshots:
        try:
            for event in _take_due(project, context, definition, now, untold):
                (taken if isinstance(event, tuple) else waiting).append(event)  # type: ignore[arg-type]
        except KpiError as error:  # of one definition: the others are taken all the same
            waiting.append(f"snapshot {definition.name} was not taken: {error}")
    waiting += tell_restated(project, now=now)
    return Due(tuple(taken), tuple(waiting), tuple(sorted(untold)), deliver(project, dressed))


def _take_due(
    project: Project, context: DataContext, definition: Snapshot, now: datetime, untold: set[str]
) -> Iterator[tuple[str, str, int] | str]:
    """What was taken, or one sentence on why a week waits; weeks after that one wait with it."""
    if definition.role:
        project = part_of(project, definition.role)
        context = project.context(now)
        definition = context.catalogue.snapshot(definition.name)
    inputs = week_inputs(project, context)
    changed = unpublished(inputs, definition)
    if changed:
        yield f"snapshot {definition.name} waits for a sync of the changed {', '.join(changed)}"
        return
    due = list(_due_weeks(project, context, definition, now))
    for week in due:
        gaps = missing(inputs, definition, week)
        patient_until = week.ends_at(context.catalogue.timezone) + definition.schedule.wait
        if gaps and (now < patient_until or nothing_there(inputs, definition, week)):
            yield f"snapshot {definition.name} of week {week.name} waits: {' '.join(gaps)}"
            return
        send = week == due[-1] and definition.schedule.send != "by_hand"
        taken = _taken(project, inputs, definition, week, BY_SYNC, now)
        made = _keep(project, taken, definition, once=True, send=send, untold=untold)
        if made.revision == 1:
            yield definition.name, week.name, made.revision


def _due_weeks(project: Project, context: DataContext, definition: Snapshot, now: datetime) -> Iterator[Week]:
    """Weeks after the last one that was taken; of a new definition the last few that are over and have data."""
    catalogue = context.catalogue
    last = weeks.last_over(now, catalogue.timezone, catalogue.week_start_days)
    done = [row.week for row in rows_of(project, definition.name)]
    first = weeks.named(max(done), catalogue.week_start_days).later(1) if done else last.later(1 - FIRST_WEEKS)
    states = context.reader.dataset_states(context.reader.generation.sequence).values()
    known = [state.first_at for state in states if state.first_at is not None]
    for back in range(MOST_WEEKS - 1, -1, -1):
        week = last.later(-back)
        if week >= first and (done or any(at < week.ends_at(catalogue.timezone) for at in known)):
            yield week


def _newest(context: DataContext, now: datetime) -> Week:
    """The last week that is over, or that data reaches."""
    catalogue = context.catalogue
    over = weeks.last_over(now, catalogue.timezone, catalogue.week_start_days)
    states = context.reader.dataset_states(context.reader.generation.sequence).values()
    marks = [state.watermark for state in states if state.watermark is not None]
    reached = weeks.last_over(max(marks), catalogue.timezone, catalogue.week_start_days) if marks else over
    return min(over, reached)


def open_week(project: Project, taken: set[str], *, now: datetime) -> tuple[str, str] | None:
    """The last week that is over and that data reaches, as (name, what is missing), if it is not among those taken.

    Raises DefinitionError if the file of the snapshot is wrong.
    """
    context = project.context(now)
    week = _newest(context, now)
    if week.name in taken:
        return None
    return week.name, " ".join(missing(WeekInputs(context), context.catalogue.snapshot(), week))


def _taken(project: Project, inputs: WeekInputs, definition: Snapshot, week: Week, by: str, now: datetime) -> Document:
    """The document of a week, not kept yet."""
    made = take(
        inputs,
        definition,
        week,
        Circumstances(
            project.name,
            by,
            now,
            1,
            _alerts(project, inputs.catalogue, week, now),
            _launches(project, inputs.catalogue, week),
            happened(project, inputs.catalogue, _shown(inputs.catalogue, definition), week, now),
            project.audience,
        ),
    )
    keep(project, inputs)
    return made


def _shown(catalogue: Catalogue, definition: Snapshot) -> set[str]:
    return {item.kpi for _, shown in definition.filled(catalogue.kpis.values()) for item in shown}


def _keep(
    project: Project,
    made: Document,
    definition: Snapshot,
    *,
    once: bool = False,
    send: bool = False,
    untold: set[str] | None = None,
) -> Document:
    """Keep a document as its week's next revision.

    once: what already exists stays, so of two at a time one wins. send: put it into the outbox, too.
    """
    with project.state.writing() as connection:
        revision = store.last_revision(connection, definition.name, made.week) + 1
        made = made.model_copy(update={"revision": revision})
        if once and revision > 1:
            return made
        row = ArchivedSnapshot(
            *(definition.name, made.week, revision, made.generation, made.taken_at, made.by, made.headline),
            audience=made.audience or None,
        )
        store.add(connection, row, json.dumps(made.as_dict(), sort_keys=True))
        told, via = {"generation": made.generation}, "sync" if made.by == BY_SYNC else ""
        record(project.state, connection, Act("snapshot_taken", subject_of(made), made.by, told, via), made.taken_at)
        tell_taken(project, connection, row)
        if send:
            over = pd.Timestamp(made.end) + pd.Timedelta(days=1)
            at = definition.schedule.send_at(over).tz_localize(made.timezone, nonexistent="shift_forward")
            missed = queue(project, connection, made, definition.recipients, by=made.by, not_before=at.to_pydatetime())
            (untold if untold is not None else set()).update(missed)
    return made


def _alerts(project: Project, catalogue: Catalogue, week: Week, now: datetime) -> tuple[AlertLine, ...]:
    """Alerts that were open in the week, critical first."""
    rules = {rule.key: rule for kpi in catalogue.kpis.values() for rule in rules_of(kpi)}
    found = []
    for item in read_state(project, now=now).history:
        kpi, rule = catalogue.kpis.get(item.kpi), rules.get(item.rule_key)
        if kpi is None or rule is None or item.opened_period is None or pd.Timestamp(item.opened_period) >= week.end:
            continue
        closed = pd.Timestamp(item.closed_period) if item.closed_at and item.closed_period else None
        if item.closed_at and (closed is None or closed < week.start):
            continue
        ended = closed is not None and closed < week.end
        state = ENDS.get(item.closed_why or "", "Ended") if ended else "Open"
        since = fmt.period_text(pd.Timestamp(item.opened_period), rule.grain or kpi.grain, week.last.year)
        found.append(
            AlertLine(
                title=fmt.plain(title_of(kpi, item.segment)),
                severity=item.severity,
                state=state,
                since=since,
                words=fmt.plain(rule.words),
                owner=fmt.plain(kpi.owner),
            )
        )
    return tuple(sorted(found, key=lambda a: (a.state != "Open", a.severity != "critical", a.title)))


def _launches(project: Project, catalogue: Catalogue, week: Week) -> tuple[LaunchLine, ...]:
    """Launches of the last eight weeks, with verdicts whose day had come when the week ended."""
    begun = [x for x in catalogue.launches if x.kind == "launch" and x.starts_on <= week.last]
    begun = [x for x in begun if week.last - x.starts_on <= RUNNING]
    if not begun:
        return ()
    published = published_by_launch(project)
    decided: dict[str, str] = {}
    if project.state.exists():
        with project.state.reading() as connection:
            for made in launch_store.decisions(connection):
                text = f"{made.decision.capitalize()}: {made.why}".rstrip(": ")
                decided.setdefault(made.launch, fmt.plain(f"{text} ({made.by})"))
    return tuple(
        LaunchLine(
            name=x.name,
            label=fmt.plain(x.title),
            owner=fmt.plain(x.owner),
            decision=decided.get(x.name, ""),
            when=f"Day {(week.last - x.starts_on).days + 1}, since {x.starts_on:%-d %b %Y}",
            verdicts=_verdicts(catalogue, x, published.get(x.name, []), week),
        )
        for x in sorted(begun, key=lambda x: x.starts_on, reverse=True)
    )


def _verdicts(catalogue: Catalogue, launch: Launch, published: list[Any], week: Week) -> tuple[str, ...]:
    """The latest verdict of each KPI."""
    latest = {}
    for item in sorted(published, key=lambda k: k.reading.days):
        reading = item.reading
        if reading.verdict and reading.kpi in catalogue.kpis and launch.reading_on(reading.days) <= week.end.date():
            kpi = catalogue.kpi(reading.kpi)
            latest[reading.kpi] = f"{kpi.title} {launch_words.verdict(kpi, reading)}, D+{reading.days}"
    return tuple(fmt.plain(text) for text in latest.values())
