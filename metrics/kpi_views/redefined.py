"""Redefinitions: for 28 days a KPI says that it is counted differently now, and what that did to its number."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pandas as pd

from connectors.warehouse.contract import NO_DIMENSION, Generation
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine.data_context import DataContext
from metrics.presentation import format as fmt
from metrics.presentation.precision import same

TOLD = timedelta(days=28)
NEAR = timedelta(days=7)  # between the day a file names and the sync that brought the change


def redefinition(context: DataContext, kpi: KpiCommon) -> str:
    """`Redefined 12 Nov: was 41.8%, now 39.9% (9–15 Nov). Bots excluded. – ana`; empty if nothing changed lately.

    Told for an entry of `changes`, and for a definition that changed its numbers without one.
    """
    zone = ZoneInfo(context.catalogue.timezone)
    today = context.catalogue.today(context.now)
    said = max((c for c in kpi.changes if today - TOLD < c.on <= today), key=lambda c: c.on, default=None)
    found = _swap(context, kpi)
    moved = ""
    on: date | None = said.on if said else None
    if found is not None:
        before, generation = found
        at = generation.published_at.astimezone(zone).date()
        near = said is None or abs(at - said.on) <= NEAR
        if near and today - at < TOLD:
            moved = _moved(context, kpi, before, generation)
            on = on or (at if moved else None)
    if on is None:
        return ""
    why = f" {_sentence(said.why)}{f' – {said.by}' if said.by else ''}" if said else ""
    return f"Redefined {on.day} {on:%b}{moved}.{why}" if moved or said else ""


def _swap(context: DataContext, kpi: KpiCommon) -> tuple[int, Generation] | None:
    """(sequence of the last generation with the former definition, generation that brought the present one)."""
    known = context.reader.stored_definitions(kpi.name, kpi.grain)
    sequences = {g.sequence: g for g in context.reader.generations()}
    for (old, _), (new, sequence) in reversed(list(pairwise(known))):
        if old != new and sequence in sequences:
            return sequence - 1, sequences[sequence]
    return None


def _moved(context: DataContext, kpi: KpiCommon, before: int, generation: Generation) -> str:
    """`: was 41.8%, now 39.9% (9–15 Nov)`: the last complete period then, by both definitions; empty if equal."""
    old = context.reader.stored_values(kpi.name, kpi.grain, NO_DIMENSION, before)
    new = context.reader.stored_values(kpi.name, kpi.grain, NO_DIMENSION, generation.sequence)
    if old is None or new is None:
        return ""
    done = old.frame[old.frame["complete"] & old.frame["value"].notna()]
    both = done.merge(new.frame[["period", "value"]], on="period", suffixes=("", "_new")).dropna(subset=["value_new"])
    if both.empty:
        return ""
    row = both.sort_values("period").iloc[-1]
    was, now = float(row["value"]), float(row["value_new"])
    if same(was, now):  # the same number, added up in another order
        return ""
    old_text, new_text = fmt.value_texts((was, now), kpi)
    period = fmt.period_text(pd.Timestamp(row["period"]), kpi.grain, context.now.year)
    return f": was {old_text}, now {new_text} ({period})"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."
