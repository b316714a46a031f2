"""What the file of a KPI type offers the engine, and what most types say alike.

facts(kpi, scope): its values over every period of the scope, as FACT_COLUMNS; raises QueryRefused.
dirty_ranges(kpi, catalogue, rows): the days whose values may differ, given those of each dataset; None = any.
settled_at(kpi, end, grain, catalogue): the watermark from which a period that ends at `end` is final.
May offer, too: sampling(kpi, frame): the sampling variance of each value of an answer, from value, n and parts.
people(kpi, catalogue): what each person adds to a value (sampling.People), where that must be counted; None: it cannot.
per_person(kpi, catalogue): what it is for one person (per_person.PerPerson); a text says why nothing.
sums(kpi, catalogue): what of it a refresh may count for several KPIs at once, and from how many days before.
people_of(kpi, catalogue): whom of it a refresh may count for several KPIs, grains and dimensions at once.
people_kept(kpi, catalogue): whose days a generation keeps for it, where that is not `people_of`.
values_kept(kpi, catalogue): medians and percentiles of long periods, for which it keeps how often each value is there.
from_days(kpi, daily, scope): its values of longer periods, of those of their days; None where these do not tell.
propagated(kpi, values, variances): the sampling variance of values that are made of other KPIs', by those'.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine import periods
from metrics.engine.dirty_ranges import DAY, FAR, DirtyRanges, merged, union

Rows = Mapping[str, DirtyRanges | None]


def unchanged_or_everything(kpi: KpiCommon, catalogue: Catalogue, rows: Rows) -> DirtyRanges | None:
    """For a type that looks at more than a period's own rows, such as an entity's first."""
    return [] if all(rows[name] is not None and not rows[name] for name in catalogue.datasets_of(kpi)) else None


def from_then_on(kpi: KpiCommon, catalogue: Catalogue, rows: Rows) -> DirtyRanges | None:
    """For a type whose period is made of all that was before it, too."""
    found = union(rows[name] for name in catalogue.datasets_of(kpi))
    return found if not found else [(found[0][0], FAR)]


def own_rows(kpi: KpiCommon, catalogue: Catalogue, rows: Rows) -> DirtyRanges | None:
    """For a type whose period is made of its own rows."""
    return rows[catalogue.datasets_of(kpi)[0]]


def starts_within_its_window(kpi: KpiCommon, catalogue: Catalogue, rows: Rows) -> DirtyRanges | None:
    """Who started up to a window earlier may have come further; and what was not mature has become so."""
    if not kpi.settles_after:
        return unchanged_or_everything(kpi, catalogue, rows)
    found = union(rows[name] for name in catalogue.datasets_of(kpi))
    return found if found is None else merged((a - kpi.settles_after - 2 * DAY, b) for a, b in found)


def ends_with_its_period(kpi: KpiCommon, end: pd.Timestamp, grain: str, catalogue: Catalogue) -> pd.Timestamp:
    """For a type whose value is final when its period is over, or one fixed span later."""
    span = kpi.settles_after
    return periods.elapsed(end, span, grain, catalogue.timezone) if span else end
