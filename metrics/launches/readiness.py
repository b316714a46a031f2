"""Before the day: is there enough history, is tracking seen, is the effect hoped for large enough to be seen?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.launch import FIRM_DAYS, Launch
from metrics.launches.impact import FEWEST_BEFORE, WEEK, Panel, history_needed, impact
from metrics.launches.impacts import Measure
from metrics.launches.observe import Observed


@dataclass(frozen=True)
class Check:
    """One line of the readiness list. state: ok, warning or missing."""

    state: str
    words: str


@dataclass(frozen=True)
class Visible:
    """The smallest effect that a reading at D+14 would tell from noise, in the reading's unit."""

    size: float
    relative: bool


def history(launch: Launch, kpi: KpiCommon, observed: Observed) -> Check:
    """Whether there is enough before the launch to read it, and to calibrate."""
    if observed.panel is None:
        return Check("missing", observed.why)
    grain, known = observed.panel.grain, _before(launch, observed)
    after = FIRM_DAYS * WEEK[grain] // 7
    if known < FEWEST_BEFORE[grain]:
        return Check(
            "missing", f"{kpi.title}: {known} {grain}s of history, {FEWEST_BEFORE[grain]} are needed for any verdict."
        )
    if known < history_needed(grain, after):
        return Check(
            "warning",
            f"{kpi.title}: {known} {grain}s of history; verdicts stay uncalibrated below "
            f"{history_needed(grain, after)}.",
        )
    return Check("ok", f"{kpi.title}: {known} {grain}s of history.")


def visible(observed: Observed, half: float | None) -> Visible | None:
    """What the method could have seen at D+14. half: of the interval there, on the panel's scale."""
    if half is None:
        return None
    return Visible(float(np.expm1(half)) if observed.logarithm else half, observed.logarithm)


def half_interval(launch: Launch, observed: Observed, days: int, *, measure: Measure = impact) -> float | None:
    """Half of the interval, on the panel's scale, of a reading at D+`days` of a launch of all at the latest date before
    this one.
    """
    if observed.panel is None or not len(observed.panel.treated):
        return None
    panel = observed.panel
    index = pd.DatetimeIndex(panel.treated.index)
    after = days * WEEK[panel.grain] // 7
    first = min(int(index.searchsorted(pd.Timestamp(launch.starts_on))), len(index)) - after
    if first < FEWEST_BEFORE[panel.grain]:
        return None
    since = (np.arange(len(index)) >= first).astype(float)
    treated = panel.treated.iloc[:, :1] if panel.treated.shape[1] > 1 and not panel.controls.shape[1] else panel.treated
    exposure = pd.DataFrame(dict.fromkeys(treated.columns, since), index)
    found = measure(
        replace(panel, treated=treated, exposure=exposure, sampling=_sampled(panel, treated)),
        index[first],
        index[first + after - 1] + pd.Timedelta(hours=1),
    )
    return None if found is None else found.smallest


def _sampled(panel: Panel, treated: pd.DataFrame) -> pd.DataFrame | None:
    """The sampling variances of these of the panel's treated columns, and of its controls."""
    if panel.sampling is None:
        return None
    controls = panel.sampling.iloc[:, panel.treated.shape[1] :]
    return pd.concat([panel.sampling.iloc[:, : treated.shape[1]], controls], axis=1)


def stated(launch: Launch, catalogue: Catalogue) -> list[Check]:
    """What a launch's file leaves out."""
    found = [
        Check("missing", f"{name} is not defined, so it cannot be measured.")
        for name in launch.measured
        if name not in catalogue.kpis
    ]
    if not launch.success:
        found.append(Check("missing", "No success KPI is named: there is nothing to measure."))
    if not launch.guardrails:
        found.append(Check("warning", "No guardrail is named."))
    if not launch.held_against and not any(step.segment for step in launch.rollout):
        found.append(Check("warning", "No control group: verdicts stay directional."))
    if not launch.owner:
        found.append(Check("warning", "No owner: no one is notified."))
    return found


def _before(launch: Launch, observed: Observed) -> int:
    assert observed.panel is not None
    treated = observed.panel.treated
    return int(treated.loc[treated.index < pd.Timestamp(launch.starts_on)].notna().all(axis=1).sum())
