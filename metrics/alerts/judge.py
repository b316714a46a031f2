"""Rule + series → what the rule says of each complete period, before any state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from metrics.alerts import calendars
from metrics.alerts.expected_range import Expectation, Phase
from metrics.alerts.kpi_expectation import expected_of
from metrics.alerts.levels import CRITICAL, SEVERITIES, WARNING
from metrics.alerts.rules import Rule
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.values import Threshold
from metrics.catalog.targets import Begins, target_at
from metrics.engine import periods
from metrics.engine.beginning import Beginning, beginning, begins_of, paced_target
from metrics.transforms.percent_change import relative_change

WORSE = 1.5  # an expected range is critical from so many times its limit
CALM = 0.8  # and a firing one recovers below this share of it
Floats = np.ndarray
BY_PERIOD = (
    *("periods", "value", "n", "level", "hold", "known"),
    *("low", "high", "reference", "badness", "critical"),
)
Parts = tuple[Floats, Floats, np.ndarray, Floats, Floats, Floats, Floats, Floats, Phase]


@dataclass(frozen=True)
class Judgement:
    """One segment, complete periods only, arrays of one length.

    level: 0 good, 1 warning, 2 critical, as the period alone is. hold: the severity that a firing incident keeps
    there, by its recovery thresholds. sustained: the level of the last `for` periods together. known: whether the
    period can be judged. value, low..high (where the rule is quiet; NaN = open), reference: in the KPI's unit.
    badness: larger is worse, for the peak. Periods before the rule's beginning are left out.
    """

    segment: str
    periods: pd.DatetimeIndex
    value: Floats
    n: Floats
    level: Floats
    hold: Floats
    sustained: Floats
    known: np.ndarray
    low: Floats
    high: Floats
    reference: Floats
    badness: Floats
    critical: Floats  # the bound of critical, NaN = none
    phase: Phase = Phase.READY  # of an expected range, by now
    begins: pd.Timestamp | None = None  # where a file or launch says so

    def worst(self, first: pd.Timestamp, last: pd.Timestamp) -> int | None:
        """Index of the worst judged period of a range, both ends inclusive; None if none was judged."""
        inside = np.flatnonzero((self.periods >= first) & (self.periods <= last) & self.known)
        return int(inside[int(np.argmax(self.badness[inside]))]) if len(inside) else None


@dataclass(frozen=True)
class _Measure:
    """What thresholds are compared with: a number per period, and how a limit of it is a value of the KPI."""

    reference: Floats
    relative: Floats
    points: Floats

    def of(self, limit: Threshold) -> Floats:
        return self.relative if limit.unit == "%" else self.points

    def as_value(self, limit: Threshold) -> Floats:
        bound = limit.limit(None)
        assert bound is not None
        return self.reference + (np.abs(self.reference) * bound if limit.unit == "%" else bound)


def judge(
    rule: Rule,
    kpi: KpiCommon,
    catalogue: Catalogue,
    frame: pd.DataFrame,
    *,
    segment: str = "",
    country: str = "",
    normal_from: Sequence[pd.Timestamp] = (),
) -> Judgement:
    """Judge one segment. frame: its rows of an answer at the rule's grain, periods rising, without transforms
    unless the rule is `of` a companion. country: of the holidays. normal_from: see `expectation`."""
    column, grain = rule.alert.of or "value", rule.grain or kpi.grain
    begins = beginning(rule.since, kpi, catalogue, frame, grain)
    done = frame["complete"].to_numpy(dtype=bool)
    index = pd.DatetimeIndex(frame["period"].to_numpy()[done])
    value, n = (frame[name].to_numpy("float64", na_value=np.nan)[done] for name in (column, "n"))
    known = ~np.isnan(value)
    few = known & (np.nan_to_num(n) < rule.alert.min_volume) if rule.alert.min_volume else np.zeros(len(n), dtype=bool)
    if rule.alert.compare == "expected_range":
        expected, quiet = expected_of(
            kpi,
            catalogue,
            index,
            value,
            n,
            country=country,
            sensitivity=rule.alert.sensitivity,
            few=few,
            normal_from=normal_from,
        )
        found = _expected(expected, quiet)
    else:
        found = _compared(rule, kpi, catalogue, index, value, begins_of(kpi, catalogue, frame, grain))
    level, hold, judged, low, high, reference, badness, critical, phase = found
    missing = ~known & (rule.alert.no_data != "stale")
    bad = CRITICAL if rule.alert.no_data == "alert" else 0
    level, hold = np.where(missing, bad, level), np.where(missing, bad, hold)
    judged = (judged & known & ~few) | missing
    level, hold = np.where(judged, level, 0), np.where(judged, hold, 0)
    badness = np.where(missing & (bad > 0), np.inf, badness)
    whole = Judgement(
        segment, index, value, n, level, hold, level, judged, low, high, reference, badness, critical, phase
    )
    return _begun(whole, begins, rule.alert.for_)


def _begun(whole: Judgement, begins: Beginning, count: int) -> Judgement:
    """Without the periods before its beginning. count: as of `_sustained`."""
    first = len(whole.periods) if begins.at is None else int(whole.periods.searchsorted(begins.at))
    parts = {name: getattr(whole, name)[first:] for name in BY_PERIOD}
    sustained = _sustained(parts["level"], count)
    return replace(whole, **parts, sustained=sustained, begins=begins.at if begins.stated else None)


def _sustained(level: Floats, count: int) -> Floats:
    """The level that the last `count` periods all have."""
    if count == 1 or not len(level):
        return level
    windows = np.lib.stride_tricks.sliding_window_view(np.concatenate([np.zeros(count - 1), level]), count)
    return np.asarray(windows.min(axis=1))


def _compared(
    rule: Rule, kpi: KpiCommon, catalogue: Catalogue, index: pd.DatetimeIndex, value: Floats, begins: Begins
) -> Parts:
    """Judged by thresholds on the value, or on its change against a reference."""
    targets = _targets(rule, kpi, catalogue, index, begins)
    measure = None
    if rule.alert.compare == "value":
        reference = targets
    else:
        reference = targets if rule.alert.compare == "target" else _earlier(rule, kpi, catalogue, index, value)
        measure = _Measure(reference, relative_change(value, reference), value - reference)
    known = np.ones(len(value), dtype=bool) if measure is None else ~np.isnan(reference)
    level, hold, badness = np.zeros(len(value)), np.zeros(len(value)), np.full(len(value), -np.inf)
    low, high, critical = (np.full(len(value), np.nan) for _ in range(3))
    open_ = np.zeros(len(value), dtype=bool)  # a share of nothing is unknown, so its threshold says nothing
    recoveries = {"warning": rule.thresholds.warning_recovery, "critical": rule.thresholds.critical_recovery}
    for name, limit in rule.limits:
        severity = SEVERITIES.index(name)
        beyond, distance, bound = _beyond(limit, value, targets, measure)
        level = np.where(beyond, severity, level)
        open_ = open_ | (np.isnan(measure.of(limit)) if measure is not None else False)
        badness = np.maximum(badness, np.where(np.isnan(distance), -np.inf, distance))
        recovery = recoveries[name]
        kept = beyond if recovery is None else ~_beyond(recovery, value, targets, measure)[0]
        hold = np.where(kept, severity, hold)
        critical = bound if severity == CRITICAL else critical
        if limit.operator in ("<", "<="):
            low = np.where(np.isnan(low), bound, np.fmax(low, bound))
        else:
            high = np.where(np.isnan(high), bound, np.fmin(high, bound))
    known = known & (~open_ | (level > 0))
    return level, np.maximum(level, hold), known, low, high, reference, badness, critical, Phase.READY


def _beyond(
    limit: Threshold, value: Floats, targets: Floats, measure: _Measure | None
) -> tuple[np.ndarray, Floats, Floats]:
    """Where a threshold is met, how far beyond it, and the bound in the KPI's unit."""
    if measure is None:
        share = np.abs(targets) * limit.number / 100
        bound = targets + share if limit.of_target else np.full(len(value), limit.limit(None))
        seen, edge = value, bound
    else:
        plain = limit.limit(None)
        assert plain is not None
        seen, bound, edge = measure.of(limit), measure.as_value(limit), np.full(len(value), plain)
    compare: Callable[..., np.ndarray] = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}[
        limit.operator
    ]
    sign = -1 if limit.operator in ("<", "<=") else 1
    return compare(seen, edge), sign * (seen - edge), bound


def _targets(rule: Rule, kpi: KpiCommon, catalogue: Catalogue, index: pd.DatetimeIndex, begins: Begins) -> Floats:
    """The target of each period; of a value to date its part of a longer period's target; NaN = none."""
    if not kpi.targets:
        return np.full(len(index), np.nan)
    if rule.grain:
        found = [target_at(kpi, period, rule.grain, begins) for period in index]
    else:
        found = [paced_target(kpi, catalogue, period, begins) for period in index]
    return np.array([np.nan if target is None else target for target in found], dtype="float64")


def _earlier(rule: Rule, kpi: KpiCommon, catalogue: Catalogue, index: pd.DatetimeIndex, value: Floats) -> Floats:
    """The value that each is compared with. Days of 23 and 25 hours are compared hour for hour, if counts add up."""
    lag = lag_of(rule.alert.compare, kpi)
    earlier = pd.Series(value, index=index).reindex(periods.shifted(index.to_series(), kpi.grain, -lag)).to_numpy()
    if kpi.grain != "day" or not kpi.counts_each_hour_once:
        return np.asarray(earlier)
    hours = calendars.hours_of(index, catalogue.timezone)
    before = calendars.hours_of(index - pd.Timedelta(days=lag), catalogue.timezone)
    return np.asarray(earlier * hours / before)


def lag_of(compare: str, kpi: KpiCommon) -> int:
    """How many home periods earlier the reference lies; a windowed KPI compares with one whole window earlier."""
    if compare == "same_period_last_year":
        return periods.YEAR_BACK[kpi.grain]
    if compare == "same_period_last_week":
        return {"hour": 168, "day": 7}.get(kpi.grain, 1)
    return kpi.trailing_window.days if kpi.trailing_window and kpi.grain == "day" else 1


def _expected(found: Expectation, quiet: np.ndarray) -> Parts:
    """Judged by how odd a value is for its level, season and noise. quiet: periods that nobody is alerted of."""
    ready = found.ready
    odd = np.nan_to_num(np.abs(found.z))
    level = np.where(odd >= WORSE * found.limit, CRITICAL, np.where(odd >= found.limit, WARNING, 0)) * ready
    hold = np.where(odd >= CALM * found.limit, WARNING, 0) * ready
    return (
        level,
        np.maximum(level, hold),
        ready & ~quiet,
        found.low,
        found.high,
        found.expected,
        odd,
        np.full(len(odd), np.nan),
        found.phase,
    )
