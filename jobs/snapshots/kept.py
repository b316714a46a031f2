"""What weeks of one generation were told once and is long to find out, kept beside it for whoever takes one again."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any

from jobs.project.project import Project
from metrics.engine.data_context import DataContext
from metrics.snapshots.inputs import WeekInputs


def week_inputs(project: Project, context: DataContext) -> WeekInputs:
    """The live data, with what was found out of it before."""
    found: Any = None
    with suppress(OSError, ValueError):
        found = json.loads(project.companion(context.reader.generation.id, "weeks").read_text())
    return WeekInputs(context, found if isinstance(found, dict) else None)


def keep(project: Project, inputs: WeekInputs) -> None:
    """Keep what was asked. Where that cannot be written it is asked again."""
    if not inputs.found:
        return
    path = project.companion(inputs.generation, "weeks")
    fresh = path.with_name(f"{path.name}.fresh")
    with suppress(OSError):
        fresh.write_text(json.dumps({**inputs.known, **inputs.found}))
        os.replace(fresh, path)
