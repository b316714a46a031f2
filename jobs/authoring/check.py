"""check: the data checks that definitions state, on the complete periods of their home grain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from connectors.errors import counted
from connectors.warehouse.contract import Reader
from jobs.project.project import Project
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import Check, KpiCommon
from metrics.engine.answer import answer
from metrics.engine.query import Query
from metrics.presentation.export import period
from metrics.quality.tracking_plan import breaches


def check(project: Project, names: Sequence[str]) -> list[dict[str, Any]]:
    """One row per check: kpi, check, ok, detail; of a tracking plan also plan and event.

    Raises UnknownName, DefinitionError for a named KPI.
    """
    reader = project.reader()
    catalogue = project.catalogue(reader)
    rows = []
    for name in names or sorted(catalogue.kpis):
        kpi = catalogue.kpi(name)
        if kpi.checks:
            series = answer(Query(name), catalogue, reader)
            done = series.frame[series.frame["complete"]]
            rows += [_row(kpi, item, done) for item in kpi.checks]
    return rows if names else [*rows, *_planned(catalogue, reader)]


def _planned(catalogue: Catalogue, reader: Reader) -> list[dict[str, Any]]:
    """A row per event of the tracking plans, and one for each that is not planned. `kpi` is empty."""
    rows: list[dict[str, Any]] = []
    for plan in catalogue.plans:
        state = reader.dataset_states(reader.generation.sequence).get(plan.dataset)
        if state is None or state.watermark is None:
            told = {"ok": False, "detail": f"not known yet: {plan.dataset} has no complete day"}
            rows += [
                {"kpi": "", "check": f"{event} as planned", **told, "plan": plan.name, "event": event}
                for event in plan.events
            ]
            continue
        found = breaches(plan, catalogue, reader)
        for event in dict.fromkeys([*plan.events, *(breach.event for breach in found)]):
            wrong = [breach.text for breach in found if breach.event == event]
            told = {"ok": not wrong, "detail": "; ".join(wrong) or "as planned"}
            rows.append({"kpi": "", "check": f"{event} as planned", **told, "plan": plan.name, "event": event})
    return rows


def _row(kpi: KpiCommon, item: Check, done: pd.DataFrame) -> dict[str, Any]:
    if item.between is not None:
        low, high = item.between
        text = f"between {low:g} and {high:g}"
        bad = done[done["value"].notna() & ~done["value"].between(low, high)]
        seen = bad["value"]
    elif item.min_n is not None:
        text, bad = f"n at least {item.min_n}", done[done["n"].fillna(0) < item.min_n]
        seen = bad["n"]
    else:
        text, bad = "never unknown", done[done["value"].isna()]
        seen = bad["value"]
    if bad.empty:
        detail = f"{len(done)} {kpi.grain}s"
    else:
        worst = period(bad.iloc[-1]["period"], kpi.grain)
        fail = "fails" if len(bad) == 1 else "fail"
        detail = f"{len(bad)} of {counted(len(done), kpi.grain)} {fail}; last {worst}: {seen.iloc[-1]:.12g}"
    return {"kpi": kpi.name, "check": text, "ok": bool(bad.empty), "detail": detail}
