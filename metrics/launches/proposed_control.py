"""A control for a launch whose file names none: chosen by how the KPI moved along before the launch, and only told.

The verdict stays one without it. Whoever takes it writes it into the file, and should do so before the launch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import pandas as pd

from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.launch import FIRM_DAYS, READINGS, Launch
from metrics.catalog.segments import Segments, segments
from metrics.engine.launch_grain import launch_grain
from metrics.launches.controls import mix
from metrics.launches.impact import BEFORE, WEEK, Panel, impact
from metrics.launches.impacts import Measure
from metrics.launches.inputs import LaunchInputs
from metrics.launches.observe import Observed, observe
from metrics.launches.readiness import half_interval
from metrics.launches.reading import Reading, due, read

MOST = 8  # series that are tried
LEAST = 0.1  # of the mix: what weighs less is left out
NARROWER = 0.9  # of the interval without: what helps less is not proposed
KNOWN = 0.95  # of the days on which the KPI is known
FEWEST_OTHERS = 3  # series that the launch did not reach, to say how often they moved as much


@dataclass(frozen=True)
class ProposedControl:
    """What a launch could be held against. controls: as its file would name them; names: in words; mix: parts of 1.

    narrower: the interval before the launch with it, in that without. reading: at the last day whose values are there;
    None before the launch. left_out: its least and greatest effect, in its unit, when each control is left out in turn;
    None with one alone. others: series that the launch did not reach which were read as if it had; as_much: how many of
    them moved as much for their interval.
    """

    controls: tuple[str, ...]
    names: tuple[str, ...]
    mix: tuple[float, ...]
    narrower: float
    reading: Reading | None = None
    left_out: tuple[float, float] | None = None
    others: int = 0
    as_much: int = 0


def candidates(launch: Launch, kpi: KpiCommon, inputs: LaunchInputs) -> tuple[str, ...]:
    """What the launch surely does not reach, as its file would name it: the other segments of its audience's dimension,
    and KPIs of the same kind over datasets that nothing of the launch is over, which no other mark touches meanwhile.
    """
    catalogue, found = inputs.catalogue, list[str]()
    named = segments(launch.audience) if launch.audience else None
    if named is not None and named.dimension in catalogue.dimensions_of(kpi):
        grain = launch_grain(kpi, catalogue) or kpi.grain
        frame = inputs.series(kpi.name, grain, named.dimension, None).frame
        sizes = frame.groupby("segment")["n"].sum().sort_values(ascending=False)
        found = [_filter(named, str(segment)) for segment in sizes.index if not named.chosen([str(segment)])]
    reached = {name for judged in launch.judged_by if judged in catalogue.kpis for name in _datasets(judged, inputs)}
    reached |= {item.dataset for item in (launch.adoption, launch.exposure) if item is not None}
    first, last = launch.starts_on, launch.reading_on(READINGS[-1])
    marks = [m for m in catalogue.launches if m.name != launch.name and m.starts_on < last and _settled_on(m) > first]
    for name, other in catalogue.kpis.items():
        same = other.is_rate == kpi.is_rate and other.grain == kpi.grain == launch_grain(other, catalogue)
        untouched = not launch.concerns(name, other.area) and not any(m.concerns(name, other.area) for m in marks)
        if same and untouched and not reached & set(_datasets(name, inputs)):
            found.append(name)
    return tuple(found[:MOST])


def _settled_on(mark: Launch) -> date:
    """From when on what it does to a KPI is part of what is usual."""
    arrived = max((step.on for step in mark.rollout), default=mark.until or mark.starts_on)
    return arrived + timedelta(days=READINGS[-1])


def _datasets(name: str, inputs: LaunchInputs) -> tuple[str, ...]:
    return inputs.catalogue.datasets_of(inputs.catalogue.kpi(name))


def _filter(named: Segments, segment: str) -> str:
    quoted = segment.replace("'", "''")
    return f"{named.dimension} = '{quoted}'"


def proposed_control(
    launch: Launch, kpi: KpiCommon, observed: Observed, inputs: LaunchInputs, *, measure: Measure = impact
) -> ProposedControl | None:
    """The control that fits best, where one is needed and narrows the interval; None else. Raises KpiError.

    observed: the KPI without it.
    """
    staged = any(step.segment for step in launch.rollout)
    if launch.held_against or staged or observed.panel is None:
        return None
    found = candidates(launch, kpi, inputs)
    if not found:
        return None
    every = _beside(launch, kpi, inputs, found)
    kept = _chosen(launch, every)
    if not kept:
        return None
    texts = tuple(found[i] for i, _ in kept)
    beside = _beside(launch, kpi, inputs, texts)
    if beside.panel is None or beside.panel.controls.shape[1] != len(texts):
        return None
    alone, held = (half_interval(launch, one, FIRM_DAYS, measure=measure) for one in (observed, beside))
    if not alone or held is None or held > NARROWER * alone:
        return None
    names = tuple(str(name) for name in beside.panel.controls.columns)
    made = ProposedControl(texts, names, tuple(weight for _, weight in kept), held / alone)
    days = due(launch, beside)
    if not days:
        return made
    reading = read(launch, kpi, beside, days[-1], measure=measure).reading
    if not reading.verdict:
        return made
    others, as_much = _in_space(every, reading, measure)
    return replace(made, reading=reading, left_out=_left_out(beside, reading, measure), others=others, as_much=as_much)


def _beside(launch: Launch, kpi: KpiCommon, inputs: LaunchInputs, controls: Sequence[str]) -> Observed:
    return observe(launch.model_copy(update={"controls": tuple(controls)}), kpi, inputs)


def _chosen(launch: Launch, observed: Observed) -> list[tuple[int, float]]:
    """Positions of the controls that are often enough known and weigh something, with their part of the mix."""
    panel = observed.panel
    if panel is None or not panel.controls.shape[1]:
        return []
    first = int(panel.treated.index.searchsorted(pd.Timestamp(launch.starts_on)))
    begin = max(0, first - BEFORE[panel.grain])
    treated = panel.treated.mean(axis=1).to_numpy(dtype=np.float64)[begin:first]
    controls = panel.controls.to_numpy(dtype=np.float64)[begin:first]
    known = np.isfinite(treated)
    often = (
        [i for i in range(controls.shape[1]) if np.isfinite(controls[known, i]).mean() >= KNOWN] if known.any() else []
    )
    while often:
        weights = mix(treated, controls[:, often], WEEK[panel.grain])
        least = int(np.argmin(weights))
        if weights[least] >= LEAST:
            return [(i, float(weight)) for i, weight in zip(often, weights, strict=True)]
        often.pop(least)
    return []


def _left_out(observed: Observed, reading: Reading, measure: Measure) -> tuple[float, float] | None:
    """Least and greatest effect of the reading, in its unit, with each control left out in turn."""
    panel = _uncalibrated(observed)
    if panel.controls.shape[1] < 2:
        return None
    first, end = panel.begins, pd.Timestamp(reading.end)
    scale = np.expm1 if reading.relative else float
    found = [
        measure(replace(panel, controls=panel.controls.drop(columns=name), sampling=None), first, end)
        for name in panel.controls.columns
    ]
    effects = [float(scale(one.effect)) for one in found if one is not None]
    return (min(effects), max(effects)) if effects else None


def _in_space(observed: Observed, reading: Reading, measure: Measure) -> tuple[int, int]:
    """Series that the launch did not reach, read as if it had against the rest of them: how many, and how many of them
    moved as much, for their interval, as what it reached. None of too few.
    """
    panel = _uncalibrated(observed)
    first, end = panel.begins, pd.Timestamp(reading.end)
    names = list(panel.controls.columns)
    if len(names) < FEWEST_OTHERS:
        return 0, 0
    share = panel.exposure.iloc[:, :1]
    found = []
    for name in names:
        alone, rest = panel.controls[[name]], panel.controls.drop(columns=name)
        shown = share.set_axis([name], axis=1)
        found.append(measure(replace(panel, treated=alone, exposure=shown, controls=rest, sampling=None), first, end))
    moved = [abs(one.effect) / one.smallest for one in found if one is not None and one.smallest > 0]
    own = measure(replace(panel, sampling=None), first, end)
    if own is None or not own.smallest or len(moved) < FEWEST_OTHERS:
        return 0, 0
    return len(moved), sum(size >= abs(own.effect) / own.smallest for size in moved)


def _uncalibrated(observed: Observed) -> Panel:
    assert observed.panel is not None
    return replace(observed.panel, calibrated=False)
