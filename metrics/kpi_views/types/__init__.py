"""How each type is told and what it shows besides its line. One file = one type; contract.py says what it offers."""

from __future__ import annotations

import importlib
from types import ModuleType

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine.data_context import DataContext
from metrics.engine.query import Filter, Series
from metrics.kpi_views.types.contract import Shape


def _file_of(kpi: KpiCommon) -> ModuleType:
    return importlib.import_module(f"{__name__}.{kpi.type}")


def in_words(kpi: KpiCommon, catalogue: Catalogue) -> str:
    """The definition as a sentence."""
    text: str = _file_of(kpi).in_words(kpi, catalogue)
    steps = [next(iter(step)) for step in kpi.transforms if "as" not in next(iter(step.values()))]
    return text + (f", then {', '.join(steps)}" if steps else "") + "."


def shape_of(
    context: DataContext, kpi: KpiCommon, series: Series, where: tuple[Filter, ...] = (), who: str = ""
) -> Shape | None:
    """What a series shows by its KPI's type; None where the line says it all, or where `period_agg` left no parts.

    who: only the comments of this group.
    """
    if not any(isinstance(parts, tuple) for parts in series.frame["parts"]):
        return None
    shape: Shape | None = _file_of(kpi).shape(context, kpi, series, where, who)
    return shape
