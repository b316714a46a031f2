"""status and list: what there is and how fresh it is."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from connectors.warehouse.contract import NO_DIMENSION
from jobs.project.engine import ENGINE
from jobs.project.project import Project
from jobs.scheduler import book as books
from metrics.kpi_views.card import card
from metrics.presentation.format import iso
from metrics.presentation.freshness import dataset_late


def status(project: Project, *, now: datetime) -> dict[str, Any]:
    """Generation, datasets and sources as `kpi status --json` prints them."""
    sources, runs = project.sources.all(), project.sync_log.runs()
    last = [
        {
            "name": name,
            "state": runs[name].status if name in runs else "never pulled",
            "last_success": (runs[name].last_success[:19] + "Z") if name in runs and runs[name].last_success else None,
            "error": runs[name].error.split("\n")[0] or None if name in runs else None,
        }
        for name in (*sources, *([ENGINE] if project.settings.reads_tables or ENGINE in runs else []))
    ]
    if not project.has_data():
        warnings = list(project.warnings())
        nothing: dict[str, Any] = {"generation": None, "published_at": None, "datasets": []}
        return nothing | {"sources": last, "scheduler": _scheduler(project, now), "warnings": warnings}
    context = project.context(now)
    generation = context.reader.generation
    states = context.reader.dataset_states(generation.sequence)
    datasets = []
    for name in context.catalogue.datasets:
        late = dataset_late(name, context.catalogue, states, runs, context.table_sources, now)
        state = states.get(name)
        empty = state is None or state.rows == 0
        datasets.append(
            {
                "name": name,
                "watermark": iso(state.watermark) if state else None,
                "state": "no data" if empty else "stale" if late else "fresh",
                "rows": state.rows if state else 0,
            }
        )
    return {
        "generation": generation.id,
        "published_at": iso(generation.published_at),
        "datasets": datasets,
        "sources": last,
        "scheduler": _scheduler(project, now),
        "warnings": list(project.warnings()),
    }


def _scheduler(project: Project, now: datetime) -> dict[str, Any] | None:
    """Who leads, and what each job did and does next; None if no scheduler has run here."""
    book = books.read(project.data)
    return book.as_dict(now) if book is not None else None


def catalogue_rows(
    project: Project, *, now: datetime, tag: str | None = None, area: str | None = None
) -> list[dict[str, Any]]:
    """The catalogue as `kpi list --json` prints it; status is unknown before the first sync."""
    context = project.context(now) if project.has_data() else None
    catalogue = context.catalogue if context else project.catalogue()
    if context:  # each at its home grain, all in one statement
        kept = [(name, kpi.grain, NO_DIMENSION) for name, kpi in catalogue.kpis.items()]
        context.reader.read_ahead(kept, context.reader.generation.sequence)
    rows = []
    for name in sorted({*catalogue.kpis, *catalogue.broken}):
        kpi = catalogue.kpis.get(name)
        if kpi is None:
            if not (tag or area):
                rows.append(
                    {
                        **dict.fromkeys(
                            ("name", "label", "area", "type", "grain", "owner", "status", "additivity", "definition")
                        ),
                        "name": name,
                        "status": "definition_error",
                    }
                )
            continue
        if (tag and tag not in kpi.tags) or (area and area != kpi.area):
            continue
        rows.append(
            {
                "name": name,
                "label": kpi.title,
                "area": kpi.area,
                "type": kpi.type,
                "grain": kpi.grain,
                "owner": kpi.owner,
                "status": card(context, name).status.slug if context else None,
                "additivity": kpi.additivity,
                "definition": catalogue.definition(name),
            }
        )
    return rows
