"""simple: an aggregate in words."""

from __future__ import annotations

from connectors.errors import counted
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.types.simple import Simple
from metrics.kpi_views.sentences import measure_words
from metrics.kpi_views.types.contract import line_only

shape = line_only
PICKED = {"first": "first", "last": "last", "min": "least", "max": "greatest"}


def in_words(kpi: Simple, catalogue: Catalogue) -> str:
    """Sum of amount, over the 7 days up to and including each day."""
    text = measure_words(kpi.measure)
    if kpi.semi_additive:
        per = kpi.semi_additive.per or catalogue.datasets[kpi.dataset].entity
        text += f", over the {PICKED[kpi.semi_additive.pick]} row of each {per} in the period"
    return text + (f", over the {counted(kpi.window.days, 'day')} up to and including each day" if kpi.window else "")
