"""conversion: who converts within the window, in words."""

from __future__ import annotations

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.types.conversion import Conversion
from metrics.kpi_views.sentences import rows_words, ties_words, within_words
from metrics.kpi_views.types.contract import line_only

shape = line_only


def in_words(kpi: Conversion, catalogue: Catalogue) -> str:
    """Who of one is followed by the other, as a share of all of them."""
    base, conversion = (rows_words(condition) for condition in kpi.conditions.values())
    if kpi.of == "events":
        who = f"Each of {conversion}, credited to the entity's last of {base} before it"
    else:
        who = f"Who of {base} in the period is followed by {conversion}"
    who += ties_words(kpi.ties) + within_words(kpi.window)
    return who if kpi.calculation == "count" else f"{who}, as a share of all of them"
