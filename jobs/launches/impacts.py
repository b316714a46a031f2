"""Impacts of launches: measured after a sync and kept beside the generation, so that no reader waits for them.

What is kept is looked up by the values that it was measured from, so a page may find less than it needs, but nothing
that is wrong.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from jobs.project.project import Project
from metrics.engine.data_context import DataContext
from metrics.engine.kept_sums import KeptSums
from metrics.launches.impacts import LAYOUT, Impacts
from metrics.launches.inputs import LaunchInputs
from metrics.launches.people.people_reading import people_reading
from metrics.launches.scorecard import PublishedReading, measured

ASKED_FOR = timedelta(days=56)  # since launch: people of older ones are added up when somebody looks


def measure_launches(project: Project, readings: Mapping[str, Sequence[PublishedReading]], *, now: datetime) -> int:
    """Measure what the pages of all launches show, and keep it. Returns how many impacts were asked for.

    readings: what was published, by launch. What the generation before was measured from and is still the same is not
    measured again. Raises NoData, StateError.
    """
    context = project.context(now)
    launches = [launch for launch in context.catalogue.launches if launch.kind == "launch"]
    path, terms = project.companion(context.reader.generation.id), _terms(context)
    kept = _document(path)
    if not launches or kept.get("terms") == terms:
        return 0
    impacts = Impacts({**_latest(path), **kept.get("impacts", {})})
    sums = KeptSums({})
    inputs = LaunchInputs(context, kept.get("varied"), sums)
    for launch in launches:
        measured(inputs, launch, readings.get(launch.name, ()), measure=impacts.of)
    today = context.catalogue.today(now)
    for launch in launches:
        if today - launch.starts_on <= ASKED_FOR:
            people_reading(launch, inputs)
    fresh = path.with_suffix(".fresh")
    found = {"impacts": impacts.asked, "varied": inputs.varied_asked, "people": sums.asked}
    fresh.write_text(json.dumps({"terms": terms, **found}))
    os.replace(fresh, path)
    return len(impacts.asked)


def known_impacts(project: Project, generation: str) -> Impacts:
    """What was measured after the sync of a generation; whatever is not known is measured."""
    return Impacts(_document(project.companion(generation)).get("impacts", {}))


def known_inputs(project: Project, context: DataContext) -> LaunchInputs:
    """The live data with what was added up of people after its sync; whatever is not known is asked."""
    kept = _document(project.companion(context.reader.generation.id))
    varied, people = (found if isinstance(found := kept.get(key), dict) else {} for key in ("varied", "people"))
    return LaunchInputs(context, varied, KeptSums(people))


def _terms(context: DataContext) -> str:
    """Digest of the launches and of the definitions that they are read by: while it stays there is nothing to do."""
    catalogue = context.catalogue
    launches = [launch for launch in catalogue.launches if launch.kind == "launch"]
    names = {name for launch in launches for name in (*launch.measured, *launch.held_against) if name in catalogue.kpis}
    texts = [launch.model_dump_json() for launch in launches] + [catalogue.definition(name) for name in sorted(names)]
    return hashlib.sha256(json.dumps([LAYOUT, context.country, *texts]).encode()).hexdigest()


def _latest(path: Path) -> dict[str, Any]:
    """The impacts kept last, of a generation other than the one of this file."""
    others = [other for other in path.parent.glob(f"*{path.suffix}") if other != path]
    newest = max(others, key=lambda other: other.stat().st_mtime_ns, default=None)
    return dict(_document(newest).get("impacts", {})) if newest else {}


def _document(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("impacts"), dict) else {}
