"""validate: every problem of every file of a project. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from connectors.errors import Problem, require
from jobs.project import Project
from metrics.engine.oddities import oddities


def validate(project: Project, names: Sequence[str], *, now: datetime) -> list[Problem]:
    """Problems of settings, sources and all definitions, or of the named KPIs' files only. Raises UnknownName.

    With data, warnings about what is valid but surely wrong are among them.
    """
    catalogue = project.catalogue()
    problems = list(catalogue.problems)
    if project.has_data():
        problems += oddities(catalogue, project.reader(), now)
    if names:
        known = sorted({*catalogue.kpis, *catalogue.broken})
        for name in names:
            require(name, known, kind="KPI")
        files = {catalogue.documents[f"kpi:{name}"].file for name in names}
        files |= {
            catalogue.documents[f"dataset:{d}"].file
            for name in names if name in catalogue.kpis
            for d in catalogue.datasets_of(catalogue.kpis[name])
        }  # fmt: skip
        files = {file.removesuffix(" as published") for file in files}
        return sorted(p for p in problems if p.file in files)
    return sorted([*project.settings_problems, *project.read_sources()[1], *problems])
