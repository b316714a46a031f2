"""cumulative: since when it is added up, in words."""

from __future__ import annotations

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.types.cumulative import Cumulative
from metrics.kpi_views.sentences import part_words
from metrics.kpi_views.types.contract import line_only

shape = line_only


def in_words(kpi: Cumulative, catalogue: Catalogue) -> str:
    """The measure, from when on, to the end of each period."""
    since = f"the start of each {kpi.grain_to_date}" if kpi.grain_to_date else "the first event"
    return f"{part_words(kpi.parts['measure'], catalogue)}, from {since} to the end of each period"
