"""The grain that a launch is measured by: days where the KPI can be counted by day, else weeks.

Also where its home grain is longer and its file offers no days: with one value a week, an effect takes a quarter to be
seen. The values by day of KPIs that launches name are stored with the others, so a verdict can be read again as of the
generation that it was made from.
"""

from __future__ import annotations

from connectors.warehouse.contract import NO_DIMENSION, Staging
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.values import GRAINS


def launch_grain(kpi: KpiCommon, catalogue: Catalogue) -> str | None:
    """day, week, or None where neither says anything: months, and values that add up over time."""
    if kpi.runs_on:
        return None
    if kpi.grain in ("hour", "day") or (kpi.has_each_day and _parts_by_day(kpi, catalogue)):
        return "day"
    return "week" if kpi.grain == "week" else None


def stored_grains(kpi: KpiCommon, catalogue: Catalogue, offered: tuple[str, ...]) -> tuple[str, ...]:
    """What a sync stores: the offered grains and, for launches, the one they are measured by."""
    grain = launch_grain(kpi, catalogue) if kpi.name in catalogue.measured else None
    return offered if grain is None or grain in offered else (*offered, grain)


def lacks_launch_grain(staging: Staging, kpi: KpiCommon, catalogue: Catalogue, offered: tuple[str, ...]) -> bool:
    """Whether a launch names a KPI whose values by its grain are not stored, although its others are."""

    def stored(grain: str) -> bool:
        return staging.stored_segments(kpi.name, grain, NO_DIMENSION, ()) is not None

    more = [grain for grain in stored_grains(kpi, catalogue, offered) if grain not in offered]
    return bool(more) and stored(kpi.grain) and not all(stored(grain) for grain in more)


def _parts_by_day(kpi: KpiCommon, catalogue: Catalogue) -> bool:
    referred = [catalogue.kpis.get(name) for name in catalogue.references(kpi)]
    shortest = [GRAINS.index(part.grain) <= GRAINS.index("day") or part.has_each_day for part in referred if part]
    return all(shortest)
