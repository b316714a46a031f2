"""When a period's value is final: its end, and what must pass after it (a conversion's window, a retention's weeks)."""

from __future__ import annotations

import pandas as pd

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine import periods, types


def final_at(kpi: KpiCommon, period: pd.Timestamp, grain: str, catalogue: Catalogue) -> pd.Timestamp:
    """The watermark from which the value of a period is complete, on the grain's clock."""
    own = types.settled_at(kpi, periods.after(period, grain), grain, catalogue)
    return max([own, *(final_at(catalogue.kpi(name), period, grain, catalogue) for name in catalogue.references(kpi))])
