"""validate: every problem of every file of a project. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.errors import Problem, require
from jobs.project import Project


def validate(project: Project, names: Sequence[str]) -> list[Problem]:
    """Problems of sources.yml and all definitions, or of the named KPIs' files only. Raises UnknownName."""
    catalogue = project.catalogue()
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
        return [p for p in catalogue.problems if p.file in files]
    return sorted([*project.settings_problems, *project.read_sources()[1], *catalogue.problems])
