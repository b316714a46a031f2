"""Rules that need not be judged again: they are calm, and nothing that they are judged by is different since.

The values of a generation never change. What else a rule is judged by is its digest, kept beside the generation with
the moment of the evaluation, which its rows in the state store bear, too: so neither is believed without the other.
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
from connectors.state.alerts import StandingRow
from jobs.project.project import Project
from metrics.alerts.judge import METHOD
from metrics.alerts.machine import State
from metrics.alerts.observe import Normals
from metrics.alerts.rules import Rule, rules_of
from metrics.engine.data_context import DataContext

CALM = (State.OK, State.PENDING)


class Unchanged:
    """What the last evaluation of a generation judged, and by what."""

    def __init__(self, project: Project, context: DataContext, normals: Mapping[str, Normals]) -> None:
        generation = context.reader.generation
        self._path = project.warehouse.companion(generation.id, "judged")
        self._sequence = generation.sequence
        self._terms = _terms(context, normals)
        at, before = _kept(self._path)
        same = {key for key, terms in self._terms.items() if before.get(key) == terms}
        self.rules = frozenset(same & _calm(project, self._sequence, at)) if same and at is not None else frozenset()

    def keep(self, now: datetime) -> None:
        """Note by what the rules were judged. Where that cannot be written they are judged again."""
        fresh = self._path.with_name(f"{self._path.name}.fresh")
        with suppress(OSError):
            fresh.write_text(json.dumps({"at": now.isoformat(), "terms": self._terms}))
            os.replace(fresh, self._path)


def still_calm(rows: Sequence[StandingRow], sequence: int) -> bool:
    """Whether all segments of a rule were judged on this generation, and none fails."""
    return all(row.sequence == sequence and not row.severity and row.state in CALM for row in rows)


def _calm(project: Project, sequence: int, at: datetime | None) -> set[str]:
    """Keys of the rules whose rows are those of that evaluation, without an incident."""
    if not project.state.exists():
        return set()
    with project.state.reading() as connection:
        rows, incidents = store.standings(connection), store.open_incidents(connection)
    by_rule: dict[str, list[StandingRow]] = {}
    for row in rows.values():
        by_rule.setdefault(row.rule_key, []).append(row)
    failing = {rule for rule, _ in incidents}
    return {
        rule
        for rule, mine in by_rule.items()
        if rule not in failing and still_calm(mine, sequence) and all(row.evaluated_at == at for row in mine)
    }


def _kept(path: Path) -> tuple[datetime | None, Mapping[str, str]]:
    """When the last evaluation was, and rule key → digest. Of a file that is damaged, nothing."""
    try:
        found = json.loads(path.read_text())
        return datetime.fromisoformat(found["at"]), dict(found["terms"])
    except (OSError, ValueError, KeyError, TypeError):
        return None, {}


def _terms(context: DataContext, normals: Mapping[str, Normals]) -> dict[str, str]:
    """Rule key → digest of all that it is judged by, but for the values of the generation."""
    catalogue = context.catalogue
    launches = [launch.model_dump_json() for launch in catalogue.launches]
    shared = json.dumps([METHOD, context.country, catalogue.timezone, catalogue.week_start_days, launches])
    common, found = hashlib.sha256(shared.encode()), dict[str, str]()
    for kpi in catalogue.kpis.values():
        rules = rules_of(kpi)
        with suppress(KpiError):  # of a part that is wrong; judging it says so
            own = f"{catalogue.definition(kpi.name)} {kpi.model_dump_json()}" if rules else ""
            for rule in rules:
                summed = common.copy()
                summed.update(own.encode())
                summed.update(_of_rule(rule, normals.get(rule.key) or {}).encode())
                found[rule.key] = summed.hexdigest()
    return found


def _of_rule(rule: Rule, normals: Normals) -> str:
    people = sorted([segment, *(f"{at}" for at in periods)] for segment, periods in normals.items())
    return json.dumps([rule.alert.model_dump_json(), rule.thresholds.model_dump_json(), rule.grain, people])
