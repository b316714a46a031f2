"""A launch without exposures, read from the people of its segments: those that got it against those that did not (yet).

Segments may differ for reasons of their own, from week to week: what the same comparison found at earlier dates, where
nothing was launched, says by how much, and the interval is never narrower than that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from connectors.errors import KpiError, counted
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.launch import Launch
from metrics.catalog.segments import Segments, segments
from metrics.engine.people_by_segment import WEEKS_BEFORE
from metrics.engine.per_person import PerPerson
from metrics.engine.types import per_person
from metrics.launches.distributions import stats
from metrics.launches.inputs import LaunchInputs, SegmentPeople
from metrics.launches.people.comparison import FEWEST, FIXED, Lift
from metrics.launches.people.group_time import Group, GroupTime, group_time

PLACEBOS, FEWEST_PLACEBOS = 8, 5
MOST_WEEKS = 4
WEEK = pd.Timedelta(days=7)


@dataclass(frozen=True)
class Step:
    """Segments that got it on a day; None = never."""

    named: Segments
    on: pd.Timestamp | None


@dataclass(frozen=True)
class SegmentReading:
    """One KPI. why: why not, in a clause. lift: of what people did a week, as a share of what they would have done.

    people, others: how many got it, and how many they are held against. weeks: whole ones since the launch. placebos:
    earlier dates; wider: how many times as wide as the people alone would have it.
    """

    kpi: KpiCommon
    why: str = ""
    lift: Lift | None = None
    people: int = 0
    others: int = 0
    weeks: int = 0
    steps: int = 0
    placebos: int = 0
    wider: float = 1.0


def segments_reading(launch: Launch, inputs: LaunchInputs) -> tuple[SegmentReading, ...]:
    """Of each KPI that the launch is judged by; empty where the launch names no segments that could be compared."""
    steps = _steps(launch)
    if not steps:
        return ()
    found = []
    for name in launch.judged_by:
        if name in inputs.catalogue.kpis:
            kpi = inputs.catalogue.kpi(name)
            try:
                found.append(_read(launch, kpi, inputs, steps))
            except KpiError as error:
                found.append(SegmentReading(kpi, error.message))
    return tuple(found)


def _steps(launch: Launch) -> tuple[Step, ...]:
    """Audience and control, or the steps of a rollout, of one dimension; shares of people are no segments."""
    if any(step.segment for step in launch.rollout):
        if any(step.share < 1 for step in launch.rollout):
            return ()
        given = [(segments(step.segment), pd.Timestamp(step.on)) for step in launch.rollout]
        return tuple(Step(named, on) for named, on in given if named is not None)
    audience = segments(launch.audience) if launch.audience else None
    if launch.rollout or audience is None:
        return ()
    named = [segments(text) for text in launch.held_against if not text.isidentifier()]
    controls = [Step(one, None) for one in named if one is not None and one.dimension == audience.dimension]
    return (Step(audience, pd.Timestamp(launch.starts_on)), *controls) if controls else ()


def _read(launch: Launch, kpi: KpiCommon, inputs: LaunchInputs, steps: tuple[Step, ...]) -> SegmentReading:
    person, start = per_person(kpi, inputs.catalogue), pd.Timestamp(launch.starts_on)
    if isinstance(person, str):
        return SegmentReading(kpi, person)
    if (why := _unfit(person, kpi)) or steps[0].named.dimension not in inputs.catalogue.dimensions_of(kpi):
        return SegmentReading(kpi, why or f"it has no {steps[0].named.dimension.replace('_', ' ')}")
    done = inputs.observed_to(person.value.dataset)
    weeks = min(MOST_WEEKS, (done - start) // WEEK) if done is not None else 0
    if weeks < 1:
        return SegmentReading(kpi, "no whole week since launch is complete")
    dates = tuple(start - k * MOST_WEEKS * WEEK for k in range(PLACEBOS + 1))
    asked = SegmentPeople(person.value, steps[0].named.dimension, dates, weeks)
    frame = inputs.segment_sums(asked)
    effects = [_effect(frame[frame["start"] == at], asked, steps, start) for at in dates]
    now, before = effects[0], [e for e in effects[1:] if e is not None]
    if now is None:
        return SegmentReading(kpi, "a side has fewer than a hundred people who were there before")
    if len(before) < FEWEST_PLACEBOS:
        needed = (FEWEST_PLACEBOS + 1) * MOST_WEEKS
        return SegmentReading(
            kpi, f"{counted(needed, 'week')} before the launch are needed to know how segments differ by themselves"
        )
    lift, wider = interval(now[0], [effect.effect / effect.level for effect, _, _ in before if effect.level > 0])
    return SegmentReading(kpi, "", lift, now[1], now[2], weeks, len(steps), len(before), wider)


def _unfit(person: PerPerson, kpi: KpiCommon) -> str:
    if person.of is not None:
        return "a ratio has no value of each person and week"
    if person.window is not None or person.after or len(kpi.conditions) > 1:
        return "it follows people from a first step, which those who were there before have behind them"
    return ""


def _effect(
    frame: pd.DataFrame, asked: SegmentPeople, steps: tuple[Step, ...], launched: pd.Timestamp
) -> tuple[GroupTime, int, int] | None:
    """The effect around one date, and how many people got it and did not."""
    if frame.empty:
        return None
    known = [str(segment) for segment in frame["segment"]]
    names = list(asked.columns)
    groups, taken = [], set[str]()
    for step in steps:
        chosen = set(step.named.chosen(known)) - taken
        taken |= chosen
        groups.append(_group(frame[frame["segment"].isin(chosen)], names, _first_week(step, launched)))
    if steps[-1].on is not None:  # of a rollout: those that no step names never get it
        groups.append(_group(frame[~frame["segment"].isin(taken)], names, None))
    kept = [g for g in groups if g is not None and (g.begins is None or g.begins < len(names))]
    got = sum(g.n for g in kept if g.begins is not None)
    first = min((g.begins for g in kept if g.begins is not None), default=0)
    others = sum(g.n for g in kept if g.begins is None or g.begins > first)
    if min(got, others) < FEWEST or any(g.sums[0] <= 0 for g in kept):  # a first week without anything was not observed
        return None
    found = group_time(kept, WEEKS_BEFORE)
    return None if found is None else (found, int(got), int(others))


def _first_week(step: Step, launched: pd.Timestamp) -> int | None:
    """The first whole week that had it."""
    return None if step.on is None else WEEKS_BEFORE + math.ceil((step.on - launched) / WEEK)


def _group(frame: pd.DataFrame, names: list[str], begins: int | None) -> Group | None:
    n = float(frame["n"].sum())
    if n < 2:
        return None
    sums = frame[names].sum().to_numpy(dtype=float)
    products = np.zeros((len(names), len(names)))
    for i, one in enumerate(names):
        for j, other in enumerate(names[i:], i):
            products[i, j] = products[j, i] = frame[f"{one}_{other}"].sum()
    return Group(begins, n, sums, products)


def interval(now: GroupTime, placebos: list[float]) -> tuple[Lift | None, float]:
    """Effect as a share of what would have been, and how many times as wide as people alone would have it.

    placebos: effects at earlier dates, as shares of the level. Half the width is that of people, or from the earlier
    dates if that is more.
    """
    without = now.level - now.effect
    if without <= 0:
        return None, 1.0
    people = FIXED * math.sqrt(now.variance) / now.level
    segment = float(stats.t.ppf(0.975, len(placebos))) * math.sqrt(float(np.mean(np.square(placebos))))
    half, share = max(people, segment), now.effect / now.level
    ends = [1 / (1 - min(share + side * half, 0.99)) - 1 for side in (0, -1, 1)]
    return Lift(*ends), max(1.0, segment / people) if people > 0 else 1.0
