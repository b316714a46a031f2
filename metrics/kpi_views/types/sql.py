"""sql: only its SELECT says what it is."""

from __future__ import annotations

from connectors.errors import counted
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.types.sql import Sql
from metrics.kpi_views.types.contract import line_only

shape = line_only


def in_words(kpi: Sql, catalogue: Catalogue) -> str:
    """That it has a SELECT of its own, and when its periods count."""
    return "By its own SELECT" + (
        f"; a period counts once it is {counted(kpi.maturity.days, 'day')} old" if kpi.maturity else ""
    )
