"""What the file of a KPI type offers the views.

in_words(kpi, catalogue): the definition as a sentence, without its full stop and transforms.
shape(context, kpi, series, where, who): what is drawn besides the line, or None; `line_only` where there is nothing.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

from metrics.catalog.models.kpi import KpiCommon
from metrics.engine.data_context import DataContext
from metrics.engine.query import Filter, Series


class Shape(Protocol):
    """A frozen value that ui/kpi/types/<drawn_by>.py draws."""

    drawn_by: ClassVar[str]


def line_only(
    context: DataContext, kpi: KpiCommon, series: Series, where: tuple[Filter, ...], who: str
) -> Shape | None:
    """For a type whose line says it all."""
    return None
