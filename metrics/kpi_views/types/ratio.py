"""ratio: its two parts in words."""

from __future__ import annotations

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.types.ratio import Ratio
from metrics.kpi_views.sentences import part_words
from metrics.kpi_views.types.contract import line_only

shape = line_only


def in_words(kpi: Ratio, catalogue: Catalogue) -> str:
    """One part, divided by the other."""
    top, bottom = (part_words(kpi.parts[key], catalogue) for key in ("numerator", "denominator"))
    return f"{top}, divided by: {bottom}"
