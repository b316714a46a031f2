"""validate: every problem of every file of a project. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from connectors.errors import Problem, did_you_mean, require
from jobs.access.told import problems as role_problems
from jobs.project.project import Project
from metrics.alerts.rules import rules_of
from metrics.catalog.catalogue import Catalogue
from metrics.quality.data_quality import data_quality_warnings


def validate(project: Project, names: Sequence[str], *, now: datetime) -> list[Problem]:
    """Problems of settings, sources and all definitions, or of the named KPIs' files only. Raises UnknownName.

    With data, warnings about what is valid but surely wrong are among them.
    """
    catalogue = project.catalogue()
    problems = [*catalogue.problems, *untold(project, catalogue), *unlimited(project)]
    if project.has_data():
        problems += data_quality_warnings(catalogue, project.reader(), now)
    if names:
        known = sorted({*catalogue.kpis, *catalogue.broken})
        for name in names:
            require(name, known, kind="KPI")
        files = {catalogue.documents[f"kpi:{name}"].file for name in names}
        files |= {
            catalogue.documents[f"dataset:{d}"].file
            for name in names
            if name in catalogue.kpis
            for d in catalogue.datasets_of(catalogue.kpis[name])
        }
        files = {file.removesuffix(" as published") for file in files}
        return sorted(p for p in problems if p.file in files)
    return sorted([*project.settings_problems, *project.sources.read()[1], *problems])


def unlimited(project: Project) -> list[Problem]:
    """What roles and snapshots name that is not there: a limit that limits nothing would hide nothing."""
    found = [Problem(f"{project.shown_as}settings.yml", 0, "error", "role", text) for text in role_problems(project)]
    names = [role.name for role in project.settings.roles]
    for snapshot in project.catalogue().snapshots:
        if snapshot.role and snapshot.role not in names:
            document = project.catalogue().documents[f"snapshot:{snapshot.name}"]
            text = f"there is no role '{snapshot.role}' in settings.yml"
            found.append(document.problem(("role",), "role", text, did_you_mean(snapshot.role, names)))
    return found


def untold(project: Project, catalogue: Catalogue) -> list[Problem]:
    """Contact points that a rule names and settings.yml does not have; owners too, where there are contact points."""
    found = []
    for name, kpi in catalogue.kpis.items():
        document = catalogue.documents[f"kpi:{name}"]
        for index, alert in enumerate(kpi.alerts):
            for place, contact in enumerate(alert.notify):
                if project.settings.contact(contact) is None:
                    known = [point.name for point in project.settings.contact_points]
                    text = f"no contact point '{contact}' in settings.yml, so no one is notified"
                    at, hint = ("alerts", index, "notify", place), did_you_mean(contact, known)
                    found.append(document.problem(at, "unknown_contact", text, hint, "warning"))
        if not project.settings.contact_points or project.settings.contact(kpi.owner) is not None:
            continue
        if any(not rule.alert.notify for rule in rules_of(kpi)):
            text = f"the owner '{kpi.owner}' has no contact point, so no one is notified of its alerts"
            hint = "Add one named `default`, or one whose address has {owner}."
            found.append(document.problem(("owner",), "unknown_contact", text, hint, "warning"))
    for snapshot in catalogue.snapshots:
        document = catalogue.documents[f"snapshot:{snapshot.name}"]
        for place, name in enumerate(snapshot.recipients):
            if project.settings.recipient(name) is None:
                known = [point.name for point in project.settings.contact_points]
                text = f"no contact point '{name}' in settings.yml, so it is not sent there"
                here = ("recipients", place)
                found.append(document.problem(here, "unknown_contact", text, did_you_mean(name, known), "warning"))
    return found
