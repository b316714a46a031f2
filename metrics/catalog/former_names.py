"""Names that KPIs had before: links, files and people still use them, and each leads to one KPI of today."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from connectors.errors import Problem
from metrics.catalog.document import Document
from metrics.catalog.models.kpi import KpiCommon


def former_names(kpis: Mapping[str, KpiCommon]) -> dict[str, str]:
    """Name that a KPI had before → its name of today."""
    return {former: kpi.name for kpi in kpis.values() for former in kpi.formerly}


def owners_of(kpis: Iterable[KpiCommon]) -> dict[str, list[str]]:
    """Former name → all that claim it, by name; more than one is an error of each."""
    found: dict[str, list[str]] = {}
    for kpi in kpis:
        for former in dict.fromkeys(kpi.formerly):
            found.setdefault(former, []).append(kpi.name)
    return found


def former_problems(
    item: KpiCommon, document: Document, files: Collection[str], owners: Mapping[str, list[str]]
) -> list[Problem]:
    """What is wrong with a KPI's former names: each leads to one KPI. files: stems of kpis/, right or wrong."""
    found = []
    for index, former in enumerate(item.formerly):
        others = [name for name in owners.get(former, ()) if name != item.name]
        if former == item.name:
            text, hint = f"'{former}' is the KPI's name of today", "Write the names that it had before."
        elif former in files:
            text, hint = f"'{former}' is a KPI of its own", f"Remove kpis/{former}.yml, or take the name out here."
        elif others:
            text = f"'{former}' was the name of {' and '.join(others)}, too"
            hint = "A link with the old name can lead to one KPI: leave the name in one file."
        elif former in item.formerly[:index]:
            text, hint = f"'{former}' is named twice", "Leave one of them out."
        else:
            continue
        found.append(document.problem(("formerly", index), "former_name", text, hint))
    return found
