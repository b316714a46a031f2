"""Who reads what leaves the dashboard: a snapshot that is taken for a role, a contact point or webhook whose
readers have one."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.settings import ContactPoint
from connectors.webhooks import Webhook
from jobs.access.rights import rights_of_role
from jobs.access.seen import seen_by
from jobs.project.project import Project


def part_of(project: Project, role: str) -> Project:
    """What a role sees of the project; all of it where none is named. Raises SettingsError for one that is not."""
    return seen_by(project.whole, rights_of_role(role, project.settings)) if role else project.whole


def may_be_told(project: Project, point: ContactPoint | Webhook, kpi: str, segments: Mapping[str, str]) -> bool:
    """Whether those who read there may see this of a KPI. segments: dimension → value of what it is of."""
    return part_of(project, point.role).shows(kpi, segments)


def may_be_sent(project: Project, point: ContactPoint | Webhook, audience: str) -> bool:
    """Whether those who read there may see what was made for an audience (Project.audience); empty = of everything."""
    if not point.role:
        return True
    part = part_of(project, point.role)
    return part.sees_all or (bool(audience) and part.audience == audience)
