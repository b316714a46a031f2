"""Decisions on access, explained: who somebody is here, what they see of a KPI, and by which rule."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from connectors.errors import counted
from connectors.roles import ACTIONS
from jobs.access.rights import Rights, rights_of_role
from jobs.project.project import Project
from metrics.catalog.restriction import CLASSES, access_of, restricted, seen_datasets, unknown_names


@dataclass(frozen=True)
class KpiAccess:
    """What one role sees of a KPI. sees: values, listed or nothing; why: the rule, in words."""

    role: str
    sees: str
    why: str
    rows: str


def may_in_words(rights: Rights) -> str:
    """`download tables …; acknowledge …`, or `look`."""
    return "; ".join(words for action, words in ACTIONS.items() if rights.may(action)) or "look"


def seen_in_words(rights: Rights, *, names: bool = True) -> list[tuple[str, str]]:
    """What of the whole somebody sees, each kind of limit a line; none where it is everything.

    names: False = without those of KPIs that are hidden, to the person themselves.
    """
    seen, found = rights.restriction, list[tuple[str, str]]()
    if seen.areas:
        found.append(("Areas", ", ".join(sorted(seen.areas))))
    if seen.hidden and names:
        found.append(("Hidden KPIs", ", ".join(sorted(seen.hidden))))
    if seen.masked:
        found.append(("KPIs without values", ", ".join(sorted(seen.masked))))
    if seen.rows:
        found.append(("Rows", rows_in_words(rights)))
    if seen.min_people:
        found.append(("Values", f"of {counted(seen.min_people, 'person', 'people')} or more"))
    if missing := sorted(CLASSES - seen.classes):
        found.append(("Columns", f"none that are {' or '.join(missing)}"))
    return found


def rows_in_words(rights: Rights) -> str:
    """`country: DE, FR`; empty = all rows."""
    return "; ".join(
        f"{item.dimension}: {', '.join(item.values) or f'none, for {item.why}'}" for item in rights.restriction.rows
    )


def facts_of(rights: Rights, *, names: bool = True) -> list[tuple[str, str]]:
    """Label and words: the role, what of the whole it sees, what it may do."""
    by = f", by {rights.member}" if rights.member else ""
    role = [("Role", f"{rights.role}{by}")] if rights.role else []
    return [*role, *seen_in_words(rights, names=names), ("May", may_in_words(rights))]


def whoami(project: Project, rights: Rights, *, name: str) -> dict[str, Any]:
    """`kpi whoami --json`: who asks, the role, what it may do, what it sees."""
    seen = rights.restriction
    return {
        "name": name,
        "role": rights.role or None,
        "may": [action for action in ACTIONS if rights.may(action)],
        "pages": sorted(rights.pages) if rights.pages is not None else None,
        "sees": {
            "areas": sorted(seen.areas),
            "hidden_kpis": sorted(seen.hidden),
            "masked_kpis": sorted(seen.masked),
            "rows": {item.dimension: list(item.values) for item in seen.rows},
            "min_people": seen.min_people or None,
            "columns": sorted(seen.classes),
        },
        "kpis": len(restricted(project.catalogue(), seen).kpis),
    }


def access(project: Project, kpi: str, role: str = "") -> list[KpiAccess]:
    """What each role sees of a KPI, or one of them. Raises UnknownName, SettingsError."""
    catalogue = project.catalogue()
    catalogue.kpi(kpi)
    names = [role] if role else [item.name for item in project.settings.roles]
    found = []
    for name in names:
        rights = rights_of_role(name, project.settings)
        given = project.settings.role(name)
        # Of a claim each person brings their own: what the rule says, not that nobody is here to bring one.
        rows = tuple(
            replace(item, values=item.values or ("each person's",), why="") for item in rights.restriction.rows
        )
        seen = replace(rights.restriction, rows=rows)
        own = access_of(seen_datasets(catalogue, seen), kpi, seen)
        claims = [f"{d}: {', '.join(v)}" for d, v in (given.row_filters if given else {}).items()]
        sees = "values" if own.valued else "listed" if own.listed else "nothing"
        found.append(KpiAccess(name, sees, own.why, "; ".join(claims)))
    return found


def problems(project: Project) -> list[str]:
    """What roles name that is not there, in sentences: a limit that limits nothing hides nothing."""
    catalogue = project.catalogue()
    return [
        f"role {role.name}: there is no {what} '{name}'"
        for role in project.settings.roles
        for what, name in unknown_names(catalogue, rights_of_role(role.name, project.settings).restriction)
    ]
