"""Rules that need not be judged again: nothing that they are judged by is different since, and nobody is to be told.

The values of a generation never change, so neither do the places of what fails on it. What else a rule is judged by is
its digest, kept beside the generation with the moment of the evaluation, which its rows in the state store bear, too:
so neither is believed without the other.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from connectors.errors import KpiError
from connectors.state import alerts as store
from connectors.state.alerts import Incident, Silence, StandingRow
from jobs.alerts.telling import event_due
from jobs.project.project import Project
from metrics.alerts.levels import METHOD
from metrics.alerts.machine import State
from metrics.alerts.rules import Normals, Rule, rules_of
from metrics.engine.data_context import DataContext

CALM = (State.OK, State.PENDING)
FAILING = (State.FIRING, State.RECOVERING)


class Unchanged:
    """What the last evaluation of a generation judged, and by what."""

    def __init__(self, project: Project, context: DataContext, normals: Mapping[str, Normals]) -> None:
        generation = context.reader.generation
        self._path = project.warehouse.companion(generation.id, "judged")
        rules = {rule.key: rule for kpi in context.catalogue.kpis.values() for rule in rules_of(kpi)}
        known = _Known(project, context.now)
        self._terms = _terms(context, normals, known.silences)
        at, before = _kept(self._path)
        same = {key for key, terms in self._terms.items() if before.get(key) == terms}
        self.rules = known.standing(rules, same, generation.sequence, at) if same and at is not None else frozenset()

    def keep(self, now: datetime) -> None:
        """Note by what the rules were judged. Where that cannot be written they are judged again."""
        fresh = self._path.with_name(f"{self._path.name}.fresh")
        with suppress(OSError):
            fresh.write_text(json.dumps({"at": now.isoformat(), "terms": self._terms}))
            os.replace(fresh, self._path)


class _Known:
    """What the state store says of rules now."""

    def __init__(self, project: Project, now: datetime) -> None:
        self.silences: Sequence[Silence] = ()
        self._now, self._contact_points = now, project.settings.contact_points
        self._rows: dict[str, list[StandingRow]] = {}
        self._open: list[Incident] = []
        if not project.state.exists():
            return
        with project.state.reading() as connection:
            rows, incidents = store.standings(connection), store.open_incidents(connection)
            self.silences = store.silences(connection, now)
        for row in rows.values():
            self._rows.setdefault(row.rule_key, []).append(row)
        self._open = list(incidents.values())

    def standing(self, rules: Mapping[str, Rule], same: set[str], sequence: int, at: datetime) -> frozenset[str]:
        """Of these rules, whose terms are the same, those whose rows are of that evaluation and that tell nobody now.

        A KPI's rules that fail are looked at together: one incident may stand for several.
        """
        tells = {item.rule_key for item in self._open if self._tells(item, rules.get(item.rule_key))}
        held = {key for key in same - tells if self._judged(key, sequence, at)}
        moved = {rules[key].kpi for key in rules if key not in held}
        return frozenset(key for key in held if not self._fails(key) or rules[key].kpi not in moved)

    def _judged(self, key: str, sequence: int, at: datetime) -> bool:
        rows = self._rows.get(key, [])
        return bool(rows) and all(
            row.sequence == sequence and row.evaluated_at == at and row.state in (*CALM, *FAILING) for row in rows
        )

    def _fails(self, key: str) -> bool:
        return any(row.severity for row in self._rows[key]) or any(item.rule_key == key for item in self._open)

    def _tells(self, incident: Incident, rule: Rule | None) -> bool:
        """Whether somebody is to be told of it, or cannot be, which an operator is told each time."""
        if rule is None or not rule.contacts or not self._contact_points:
            return False
        return event_due(incident, self.silences, self._now, renotify_after=rule.alert.renotify_after) != ""


def _kept(path: Path) -> tuple[datetime | None, Mapping[str, str]]:
    """When the last evaluation was, and rule key → digest. Of a file that is damaged, nothing."""
    try:
        found = json.loads(path.read_text())
        return datetime.fromisoformat(found["at"]), dict(found["terms"])
    except (OSError, ValueError, KeyError, TypeError):
        return None, {}


def _terms(context: DataContext, normals: Mapping[str, Normals], silences: Sequence[Silence]) -> dict[str, str]:
    """Rule key → digest of all that it is judged by, but for the values of the generation.

    Silences that hold are of it: what nobody hears of stands for no other incident.
    """
    catalogue = context.catalogue
    launches = [launch.model_dump_json() for launch in catalogue.launches]
    shared = json.dumps([METHOD, context.country, catalogue.timezone, catalogue.week_start_days, launches])
    common, found = hashlib.sha256(shared.encode()), dict[str, str]()
    for kpi in catalogue.kpis.values():
        rules = rules_of(kpi)
        quiet = sorted({f"{s.rule_key} {s.segment}" for s in silences if s.rule_key in {rule.key for rule in rules}})
        with suppress(KpiError):  # of a part that is wrong; judging it says so
            own = f"{catalogue.definition(kpi.name)} {kpi.model_dump_json()} {quiet}" if rules else ""
            for rule in rules:
                summed = common.copy()
                summed.update(own.encode())
                summed.update(_of_rule(rule, normals.get(rule.key) or {}).encode())
                found[rule.key] = summed.hexdigest()
    return found


def _of_rule(rule: Rule, normals: Normals) -> str:
    people = sorted([segment, *(f"{at}" for at in periods)] for segment, periods in normals.items())
    return json.dumps([rule.alert.model_dump_json(), rule.thresholds.model_dump_json(), rule.grain, people])
