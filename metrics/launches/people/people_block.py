"""What people say of a launch, in words: for the page, its exports and, in numbers, for the command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from connectors.errors import counted
from metrics.catalog.models.kpi import KpiCommon
from metrics.launches import words
from metrics.launches.people.comparison import Lift
from metrics.launches.people.novelty import uneven_week
from metrics.launches.people.people_reading import BEFORE, DOWN, OPEN, UNFIT, UP, KpiPeople, People, VariantReading
from metrics.launches.people.sample_ratio import BREACH, SampleRatio
from metrics.launches.people.segments_reading import SegmentReading
from metrics.presentation import format as fmt

LESS_THAN = 0.005  # of the variance: CUPED took nothing off that anybody would notice
STRONGER = (
    "People were exposed or not in the same days, so whatever else happened in these days touched both sides: this is "
    "the stronger reading. The one by day, of the whole audience, stands beside it."
)

SEGMENTS = (
    "Whoever was there in the four weeks before is followed, week by week, in the segment of then. Segments may differ "
    "for reasons of their own: the interval is as wide as such differences were at earlier dates, or wider."
)


@dataclass(frozen=True)
class PeopleRow:
    """One KPI of one variant. slug: good, bad or quiet. readings: day, what is said, slug. notes: what to know."""

    name: str
    title: str
    variant: str
    today: str
    slug: str
    readings: tuple[tuple[str, str, str], ...]
    guard: str
    guard_slug: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class PeopleBlock:
    """line: how it was read. light: of the sample ratio, words and slug; empty where it was not read from people.

    facts: of the people. cannot: KPIs that were not read so, and why.
    """

    line: str
    light: str
    light_slug: str
    facts: tuple[str, ...]
    rows: tuple[PeopleRow, ...]
    cannot: tuple[str, ...]


def people_block(found: People) -> PeopleBlock:
    """What the page shows."""
    if found.why:
        reason = found.why if found.why.endswith(("?", ".")) else f"{found.why}."
        rows = tuple(_segment_row(one) for one in found.segments if one.lift is not None)
        cannot = tuple(f"{one.kpi.title} has no reading from people: {one.why}." for one in found.segments if one.why)
        if rows:
            line = "Read from people of its segments, those that got it against those that did not (yet)"
            return PeopleBlock(line, "", "quiet", (SEGMENTS, f"No stronger reading: {reason}"), rows, cannot)
        return PeopleBlock(f"Read from days, not from people: {reason}", "", "quiet", found.notes, (), cannot)
    rows = tuple(
        _row(one, variant)
        for one in found.kpis
        if one.readings
        for variant in dict.fromkeys(reading.variant for reading in one.readings)
    )
    cannot = tuple(f"{one.kpi.title} is read from days only: {one.why}." for one in found.kpis if not one.readings)
    light, slug = _light(found.ratio) if found.ratio else ("", "quiet")
    return PeopleBlock(_line(found), light, slug, _facts(found), rows, cannot)


def _line(found: People) -> str:
    others = [(name, n) for name, n in found.exposed.items() if name != found.control]
    told = " and ".join(f"{n:,}" + (f" to {name}" if len(others) > 1 else "") for name, n in others)
    return f"Read from people: {told} exposed against {found.exposed[found.control]:,}"


def _light(ratio: SampleRatio) -> tuple[str, str]:
    if ratio.p is None:
        return f"Sample ratio not checked: {ratio.why}", "quiet"
    whole = sum(ratio.counts.values())
    seen = ", ".join(
        f"{name} {fmt.share_text(ratio.counts.get(name, 0) / whole, 1)} of {fmt.share_text(share, 1)} planned"
        for name, share in ratio.shares.items()
    )
    if ratio.is_breached:
        return (
            f"Sample ratio is wrong: {seen}. By chance less than once in {round(1 / BREACH):,}: people of one "
            "variant got lost, or the split is another. Verdicts are withheld.",
            "bad",
        )
    return f"Sample ratio fits: {seen}", "good"


def _facts(found: People) -> tuple[str, ...]:
    facts = [STRONGER]
    if found.several:
        facts.append(f"{counted(found.several, 'person was', 'people were')} seen in two variants and left out.")
    if found.early:
        facts.append(f"{counted(found.early, 'person was', 'people were')} exposed before the launch and left out.")
    if found.known_to is not None:
        facts.append(f"Exposures are known to {found.known_to - pd.Timedelta(days=1):%-d %b %Y}.")
    return (*facts, *found.notes)


def _row(one: KpiPeople, variant: str) -> PeopleRow:
    mine = [reading for reading in one.readings if reading.variant == variant]
    today = next(reading for reading in mine if not reading.days)
    fixed = tuple((f"D+{r.days}", said(one.kpi, r), _slug(one.kpi, r)) for r in mine if r.days)
    judged = next((r for r in reversed(mine[:-1]) if r.guard), today)  # the last fixed day, else today
    guard = ""
    if one.margin and judged.guard:
        when = f"at D+{judged.days}" if judged.days else "at today's look"
        guard = f"Not worse than {one.margin.replace('pp', ' points')}: {judged.guard}, {when}"
    if judged.guard == UNFIT:
        guard = f"Its margin of {one.margin} is in points, and it is no rate: write it in %"
    return PeopleRow(
        one.kpi.name,
        one.kpi.title,
        variant,
        f"{said(one.kpi, today)}; holds however often you look" if today.comparison else said(one.kpi, today),
        _slug(one.kpi, today),
        fixed,
        guard,
        {"holds": "good", "breached": "bad"}.get(judged.guard, "quiet"),
        tuple(_notes(one, today)),
    )


def _segment_row(one: SegmentReading) -> PeopleRow:
    assert one.lift is not None
    verdict = _verdict(one.lift)
    effect, low, high = _amounts(one.kpi, one.lift, relative=True)
    size = f" by {effect.lstrip(f'+±{fmt.MINUS}')}" if verdict != OPEN else ""
    got = counted(one.people, "person", "people")
    notes = [f"{got} got it, {one.others:,} held against them, {counted(one.weeks, 'week')}"]
    if one.wider > 1:
        wider = fmt.number(one.wider, 1)
        notes.append(f"By {counted(one.placebos, 'earlier date')} wider than from people alone: {wider} to 1")
    up = one.kpi.direction == "up_is_good"
    slug = "quiet" if verdict == OPEN or one.kpi.direction == "neutral" else "good" if (verdict == UP) == up else "bad"
    today = f"{verdict}{size} ({words.bare(low)} to {high})"
    steps = "audience against control" if one.steps == 2 else counted(one.steps, "step")
    return PeopleRow(one.kpi.name, one.kpi.title, steps, today, slug, (), "", "quiet", tuple(notes))


def _verdict(lift: Lift) -> str:
    return UP if lift.low > 0 else DOWN if lift.high < 0 else OPEN


def said(kpi: KpiCommon, reading: VariantReading) -> str:
    """`moved up by 21.4% (+11.4% to +32.3%)`, `no clear change (−1.9% to +7.4%)`, or why there is none."""
    if reading.comparison is None or reading.lift is None:
        return reading.why
    if reading.verdict not in (UP, DOWN, OPEN):
        return f"{reading.verdict}: {reading.why}"
    effect, low, high = _amounts(kpi, reading.lift, relative=reading.relative)
    if reading.verdict == OPEN:
        return f"{reading.verdict} ({words.bare(low)} to {high})"
    return f"{reading.verdict} by {effect.lstrip(f'+±{fmt.MINUS}')} ({words.bare(low)} to {high})"


def _amounts(kpi: KpiCommon, lift: Lift, *, relative: bool) -> list[str]:
    return words.amounts(kpi, (lift.effect, lift.low, lift.high), relative=relative)


def _slug(kpi: KpiCommon, reading: VariantReading) -> str:
    if reading.verdict not in (UP, DOWN) or kpi.direction == "neutral":
        return "quiet"
    return "good" if (reading.verdict == UP) == (kpi.direction == "up_is_good") else "bad"


def _notes(one: KpiPeople, today: VariantReading) -> list[str]:
    found, seen, kpi = [], today.comparison, one.kpi
    if seen is not None:
        gain = fmt.share_text(seen.gain, 0)
        span = counted(BEFORE, "day")
        found.append(
            f"What people did in the {span} before took {gain} of the noise off (CUPED)"
            if seen.gain >= LESS_THAN
            else f"What people did in the {span} before took nothing off the noise"
        )
        days = (pd.Timestamp(today.end) - today.starts).days
        if uneven_week(days):
            found.append(f"Only {counted(days, 'day')} so far: not every weekday is seen")
    if one.cap is not None:
        found.append(f"Of a person, more than {fmt.number(one.cap, 1)} counts as that (the top 0.1% of those with any)")
    if today.wears_off:
        found.append("The effect of the first seven days after exposure is clearly not that of later ones: novelty?")
    if one.aa is not None:
        found.append(
            f"A/A: {one.aa.cried} of {counted(one.aa.splits, 'random split')} of earlier people looked like an effect"
        )
    if len(kpi.conditions) > 1:  # people are followed from a first step
        found.append("A share of those exposed, counted from the exposure on")
    return found


def headlines(found: PeopleBlock | None) -> tuple[tuple[str, str], ...]:
    """A sentence and its slug for each KPI that exposed people clearly moved: the stronger reading goes first."""
    if found is None or not found.light:
        return ()
    last = [(row, *row.readings[-1]) for row in found.rows if row.readings]
    return tuple(
        (f"From people: {row.title} {said}, {day}, {row.variant}.", slug)
        for row, day, said, slug in last
        if slug != "quiet"
    )


def as_numbers(found: People) -> dict[str, Any]:
    """For JSON: plain values only."""
    ratio = found.ratio
    return {
        "used": "segments" if any(one.lift for one in found.segments) else "" if found.why else "exposures",
        "why": found.why or None,
        "exposed": dict(found.exposed),
        "control": found.control or None,
        "several": found.several,
        "early": found.early,
        "days_before": BEFORE,
        "exposures_to": f"{found.known_to:%Y-%m-%d}" if found.known_to is not None else None,
        "sample_ratio": None
        if ratio is None
        else {"p": ratio.p, "breached": ratio.is_breached, "planned": dict(ratio.shares), "why": ratio.why or None},
        "notes": list(found.notes),
        "kpis": [_kpi_numbers(one) for one in found.kpis],
        "segments": [_segment_numbers(one) for one in found.segments],
    }


def _segment_numbers(one: SegmentReading) -> dict[str, Any]:
    lift = one.lift
    return {
        "kpi": one.kpi.name,
        "why": one.why or None,
        "verdict": _verdict(lift) if lift else "",
        "effect": lift.effect if lift else None,
        "low": lift.low if lift else None,
        "high": lift.high if lift else None,
        "people": one.people,
        "others": one.others,
        "weeks": one.weeks,
        "placebos": one.placebos,
        "wider": one.wider,
    }


def _kpi_numbers(one: KpiPeople) -> dict[str, Any]:
    aa = one.aa
    return {
        "kpi": one.kpi.name,
        "why": one.why or None,
        "cap": one.cap,
        "margin": one.margin or None,
        "aa": None if aa is None else {"cried": aa.cried, "splits": aa.splits, "dates": aa.dates},
        "readings": [_reading_numbers(reading) for reading in one.readings],
    }


def _reading_numbers(reading: VariantReading) -> dict[str, Any]:
    seen, lift = reading.comparison, reading.lift
    plain: dict[str, Any] = {
        "variant": reading.variant,
        "days": reading.days,
        "end": reading.end.isoformat(),
        "verdict": reading.verdict,
        "why": reading.why or None,
        "always_valid": not reading.days,
        "relative": reading.relative,
        "effect": lift.effect if lift else None,
        "low": lift.low if lift else None,
        "high": lift.high if lift else None,
        "guard": reading.guard or None,
        "wears_off": reading.wears_off,
    }
    if seen is not None:
        plain |= {
            "people": seen.treated_people,
            "control_people": seen.control_people,
            "level": seen.treated,
            "control_level": seen.control,
            "difference": seen.difference.effect,
            "difference_low": seen.difference.low,
            "difference_high": seen.difference.high,
            "cuped_gain": seen.gain,
        }
    return plain
