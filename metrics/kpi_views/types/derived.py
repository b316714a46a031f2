"""derived: its formula with the titles of what it names."""

from __future__ import annotations

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.types.derived import Derived
from metrics.kpi_views.types.contract import line_only

shape = line_only


def in_words(kpi: Derived, catalogue: Catalogue) -> str:
    """The formula; each name in braces as people call it."""
    text = kpi.expr
    for name in catalogue.references(kpi):
        text = text.replace("{" + name + "}", catalogue.kpi(name).title)
    return text
