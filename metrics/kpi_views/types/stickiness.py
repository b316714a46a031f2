"""stickiness: who comes on a short period of those of a long one, in words."""

from __future__ import annotations

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.types.stickiness import Stickiness
from metrics.kpi_views.sentences import rows_words
from metrics.kpi_views.types.contract import line_only

shape = line_only


def in_words(kpi: Stickiness, catalogue: Catalogue) -> str:
    """Mean of the short periods' people, divided by the long one's."""
    (rows,) = (rows_words(condition) for condition in kpi.conditions.values())
    return f"Mean of each {kpi.short}'s distinct people with {rows}, divided by the {kpi.long}'s"
