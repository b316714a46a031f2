"""launches: scorecards on the live data with what was published, decisions, and a published verdict read again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from connectors.errors import UnknownGeneration, require
from connectors.state import launches as store
from connectors.state.launches import Breach, Decision, ReadingRow
from jobs.alerts.incidents import read_state
from jobs.audit.record import Act, record
from jobs.launches.impacts import known_impacts, known_inputs
from jobs.project.project import Project
from metrics.alerts.board import title_of
from metrics.catalog.models.launch import Launch
from metrics.launches.impact import METHOD
from metrics.launches.inputs import LaunchInputs
from metrics.launches.observe import observe
from metrics.launches.reading import Reading, read
from metrics.launches.scorecard import PublishedReading, Scorecard, same, scorecard
from metrics.presentation.format import iso

DECISIONS = ("keep", "change", "roll back", "wait")


def card_of(project: Project, name: str, *, now: datetime) -> Scorecard:
    """The scorecard of one launch. Raises NoData, UnknownName, StateError."""
    context = project.context(now)
    launch = context.catalogue.launch(name)
    inputs, known = known_inputs(project, context), known_impacts(project, context.reader.generation.id)
    kept, firing = published(project, name), _firing(project, launch, now)
    return scorecard(inputs, launch, kept, firing, measure=known.of)


def cards(project: Project, *, now: datetime) -> tuple[Scorecard, ...]:
    """Short scorecards of all launches, the latest first. Raises NoData, StateError."""
    context = project.context(now)
    inputs = known_inputs(project, context)
    everything, known = published_by_launch(project), known_impacts(project, context.reader.generation.id)
    found = [
        scorecard(inputs, launch, everything.get(launch.name, ()), full=False, measure=known.of)
        for launch in context.catalogue.launches
        if launch.kind == "launch"
    ]
    return tuple(sorted(found, key=lambda card: card.launch.starts_on, reverse=True))


def published(project: Project, name: str) -> list[PublishedReading]:
    """Readings that were made of one launch, in the order of their days."""
    return published_by_launch(project).get(name, [])


def published_by_launch(project: Project) -> dict[str, list[PublishedReading]]:
    """Readings that were made, by launch."""
    found: dict[str, list[PublishedReading]] = {}
    if project.state.exists():
        with project.state.reading() as connection:
            for row in store.readings(connection):
                if project.shows(row.kpi):
                    item = kept_of(project, row)
                    controls = [name for name in item.terms.measured if name not in item.terms.judged_by]
                    if all(project.shows(name) for name in controls):
                        found.setdefault(row.launch, []).append(item)
    return found


def kept_of(project: Project, row: ReadingRow) -> PublishedReading:
    """A row as the scorecard knows it. Raises StateError where it is damaged."""
    terms = project.state.parsed(Launch.model_validate_json, row.terms)
    reading = project.state.parsed(lambda text: Reading.from_dict(json.loads(text)), row.document)
    return PublishedReading(reading, row.generation, row.taken_at, terms)


def published_row(item: PublishedReading) -> dict[str, Any]:
    """A verdict that was made, in the JSON of `kpi launch show`; whether it was restated since is another question."""
    return {
        **item.reading.as_dict(),
        "badges": list(item.reading.badges),
        "generation": item.generation,
        "published_at": iso(item.taken_at),
    }


def decisions_of(project: Project, name: str) -> tuple[Decision, ...]:
    """What was decided, the latest first."""
    if not project.state.exists():
        return ()
    with project.state.reading() as connection:
        return _told(project, store.decisions(connection, name))


def _told(project: Project, decisions: Sequence[Decision]) -> tuple[Decision, ...]:
    """Why something was decided is told in words that may have numbers of all rows, so not to a role of some."""
    if project.sees_all:
        return tuple(decisions)
    return tuple(replace(item, why="") for item in decisions)


def all_decisions(project: Project) -> tuple[Decision, ...]:
    """What was decided about every launch, the latest first."""
    if not project.state.exists():
        return ()
    with project.state.reading() as connection:
        return _told(project, store.decisions(connection))


def breaches_of(project: Project, name: str) -> tuple[Breach, ...]:
    """When guardrails were beyond their limits, the latest first."""
    if not project.state.exists():
        return ()
    with project.state.reading() as connection:
        return tuple(breach for breach in store.breaches(connection, name) if project.shows(breach.kpi))


def decide(project: Project, name: str, decision: str, why: str, *, by: str, now: datetime) -> Decision:
    """Keep what was decided about a launch. Raises UnknownName, StateError."""
    project.catalogue().launch(name)
    require(decision, DECISIONS, kind="decision")
    made = Decision(name, decision, why.strip(), by, now)
    with project.state.writing() as connection:
        store.add_decision(connection, made)
        told = {"decision": decision, "why": made.why}
        record(project.state, connection, Act("launch_decided", f"launch:{name}", by, told), now)
    return made


def read_again(project: Project, name: str, *, now: datetime) -> list[dict[str, object]]:
    """Each published verdict computed once more, as of its generation: `identical`, or why it cannot be.

    Uses the launch as it was read then. Raises NoData, StateError.
    """
    context, found = project.context(now), []
    with project.state.reading() as connection:
        rows = store.readings(connection, name)
    for row in rows:
        was = kept_of(project, row)
        old, terms = was.reading, was.terms
        plain = {"kpi": row.kpi, "days": row.days, "generation": row.generation, "verdict": old.verdict or None}
        if row.kpi not in context.catalogue.kpis:
            found.append({**plain, "identical": None, "why": "the KPI is gone"})
            continue
        kpi = context.catalogue.kpi(row.kpi)
        try:
            observed = observe(terms, kpi, LaunchInputs(context), as_of=row.generation)
        except UnknownGeneration as error:
            found.append({**plain, "identical": None, "why": error.message})
            continue
        again = read(terms, kpi, observed, row.days, sampling=old.sampling).reading
        why = "" if observed.panel is not None else observed.why
        if again.around != old.around:
            why = "other launches or marks of its KPI in the days before are not those that were known then"
        if old.method != METHOD:
            why = f"it was measured by version {old.method} of the method, which is now {METHOD}"
        found.append({**plain, "identical": same(again, old) if not why else None, "why": why})
    return found


def _firing(project: Project, launch: Launch, now: datetime) -> Sequence[str]:
    catalogue, found = project.catalogue(), []
    for incident in read_state(project, now=now).open:
        if incident.kpi in launch.measured and incident.kpi in catalogue.kpis:
            title = title_of(catalogue.kpi(incident.kpi), incident.segment)
            found.append(f"An alert is firing on {title} ({incident.rule}).")
    return found
