"""A reading: what a launch did to one KPI by a day fixed beforehand, in numbers and words. Made once, then kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from connectors.errors import counted
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.launch import FIRM_DAYS, READINGS, Launch
from metrics.launches.impact import FEWEST_BEFORE, METHOD, Impact, Words, history_needed, impact
from metrics.launches.impacts import Measure
from metrics.launches.observe import Observed
from metrics.launches.sampling_floor import widened
from metrics.presentation.format import days_text

LISTS = ("notes", "around", "controls", "weights")  # of a reading
DIGITS = 10  # significant ones that are kept: the same on every machine


@dataclass(frozen=True)
class Reading:
    """One KPI of one launch at one reading. Numbers are in the KPI's unit, or shares of it where `relative`.

    days: 7, 14 or 28 since launch; 0 = a look in between, which is no verdict. verdict: empty = none, `why` says so.
    start, end: the days looked at, half-open. level, expected: means since launch, as seen and without it.
    factor: how much wider calibration made the interval; None = uncalibrated. cried: how many of `placebos` earlier
    dates looked like an effect. smallest: what is smaller cannot be seen. method: version of the measurement.
    sampling: half of the interval that sampling alone gives, in the unit of smallest; None = not known. floor: the
    interval was widened to it. around: other launches and marks that its history was read around. weights: how much of
    the moves of each of `controls` was taken off; event: how likely it is that something moved them on the day, too.
    """

    kpi: str
    days: int
    start: date
    end: date
    verdict: str = ""
    why: str = ""
    relative: bool = False
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    raw_low: float | None = None
    raw_high: float | None = None
    smallest: float | None = None
    level: float | None = None
    expected: float | None = None
    factor: float | None = None
    placebos: int = 0
    cried: int = 0
    periods: int = 0
    grain: str = "day"
    exposure: float = 1.0
    treated: str = ""
    control: str = ""
    notes: tuple[str, ...] = ()
    definition: str = ""
    method: int = METHOD
    sampling: float | None = None
    floor: bool = False
    around: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    event: float = 0.0

    @property
    def badges(self) -> tuple[str, ...]:
        """What weakens a verdict: directional, uncalibrated, not firm yet."""
        if not self.verdict:
            return ()
        found = ["directional"] if not self.control else []
        found += ["uncalibrated"] if self.factor is None else []
        return tuple(found + (["not firm yet"] if 0 < self.days < FIRM_DAYS else []))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON and the state store."""
        plain = asdict(self)
        return {
            **plain,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            **{k: list(plain[k]) for k in LISTS},
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Reading:
        """The reading that as_dict made; keys of later versions are left out."""
        known = {f.name for f in fields(cls)}
        kept = {key: value for key, value in plain.items() if key in known}
        return cls(
            **{
                **kept,
                "start": date.fromisoformat(plain["start"]),
                "end": date.fromisoformat(plain["end"]),
                **{name: tuple(plain.get(name, ())) for name in LISTS},
            }
        )


@dataclass(frozen=True)
class ReadingResult:
    """A reading with the path behind it: frame by period with actual, expected, low, high in the KPI's unit."""

    reading: Reading
    path: pd.DataFrame = field(default_factory=pd.DataFrame)


def complete_days(launch: Launch, observed: Observed) -> int:
    """Whole days since launch whose values are complete."""
    if observed.complete_to is None:
        return 0
    return max(0, int((observed.complete_to - pd.Timestamp(launch.starts_on)).days))


def due(launch: Launch, observed: Observed) -> tuple[int, ...]:
    """Readings whose day has come: their last period is complete."""
    if observed.complete_to is None or observed.panel is None:
        return ()
    return tuple(days for days in READINGS if observed.complete_to >= _last(launch, observed, days))


def read(
    launch: Launch,
    kpi: KpiCommon,
    observed: Observed,
    days: int = 0,
    *,
    measure: Measure = impact,
    sampling: float | None = None,
) -> ReadingResult:
    """The reading at D+days; days 0 = up to what is complete. Without a verdict it says why.

    sampling: as in Reading, where the panel does not know it: that of a published reading, whose people are not kept.
    """
    start = launch.starts_on
    blank = Reading(
        kpi.name,
        days,
        start,
        start,
        treated=observed.treated,
        control=observed.control,
        notes=observed.notes,
        definition=observed.definition,
        around=observed.around,
    )
    if observed.panel is None:
        return ReadingResult(replace(blank, why=observed.why))
    blank = replace(blank, grain=observed.panel.grain)
    end = _last(launch, observed, days) if days else observed.complete_to
    done = complete_days(launch, observed)
    if end is None or observed.complete_to is None or observed.complete_to < end or (not days and done < READINGS[0]):
        return ReadingResult(replace(blank, why=_early(launch, kpi, observed, done)))
    first, whole = _first(observed, start), _whole_periods(observed, start, end)
    blank = replace(blank, end=end.date(), notes=(*blank.notes, *_notes(launch, kpi, observed, end)))
    if first is None or not whole:
        span = f"in the {days} days since launch" if days else "since launch yet"
        return ReadingResult(replace(blank, why=f"No whole {observed.panel.grain} {span}."))
    found = measure(observed.panel, first, end)
    if found is None:
        return ReadingResult(replace(blank, why=_young(kpi, observed, first)))
    if found.sampling is None and sampling is not None:
        found = widened(found, math.log1p(sampling) if observed.logarithm else sampling)
    return ReadingResult(_told(blank, observed, found), _unscaled(found.expected, observed))


def _told(blank: Reading, observed: Observed, found: Impact) -> Reading:
    scale = math.expm1 if observed.logarithm else float
    since = found.expected.loc[found.expected.index >= _first(observed, blank.start)]
    shown = _unscaled(since, observed)
    return replace(
        blank,
        verdict=str(found.words),
        relative=observed.logarithm,
        placebos=found.placebos,
        cried=found.cried,
        periods=found.periods,
        factor=None if found.factor is None else rounded(found.factor),
        effect=rounded(scale(found.effect)),
        low=rounded(scale(found.low)),
        high=rounded(scale(found.high)),
        raw_low=rounded(scale(found.raw_low)),
        raw_high=rounded(scale(found.raw_high)),
        smallest=rounded(scale(found.smallest)),
        sampling=None if found.sampling is None else rounded(scale(found.sampling)),
        floor=found.floor,
        level=rounded(float(shown["actual"].mean())),
        expected=rounded(float(shown["expected"].mean())),
        exposure=rounded(found.exposure),
        controls=tuple(observed.panel.controls.columns) if observed.panel is not None and found.weights else (),
        weights=tuple(rounded(weight) for weight in found.weights),
        event=rounded(found.event),
    )


def rounded(value: float) -> float:
    """To the digits that are the same on every machine."""
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else value


def _unscaled(path: pd.DataFrame, observed: Observed) -> pd.DataFrame:
    return np.exp(path) if observed.logarithm else path


def _first(observed: Observed, start: date) -> pd.Timestamp | None:
    """The first period that had any of it."""
    assert observed.panel is not None
    exposed = observed.panel.exposure.max(axis=1)
    exposed = exposed[(exposed > 0) & (exposed.index > pd.Timestamp(start) - pd.Timedelta(days=7))]
    return exposed.index[0] if len(exposed) else None


def _last(launch: Launch, observed: Observed, days: int) -> pd.Timestamp:
    """Where a reading ends: D+days; by weeks the end of the last whole one before it."""
    assert observed.panel is not None
    end = pd.Timestamp(launch.reading_on(days))
    index = pd.DatetimeIndex(observed.panel.treated.index)
    if observed.panel.grain == "day" or index.empty:
        return end
    return index[0] + pd.Timedelta(days=(end - index[0]).days // 7 * 7)


def _whole_periods(observed: Observed, start: date, end: pd.Timestamp) -> int:
    """Periods that lie between the launch and the end as a whole."""
    assert observed.panel is not None
    index = pd.DatetimeIndex(observed.panel.treated.index)
    return int(((index >= pd.Timestamp(start)) & (index < end)).sum())


def _early(launch: Launch, kpi: KpiCommon, observed: Observed, done: int) -> str:
    if observed.complete_to is not None and pd.Timestamp(launch.starts_on) >= observed.complete_to and not done:
        known, start = days_text([observed.complete_to, launch.starts_on])
        return f"Nothing to measure yet: {kpi.title} is complete to {known}, the launch is on {start}."
    return f"Too early for a verdict: {done} of {READINGS[0]} days {'is' if done == 1 else 'are'} complete."


def _young(kpi: KpiCommon, observed: Observed, first: pd.Timestamp) -> str:
    assert observed.panel is not None
    known = observed.panel.treated.loc[observed.panel.treated.index < first].notna().all(axis=1).sum()
    if observed.panel.controls.shape[1] and known >= FEWEST_BEFORE[observed.panel.grain]:
        return f"{kpi.title} and its control are not both known often enough around the launch."
    are = "is" if known == 1 else "are"
    return (
        f"{kpi.title} is younger than the window: {counted(known, observed.panel.grain)} {are} known before the "
        f"launch, {FEWEST_BEFORE[observed.panel.grain]} are needed."
    )


def _notes(launch: Launch, kpi: KpiCommon, observed: Observed, end: pd.Timestamp) -> tuple[str, ...]:
    """What happened to the KPI's meaning and to the calendar while it was read."""
    assert observed.panel is not None
    found = []
    for change in kpi.changes:
        if pd.Timestamp(change.on) > pd.Timestamp(launch.starts_on):
            found.append(
                f"{kpi.title} was redefined on {change.on:%-d %b %Y} ({change.why}), after the launch. This verdict "
                "uses one definition for all its days."
            )
    start = pd.Timestamp(launch.starts_on)
    if start in observed.holidays:
        found.append(f"It was launched on a public holiday ({start:%-d %b}): that day is left out.")
    others = [day for day in observed.holidays if start < day < end]
    if others:
        found.append(f"Public holidays are left out: {', '.join(days_text(others))}.")
    needed = history_needed(observed.panel.grain, max(1, _whole_periods(observed, launch.starts_on, end)))
    before = int((observed.panel.treated.index < start).sum())
    if before < needed:
        found.append(
            f"Uncalibrated: {before} {observed.panel.grain}s of history precede the launch, {needed} are "
            "needed to measure its false-alarm rate here."
        )
    return tuple(found)


def is_good(kpi: KpiCommon, reading: Reading) -> bool | None:
    """Whether the KPI moved the way it should; None without a clear change or direction."""
    if kpi.direction == "neutral" or reading.verdict not in (Words.UP, Words.DOWN):
        return None
    return (reading.verdict == Words.UP) == (kpi.direction == "up_is_good")
