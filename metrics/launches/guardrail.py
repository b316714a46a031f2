"""Does a KPI that a launch must not hurt still keep its limit? Judged on the KPI's own number: its home grain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pandas as pd

from connectors.errors import KpiError
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.launch import Guardrail
from metrics.engine import periods
from metrics.launches.inputs import LaunchInputs


@dataclass(frozen=True)
class Guard:
    """holds: None = not known yet, `why` says so. value of the last complete period since launch; since: the first
    period of the run beyond the limit that it is in. limit: the number; must: the condition in words.
    """

    kpi: str
    holds: bool | None
    must: str
    limit: float | None = None
    value: float | None = None
    period: pd.Timestamp | None = None
    since: pd.Timestamp | None = None
    why: str = ""


def guard(item: Guardrail, inputs: LaunchInputs, start: date) -> Guard:
    """Where a guardrail stands on the live data."""
    kpi = inputs.catalogue.kpi(item.kpi)
    must, limit = _condition(item, kpi)
    if limit is None:
        return Guard(kpi.name, None, must, why=_no_limit(must))
    try:
        frame = inputs.own_values(kpi.name)
    except KpiError as error:
        return Guard(kpi.name, None, must, limit, why=error.message)
    ends = frame["period"].map(lambda at: periods.after(at, kpi.grain))
    known = frame[frame["complete"] & frame["value"].notna() & (ends > pd.Timestamp(start))]
    if known.empty:
        return Guard(kpi.name, None, must, limit, why=f"No complete {kpi.grain} since launch yet.")
    held = [keeps(item, kpi, float(value)) for value in known["value"]]
    since = None
    for at, fine in zip(known["period"], held, strict=True):
        since = None if fine else since if since is not None else at
    last = known.iloc[-1]
    return Guard(kpi.name, held[-1], must, limit, float(last["value"]), last["period"], since)


def keeps(item: Guardrail, kpi: KpiCommon, value: float) -> bool:
    """Whether a value keeps the limit, which is a number."""
    if item.must is not None:
        return item.must.breached(value, None)  # its condition is what good values meet
    critical = kpi.thresholds.critical if kpi.thresholds else None
    return critical is None or not critical.breached(value, None)


def _no_limit(must: str) -> str:
    """Why there is no number to keep."""
    if must:
        return f'It {must}: a guardrail needs a number. Write such as `limit: "> 40"`.'
    return "It has no limit, and the KPI no critical threshold."


def _condition(item: Guardrail, kpi: KpiCommon) -> tuple[str, float | None]:
    if item.must is not None:
        return f"must stay {item.must.words}", item.must.limit(None)
    critical = kpi.thresholds.critical if kpi.thresholds else None
    if critical is None:
        return "", None
    return f"must not be {critical.words}", critical.limit(None)
