"""What a well-formed snapshot can still get wrong: names of KPIs, areas, dimensions."""

from __future__ import annotations

from collections.abc import Collection

from connectors.errors import Problem, did_you_mean
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.document import Document, Place
from metrics.catalog.models.snapshot import Snapshot


def snapshot_problems(item: Snapshot, document: Document, catalogue: Catalogue) -> list[Problem]:
    """Every problem of one snapshot. catalogue: with its KPIs; those whose file is wrong still count as known."""
    known = sorted({*catalogue.kpis, *catalogue.broken})
    areas = {kpi.area for kpi in catalogue.kpis.values() if kpi.area}
    found = []
    for number, section in enumerate(item.sections):
        here: Place = ("sections", number, "area")
        if section.area and section.area not in areas:
            text, hint = f"no KPI has the area '{section.area}'", did_you_mean(section.area, sorted(areas))
            found.append(document.problem(here, "unknown_area", text, hint, "warning"))
        for place, shown in enumerate(section.kpis):
            here = ("sections", number, "kpis", place)
            if shown.kpi not in known:
                text = f"unknown KPI '{shown.kpi}'"
                hint = did_you_mean(shown.kpi, known, catalogue.formerly)
                found.append(document.problem(here, "unknown_kpi", text, hint))
            elif shown.kpi in catalogue.kpis:
                dimensions = catalogue.dimensions_of(catalogue.kpi(shown.kpi))
                found += _dimensions(document, (*here, "where"), shown.where, shown.kpi, dimensions)
    return found


def _dimensions(
    document: Document, at: Place, where: dict[str, str], kpi: str, dimensions: Collection[str]
) -> list[Problem]:
    return [
        document.problem(
            at, "unknown_dimension", f"{kpi} has no dimension '{name}'", did_you_mean(name, sorted(dimensions))
        )
        for name in where
        if name not in dimensions
    ]
