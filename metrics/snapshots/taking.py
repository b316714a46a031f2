"""Take: the live data, a definition and a week → the frozen document. Pure: nothing is kept here, no clock is read."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from connectors.errors import KpiError
from connectors.warehouse.contract import NO_DIMENSION, SeriesKey
from metrics.alerts.place import Place
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.snapshot import Shown, Snapshot
from metrics.catalog.targets import target_grain
from metrics.engine.frames import known_value
from metrics.engine.maturity import final_at
from metrics.engine.query import Filter
from metrics.engine.to_date import LONG
from metrics.kpi_views.card import good_or_bad
from metrics.kpi_views.consequence import Matter
from metrics.kpi_views.status import ORDER, Held, Status, held, held_in_part, unvalued
from metrics.kpi_views.types import in_words
from metrics.presentation import export
from metrics.presentation import format as fmt
from metrics.snapshots import words
from metrics.snapshots.bullets import Told, bullets
from metrics.snapshots.document import AlertLine, Document, LaunchLine, Line, Section
from metrics.snapshots.inputs import WeekInputs
from metrics.snapshots.numbers import Expected, Numbers
from metrics.snapshots.week import Week


@dataclass(frozen=True)
class Circumstances:
    """What a document says of its own making, and what the state store knows of the week."""

    project: str
    by: str
    taken_at: datetime
    revision: int = 1
    alerts: tuple[AlertLine, ...] = ()
    launches: tuple[LaunchLine, ...] = ()
    happened: tuple[Matter, ...] = ()  # alerts that opened and ended in the week, verdicts that were reached
    audience: str = ""  # Project.audience


def missing(inputs: WeekInputs, snapshot: Snapshot, week: Week) -> tuple[str, ...]:
    """Why the week is not complete yet, a sentence for each dataset; empty if it is."""
    return tuple(filter(None, (_late(inputs, name, week) for name in _datasets(inputs, snapshot))))


def nothing_there(inputs: WeekInputs, snapshot: Snapshot, week: Week) -> bool:
    """Whether no dataset behind it reaches the week's end: there is nothing to freeze."""
    return all(_late(inputs, name, week) for name in _datasets(inputs, snapshot))


def unpublished(inputs: WeekInputs, snapshot: Snapshot) -> tuple[str, ...]:
    """KPIs whose definition changed after the last sync: their values of the live generation are not published yet."""
    found = []
    for kpi in _kpis(inputs, snapshot):
        if inputs.published_definition(kpi) not in (None, inputs.catalogue.definition(kpi.name)):
            found.append(fmt.plain(kpi.title))
    return tuple(found)


def _kpis(inputs: WeekInputs, snapshot: Snapshot) -> list[KpiCommon]:
    """The KPIs shown, each once; those whose definition is wrong have none."""
    kpis = inputs.catalogue.kpis
    names = dict.fromkeys(item.kpi for _, shown in snapshot.filled(kpis.values()) for item in shown)
    return [kpis[name] for name in names if name in kpis]


def _datasets(inputs: WeekInputs, snapshot: Snapshot) -> list[str]:
    return list(dict.fromkeys(d for kpi in _kpis(inputs, snapshot) for d in inputs.catalogue.datasets_of(kpi)))


def _late(inputs: WeekInputs, dataset: str, week: Week) -> str:
    state = inputs.states.get(dataset)
    title = fmt.plain(inputs.catalogue.datasets[dataset].label or dataset.replace("_", " ").capitalize())
    if state is None or state.watermark is None:
        return f"{title} has no rows yet."
    if state.watermark >= week.ends_at(inputs.catalogue.timezone):
        return ""
    return f"{title} has nothing after {fmt.day_text(state.watermark)}."


def take(inputs: WeekInputs, snapshot: Snapshot, week: Week, made: Circumstances) -> Document:
    """The document of one week, from what is live. Raises KpiError only where nothing can be read at all."""
    catalogue = inputs.catalogue
    _read_ahead(inputs, snapshot)
    sections, told = list[Section](), list[Told]()
    for title, shown in snapshot.filled(catalogue.kpis.values()):
        mine = [_line(inputs, item, week) for item in shown]
        sections.append(Section(title=fmt.plain(title, fmt.NAME), lines=tuple(one.line for one in mine)))
        told += mine
    lines = [one.line for one in told]
    text = _own_text(inputs, snapshot)
    counts = Counter(line.status for line in lines if not line.segment)  # a segment is part of its KPI
    marks = [state.watermark for state in inputs.states.values() if state.watermark is not None]
    return Document(
        snapshot=snapshot.name,
        title=fmt.plain(snapshot.heading),
        project=fmt.plain(made.project),
        week=week.name,
        start=week.first,
        end=week.last,
        week_text=words.week_text(week.start, week.name),
        revision=made.revision,
        generation=inputs.generation,
        watermark=max(marks, default=None),
        taken_at=made.taken_at.replace(microsecond=0),
        by=fmt.plain(made.by),
        timezone=catalogue.timezone,
        headline=_headline(told, made.alerts),
        summary=tuple(fmt.plain(text) for text in bullets(told, made.happened)),
        counts={slug: counts[slug] for slug in ORDER if counts[slug]},
        missing=missing(inputs, snapshot, week),
        sections=tuple(sections),
        alerts=made.alerts,
        launches=made.launches,
        definition=hashlib.sha256(text.encode()).hexdigest()[:12],
        definitions={f"snapshot:{snapshot.name}": text, **_texts(inputs, lines)},
        role=snapshot.role,
        audience=made.audience,
    )


def _headline(told: Sequence[Told], alerts: Sequence[AlertLine]) -> str:
    """Of KPIs; a segment is part of its own."""
    standings = [
        words.Standing(one.line.title, one.line.gap, one.status, one.worse) for one in told if not one.line.segment
    ]
    labels = {one.line.label for one in told}
    firing = [a.title for a in alerts if a.state == "Open" and a.severity == "critical" and a.title in labels]
    return words.status_sentence(standings, firing)


def _read_ahead(inputs: WeekInputs, snapshot: Snapshot) -> None:
    """All series that the lines may speak of, in one statement: weeks, months, segments, where a change sits."""
    keys, catalogue = list[SeriesKey](), inputs.catalogue
    for _, shown in snapshot.filled(catalogue.kpis.values()):
        for item in shown:
            kpi = catalogue.kpis.get(item.kpi)
            if kpi is not None:
                grains = {kpi.grain, *({"week", "month"} & set(kpi.offered_grains))}
                keys += [(kpi.name, grain, d) for grain in grains for d in (NO_DIMENSION, *item.where)]
                keys += [(kpi.name, kpi.grain, d) for d in catalogue.dimensions_of(kpi)]
    inputs.read_ahead(keys)


def _own_text(inputs: WeekInputs, snapshot: Snapshot) -> str:
    document = inputs.catalogue.documents.get(f"snapshot:{snapshot.name}")
    return document.text if document is not None else f"name: {snapshot.name}\n"


def _texts(inputs: WeekInputs, lines: Sequence[Line]) -> dict[str, str]:
    """Every KPI and dataset file that the numbers are made of."""
    catalogue, found = inputs.catalogue, dict[str, str]()
    known = catalogue.texts()
    todo = [line.kpi for line in lines if line.kpi in catalogue.kpis]
    while todo:
        name = todo.pop()
        if f"kpi:{name}" not in found:
            found[f"kpi:{name}"] = known[f"kpi:{name}"]
            todo += catalogue.references(catalogue.kpi(name))
            keys = [f"dataset:{dataset}" for dataset in catalogue.joined_with(catalogue.kpi(name))]
            found |= {key: catalogue.documents[key].text for key in keys}
    return dict(sorted(found.items()))


def _line(inputs: WeekInputs, shown: Shown, week: Week) -> Told:
    where = tuple(Filter(dimension, (value,)) for dimension, value in shown.where.items())
    try:
        kpi = inputs.catalogue.kpi(shown.kpi)
        numbers = Numbers(inputs, kpi, where, week)
        return _known_line(inputs, kpi, numbers, shown)
    except KpiError as error:
        return _broken(shown, error)


def _known_line(inputs: WeekInputs, kpi: KpiCommon, numbers: Numbers, shown: Shown) -> Told:
    last, before, week, year = numbers.last, numbers.before, numbers.week, numbers.week.last.year
    value = known_value(last["value"]) if last is not None else None
    late = [why for d in inputs.catalogue.datasets_of(kpi) if (why := _late(inputs, d, week))]
    part = held_in_part(late) if numbers.where and kpi.grows_with_people else None
    goal = part or held(kpi, inputs.catalogue, numbers.rows, this_year=year, late=late)
    status, gap = goal.status, goal.gap
    label = fmt.plain(kpi.title, fmt.NAME)
    title = " · ".join([label, *(fmt.plain(v, fmt.NAME) for v in shown.where.values())])
    expected = numbers.expected if value is not None else None
    place = _place(inputs, kpi, numbers)
    text, expected_text = _number_and_range(kpi, value, goal, expected)
    (weeks, weeks_note), (months, months_note) = numbers.weeks(), numbers.months()
    line = Line(
        kpi=kpi.name,
        label=label,
        segment=shown.where,
        owner=fmt.plain(kpi.owner, fmt.NAME),
        description=fmt.plain(kpi.description),
        unit=numbers.series.unit,
        grain=kpi.grain,
        in_points=kpi.changes_in_points,
        period=export.period(last["period"], kpi.grain) if last is not None else None,
        period_text=fmt.period_text(last["period"], kpi.grain, year) if last is not None else "no complete period",
        value=value,
        text=text,
        **_parts_of(last),
        parts=numbers.parts,
        **_before(kpi, before, year),
        change=numbers.change,
        change_text=numbers.change_text,
        change_is=_tone(numbers),
        target=goal.target,
        target_text=goal.target_text(kpi),
        gap=gap,
        pace=_pace(inputs, kpi, numbers),
        status=status.slug,
        status_label=status.label,
        why=fmt.plain(status.why),
        **_expected(kpi, expected, expected_text),
        sentence=fmt.plain(words.sentence(title, numbers, text, status, gap, year)),
        place=fmt.plain(place.words) if place else "",
        record=words.record_text(numbers),
        miss=fmt.plain(words.miss(title, kpi, status, gap)),
        redefined=fmt.plain(inputs.redefinition(kpi)),
        weeks=weeks,
        weeks_note=weeks_note,
        months=months,
        months_note=months_note,
        definition=inputs.catalogue.definition(kpi.name),
        counted=fmt.plain(in_words(kpi, inputs.catalogue)),
        data=tuple(_data(inputs, kpi)),
    )
    return Told(line, status, fmt.plain(place.short) if place else "", _missed(inputs, kpi, numbers, goal.target))


def _tone(numbers: Numbers) -> str:
    """The colour of a change; one that is told as ±0 has none."""
    return "neutral" if numbers.change_text.startswith("±") else good_or_bad(*numbers.sides, numbers.kpi)


def _before(kpi: KpiCommon, before: pd.Series | None, year: int) -> dict[str, Any]:
    if before is None:
        return {}
    value = known_value(before["value"])
    return {
        "before": value,
        "before_period": export.period(before["period"], kpi.grain),
        "before_text": fmt.value_text(value, kpi),
        "against": words.against(kpi, before["period"], year),
    }


def _parts_of(last: pd.Series | None) -> dict[str, Any]:
    if last is None:
        return {}
    n = None if pd.isna(last["n"]) else int(last["n"])
    return {"numerator": known_value(last["numerator"]), "denominator": known_value(last["denominator"]), "n": n}


def _number_and_range(kpi: KpiCommon, value: float | None, goal: Held, expected: Expected | None) -> tuple[str, str]:
    """The number beside its target and the range that was expected, and that range; empty if it is none to tell."""
    told = expected if expected is not None and expected.ready else None
    ranged = told if told is not None and not fmt.alike(told.low, told.high, kpi) else None
    sides = (ranged.low, ranged.high) if ranged else (None, None)
    text, _, low, high = fmt.value_texts((value, None if goal.when else goal.target, *sides), kpi)
    if told is not None and ranged is None:
        low, high = fmt.value_texts((told.low, told.high), kpi)
    return text, words.expected_text(low, high) if told else ""


def _expected(kpi: KpiCommon, found: Expected | None, text: str) -> dict[str, Any]:
    if found is None or not found.ready:
        return {}
    return {
        "low": found.low,
        "high": found.high,
        "odd": found.odd,
        "ranged": not fmt.alike(found.low, found.high, kpi),
        "expected_text": text,
    }


def _place(inputs: WeekInputs, kpi: KpiCommon, numbers: Numbers) -> Place | None:
    """Where the change sits, if it is more than an ordinary one."""
    last, before, expected = numbers.last, numbers.before, numbers.expected
    now, then = numbers.sides
    if last is None or before is None or now is None or then is None or now == then:
        return None
    if expected is not None and expected.ready and abs(expected.odd) < words.ORDINARY:
        return None
    return inputs.place(kpi, numbers.where, last["period"], before["period"])


def _missed(inputs: WeekInputs, kpi: KpiCommon, numbers: Numbers, target: float | None) -> bool:
    """Whether a period that became final in the week is on the wrong side of its target: it is told once."""
    grain = target_grain(kpi)
    rows = numbers.rows(grain) if target is not None and not numbers.where else numbers.final.iloc[:0]
    if rows.empty or target is None or kpi.direction == "neutral":
        return False
    value = known_value(rows["value"].iloc[-1])
    if value is None or final_at(kpi, rows["period"].iloc[-1], grain, inputs.catalogue) <= numbers.week.start:
        return False
    return value < target if kpi.direction == "up_is_good" else value > target


def _pace(inputs: WeekInputs, kpi: KpiCommon, numbers: Numbers) -> str:
    """How the running month goes, and where it would be on pace; empty if the data goes beyond the week."""
    if kpi.grain not in LONG:
        return ""
    found = inputs.elapsed(kpi)
    if found is None or found.period + pd.Timedelta(days=found.days) != numbers.week.end:
        return ""
    text = inputs.so_far(kpi, numbers.where)
    target = numbers.target(found.period, kpi.grain)
    if text and target is not None and kpi.runs_on and not numbers.where:
        goal, due = fmt.value_texts((target, target * found.days / found.of), kpi)
        text += f" For its target of {goal} it would be {due} by now."
    return fmt.plain(text)


def _data(inputs: WeekInputs, kpi: KpiCommon) -> list[str]:
    """How far the data behind a KPI reaches."""
    states, found = inputs.states, list[str]()
    for name in inputs.catalogue.datasets_of(kpi):
        title = fmt.plain(inputs.catalogue.datasets[name].label or name.replace("_", " ").capitalize())
        mark = states[name].watermark if name in states else None
        found.append(f"{title} complete to {fmt.moment_text(mark)}")
    return found


def _broken(shown: Shown, error: KpiError) -> Told:
    problems = getattr(error, "problems", ())
    status = Status(unvalued(error), fmt.plain(str(problems[0]) if problems else error.message))
    line = Line(
        kpi=shown.kpi,
        label=fmt.plain(shown.kpi.replace("_", " ").capitalize()),
        segment=shown.where,
        owner="",
        description="",
        unit="number",
        grain="",
        period=None,
        period_text="",
        value=None,
        text=fmt.UNKNOWN,
        status=status.slug,
        status_label=status.label,
        why=status.why,
        sentence=f"Not known: {status.why}",
        definition="",
        counted="",
    )
    return Told(line, status)
