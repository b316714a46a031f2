"""The scorecard: everything there is to say about one launch, as values. Pages, exports and JSON make words of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

import pandas as pd

from connectors.errors import KpiError
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.launch import FIRM_DAYS, READINGS, Launch
from metrics.catalog.segments import segments
from metrics.catalog.types.survey import Survey
from metrics.engine.query import EntitySet, Filter
from metrics.launches.adoption import Adoption, summarized
from metrics.launches.effects_by_segment import EffectsBySegment, effects_by_segment
from metrics.launches.guardrail import Guard, guard
from metrics.launches.impact import METHOD, impact
from metrics.launches.impacts import Measure
from metrics.launches.inputs import Answers, LaunchInputs
from metrics.launches.observe import Observed, observe
from metrics.launches.people.people_reading import People, people_reading
from metrics.launches.proposed_control import ProposedControl, proposed_control
from metrics.launches.readiness import Check, Visible, half_interval, history, stated, visible
from metrics.launches.reading import Reading, ReadingResult, complete_days, due, read
from metrics.launches.voice import WORTHS, ScoreChange, Scored, Word, alike, changed, changed_words, scored

VOICE_BEFORE = timedelta(days=60)
SAME = 1e-9  # relative: two readings of the same values


@dataclass(frozen=True)
class PublishedReading:
    """A published reading: made once, from that generation, at that moment. terms: the launch as it was read."""

    reading: Reading
    generation: str
    taken_at: datetime
    terms: Launch


@dataclass(frozen=True)
class Restated:
    """What a published reading would say on today's values, and why it differs."""

    reading: Reading
    cause: str  # late data, definition, history (marks before it), launch or method


@dataclass(frozen=True)
class KpiScore:
    """One KPI of the launch. role: success or guardrail. wish: what its file expects. today: a look, no verdict."""

    kpi: KpiCommon
    role: str
    wish: str
    today: ReadingResult
    kept: tuple[PublishedReading, ...] = ()
    restated: Mapping[int, Restated] = field(default_factory=dict)
    guard: Guard | None = None
    observed: Observed | None = None
    proposed: ProposedControl | None = None
    segments: tuple[EffectsBySegment, ...] = ()

    @property
    def latest(self) -> PublishedReading | None:
        """The verdict that counts: the last one published."""
        return self.kept[-1] if self.kept else None


@dataclass(frozen=True)
class Voice:
    """What customers say. groups: whose answers → score before and after. comments: said_at, score, who, a column for
    each of `dimensions`, comment; latest first.
    """

    kpi: Survey
    groups: tuple[tuple[str, ScoreChange], ...]
    apart: ScoreChange | None
    comments: pd.DataFrame
    words: tuple[Word, ...]
    start: date
    dimensions: tuple[str, ...]


@dataclass(frozen=True)
class Scorecard:
    """phase: planned, running or read (after its last reading). day: complete days since launch, least of its KPIs."""

    launch: Launch
    phase: str
    day: int
    readiness: tuple[Check, ...]
    scores: tuple[KpiScore, ...]
    adoption: Adoption | None
    adoption_why: str
    voice: Voice | None
    voice_why: str
    overlaps: tuple[str, ...]
    sees: Mapping[str, Visible] = field(default_factory=dict)
    halves: Mapping[str, Mapping[int, float]] = field(default_factory=dict)  # KPI → days → half of a reading's interval
    people: People | None = None  # None where only a list is wanted

    @property
    def guards(self) -> tuple[Guard, ...]:
        """Where each guardrail stands."""
        return tuple(score.guard for score in self.scores if score.guard is not None)


@dataclass(frozen=True)
class Measured:
    """The part of a scorecard that is measured, by KPI: what was looked at, what came out, what could be seen."""

    seen: Mapping[str, Observed]
    scores: tuple[KpiScore, ...]
    sees: Mapping[str, Visible]
    halves: Mapping[str, Mapping[int, float]]


def measured(
    inputs: LaunchInputs,
    launch: Launch,
    kept: Sequence[PublishedReading] = (),
    *,
    full: bool = True,
    measure: Measure = impact,
) -> Measured:
    """Every impact of a launch on the live data. measure: how one is found. full: see scorecard."""
    seen = {name: _observed(inputs, launch, name) for name in launch.measured if name in inputs.catalogue.kpis}
    halves = {name: _halves(launch, name, observed, measure) for name, observed in seen.items()} if full else {}
    found = {name: visible(seen[name], sizes.get(FIRM_DAYS)) for name, sizes in halves.items()}
    sees = {name: size for name, size in found.items() if size is not None}
    return Measured(seen, tuple(_scores(inputs, launch, seen, kept, full, measure)), sees, halves)


def _halves(launch: Launch, name: str, observed: Observed, measure: Measure) -> dict[int, float]:
    """Days of a reading → half of its interval; of what the launch is to move, of each."""
    days = READINGS if name in {item.kpi for item in launch.success} else (FIRM_DAYS,)
    found = {day: half_interval(launch, observed, day, measure=measure) for day in days}
    return {day: half for day, half in found.items() if half is not None}


def scorecard(
    inputs: LaunchInputs,
    launch: Launch,
    kept: Sequence[PublishedReading] = (),
    firing: Sequence[str] = (),
    *,
    full: bool = True,
    measure: Measure = impact,
) -> Scorecard:
    """Everything known about a launch on the live data. firing: open alerts on its KPIs, in words.

    full: with readiness, restatements and voice; a list of launches does without.
    """
    found = measured(inputs, launch, kept, full=full, measure=measure)
    seen, scores = found.seen, found.scores
    days = [complete_days(launch, o) for o in seen.values() if o.panel is not None]
    today = inputs.catalogue.today(inputs.now)
    phase = "planned" if launch.starts_on > today else "running"
    readable = [s for s in scores if s.observed is not None and s.observed.panel is not None]
    if days and min(days) >= READINGS[-1] and all(len(s.kept) >= len(READINGS) for s in readable):
        phase = "read"
    used, used_why = _adoption(inputs, launch, full)
    voice, voice_why = _voice(inputs, launch) if full else (None, "")
    ready = _readiness(inputs, launch, seen) if full else ()
    overlaps = (*_overlaps(inputs.catalogue, launch), *firing)
    people = people_reading(launch, inputs) if full else None
    return Scorecard(
        *(launch, phase, min(days, default=0), ready, scores, used, used_why, voice, voice_why, overlaps),
        *(found.sees, found.halves, people),
    )


def _observed(inputs: LaunchInputs, launch: Launch, name: str) -> Observed:
    return observe(launch, inputs.catalogue.kpi(name), inputs)


def _scores(
    inputs: LaunchInputs,
    launch: Launch,
    seen: Mapping[str, Observed],
    kept: Sequence[PublishedReading],
    full: bool,
    measure: Measure,
) -> list[KpiScore]:
    found = []
    wishes = [(s.kpi, "success", s.expect, None) for s in launch.success]
    wishes += [(g.kpi, "guardrail", g.limit, g) for g in launch.guardrails]  # type: ignore[misc]
    for name, role, wish, rail in wishes:
        if name not in seen:
            continue
        kpi, observed = inputs.catalogue.kpi(name), seen[name]
        mine = tuple(sorted((k for k in kept if k.reading.kpi == name), key=lambda k: k.reading.days))
        blank = ReadingResult(Reading(name, 0, launch.starts_on, launch.starts_on))
        today = read(launch, kpi, observed, measure=measure) if full or not mine else blank
        older = [item for item in mine if item.generation != inputs.generation]
        again = restated(launch, kpi, observed, older, measure=measure) if full else {}
        state = guard(rail, inputs, launch.starts_on) if rail is not None else None
        beside, parts = None, tuple[EffectsBySegment, ...]()
        if full and role == "success":
            beside = _proposed(launch, kpi, observed, inputs, measure)
            parts = _by_segment(launch, kpi, observed, inputs, measure)
        found.append(KpiScore(kpi, role, wish, today, mine, again, state, observed, beside, parts))
    return found


def _proposed(
    launch: Launch, kpi: KpiCommon, observed: Observed, inputs: LaunchInputs, measure: Measure
) -> ProposedControl | None:
    try:
        return proposed_control(launch, kpi, observed, inputs, measure=measure)
    except KpiError:  # a series beside that cannot be read is none to hold it against
        return None


def _by_segment(
    launch: Launch, kpi: KpiCommon, observed: Observed, inputs: LaunchInputs, measure: Measure
) -> tuple[EffectsBySegment, ...]:
    """At the last reading whose day has come."""
    days = due(launch, observed)
    if not days:
        return ()
    reading = read(launch, kpi, observed, days[-1], measure=measure).reading
    try:
        return effects_by_segment(launch, kpi, observed, reading, inputs, measure=measure)
    except KpiError:  # what cannot be split cannot be told apart
        return ()


def restated(
    launch: Launch, kpi: KpiCommon, observed: Observed, kept: Sequence[PublishedReading], *, measure: Measure = impact
) -> dict[int, Restated]:
    """Published readings that today's values would not give."""
    found = {}
    for item in kept:
        now = read(launch, kpi, observed, item.reading.days, measure=measure).reading
        if not same(now, item.reading):
            cause = "definition" if now.definition != item.reading.definition else "late data"
            cause = "history" if now.around != item.reading.around else cause
            cause = "launch" if terms_of(item.terms) != terms_of(launch) else cause
            cause = "method" if item.reading.method != METHOD else cause
            found[item.reading.days] = Restated(now, cause)
    return found


def terms_of(launch: Launch) -> tuple[object, ...]:
    """What of a launch its readings depend on."""
    return launch.starts_on, launch.rollout, launch.audience, launch.held_against


def same(one: Reading, other: Reading) -> bool:
    """Whether two readings say the same: verdict and numbers."""
    if one.verdict != other.verdict:
        return False
    for name in ("effect", "low", "high", "level", "expected"):
        a, b = getattr(one, name), getattr(other, name)
        if (a is None) != (b is None) or (a is not None and abs(a - b) > SAME * max(1.0, abs(a))):
            return False
    return True


def _adoption(inputs: LaunchInputs, launch: Launch, full: bool) -> tuple[Adoption | None, str]:
    if launch.adoption is None:
        return None, "The launch does not say how using it is seen: write `adoption: {dataset: …, used: …}`."
    item = launch.adoption
    dataset = inputs.catalogue.datasets.get(item.dataset)
    end = inputs.observed_to(item.dataset) if dataset else None
    if dataset is None or end is None:
        return None, f"Dataset {item.dataset} has no data."
    if end <= pd.Timestamp(launch.starts_on):
        return None, "The launch has not started."
    audience = _filter_of(launch, item.dataset, inputs.catalogue)
    tables = {}
    for by in (None, *(dataset.dimensions if full else ())):
        try:
            tables[by] = inputs.adoption(item, audience, launch.starts_on, end, by)
        except KpiError as error:
            if by is None:
                return None, error.message
    found = summarized(tables.pop(None), {str(k): v for k, v in tables.items()}, pd.Timestamp(launch.starts_on), end)
    if not found.audience:
        return None, f"The audience is empty: no row of {item.dataset} since {launch.starts_on:%-d %b} is of it."
    return found, ""


def _filter_of(launch: Launch, dataset: str, catalogue: Catalogue) -> str:
    """The audience as a condition on a dataset's rows: by the column behind a dimension, where it names one."""
    named = segments(launch.audience) if launch.audience else None
    if named is None or named.dimension not in catalogue.datasets[dataset].dimensions:
        return launch.audience
    column = catalogue.datasets[dataset].dimensions[named.dimension]
    values = ", ".join("'" + value.replace("'", "''") + "'" for value in named.values)
    return f"coalesce(CAST({column} AS TEXT), '(none)') {'NOT ' if named.others else ''}IN ({values})"


def survey_of(launch: Launch, catalogue: Catalogue) -> Survey | None:
    """The survey whose answers are its customers' voice."""
    surveys = [kpi for kpi in catalogue.kpis.values() if isinstance(kpi, Survey)]
    if launch.feedback:
        return next((kpi for kpi in surveys if kpi.name == launch.feedback), None)
    named = [kpi for kpi in surveys if kpi.name in launch.measured]
    return (named or surveys)[0] if named or len(surveys) == 1 else None


def _voice(inputs: LaunchInputs, launch: Launch) -> tuple[Voice | None, str]:
    kpi = survey_of(launch, inputs.catalogue)
    if kpi is None:
        return None, "No survey KPI is named in `feedback`, and there is not exactly one."
    end = inputs.observed_to(kpi.dataset)
    start = pd.Timestamp(launch.starts_on)
    if end is None or end <= start:
        return None, "The launch has not started."
    where = _feedback_filters(launch, kpi, inputs)
    spans = {"before": (start - VOICE_BEFORE, start), "after": (start, end)}
    whole = {k: Answers(kpi, *span, where) for k, span in spans.items()}
    try:
        found = {k: scored(inputs.scores(a), kpi.scale) for k, a in whole.items()}
        by = inputs.catalogue.dimensions_of(kpi)
        said = {k: inputs.comments(a, by) for k, a in whole.items()}
        whom = f"Audience, {_words_of(launch)}" if where else "Everyone"
        groups = [(whom, changed(found["before"], found["after"]))]
        users, apart = _users(inputs, launch, whole, found["after"])
        groups += users
    except KpiError as error:
        return None, error.message
    comments = said["after"]
    words = changed_words(said["before"]["comment"], comments["comment"])
    return Voice(kpi, tuple(groups), apart, comments, words, launch.starts_on, by), ""


def _users(
    inputs: LaunchInputs, launch: Launch, whole: Mapping[str, Answers], everybody: Scored
) -> tuple[list[tuple[str, ScoreChange]], ScoreChange | None]:
    """The answers of those who used it, before and after; and against those who did not, since launch.

    everybody: the score of all since launch.
    """
    item, kpi = launch.adoption, whole["after"].kpi
    dataset = inputs.catalogue.datasets[kpi.dataset]
    if item is None or not dataset.entity:
        return [], None
    start = whole["after"].start
    users = EntitySet(item.dataset, used_since(item.used, start, inputs.catalogue, item.dataset))
    mine = {
        "before": replace(whole["before"], entities=users),
        "after": replace(whole["after"], since_use=EntitySet(item.dataset, item.used)),
    }
    found = {k: scored(inputs.scores(a), kpi.scale) for k, a in mine.items()}
    others = _without(everybody, found["after"], kpi.scale)
    return [("Those who used it", changed(found["before"], found["after"]))], changed(others, found["after"])


def used_since(used: str, start: pd.Timestamp, catalogue: Catalogue, dataset: str) -> str:
    """The condition of a use since launch."""
    column = catalogue.datasets[dataset].time_dimension
    return f"({used}) AND \"{column}\" >= TIMESTAMP '{start:%Y-%m-%d}'"


def _without(whole: Scored, part: Scored, scale: str) -> Scored:
    """The rest: the whole less a part of it."""
    n = whole.n - part.n
    if n < 1 or whole.value is None:
        return Scored(None, 0)
    inside = part.value or 0.0
    mean = (whole.value * whole.n - inside * part.n) / n
    squares = whole.variance * max(1, whole.n - 1) + whole.n * whole.value**2
    squares -= part.variance * max(1, part.n - 1) + part.n * inside**2
    variance = (squares - n * mean**2) / max(1, n - 1)
    if variance <= SAME * squares / n:  # what is left of two large numbers that are the same
        mean = min(WORTHS[scale], key=lambda worth: abs(worth - mean))
        variance = alike(mean, n, scale)
    return Scored(mean, n, variance)


def _feedback_filters(launch: Launch, kpi: Survey, inputs: LaunchInputs) -> tuple[Filter, ...]:
    """The audience, where the survey knows it; else everybody's answers count."""
    named = segments(launch.audience) if launch.audience else None
    if named is None or named.dimension not in inputs.catalogue.dimensions_of(kpi):
        return ()
    stored = inputs.segments_of(kpi, named.dimension)
    known = list(named.values if stored is None else stored)
    return (Filter(named.dimension, named.chosen(known) or named.values),)


def _words_of(launch: Launch) -> str:
    named = segments(launch.audience)
    return named.words if named else launch.audience


def _readiness(inputs: LaunchInputs, launch: Launch, seen: Mapping[str, Observed]) -> tuple[Check, ...]:
    found = [history(launch, inputs.catalogue.kpi(name), observed) for name, observed in seen.items()]
    item = launch.adoption
    if item is not None and item.dataset in inputs.catalogue.datasets:
        try:
            uses = inputs.uses_so_far(item)
            found.append(
                Check("ok", f"Tracking works: {uses:,} uses in the data.")
                if uses
                else Check("missing", f"No usage in the data yet: no row of {item.dataset} matches `{item.used}`.")
            )
        except KpiError as error:
            found.append(Check("missing", f"Tracking cannot be checked: {error.message}"))
    else:
        found.append(Check("warning", "Adoption is not tracked: the launch names no usage event."))
    return (*found, *stated(launch, inputs.catalogue))


def _overlaps(catalogue: Catalogue, launch: Launch) -> tuple[str, ...]:
    """Other marks on its KPIs in the days that are read."""
    first, last = launch.starts_on, launch.reading_on(READINGS[-1])
    found = []
    for other in catalogue.launches:
        if other.name == launch.name:
            continue
        ends = other.until or other.starts_on
        if other.kind == "launch":
            ends = max(ends, other.reading_on(READINGS[0]))
        names = [n for n in launch.measured if n in catalogue.kpis and other.concerns(n, catalogue.kpi(n).area)]
        if names and other.starts_on < last and ends >= first:
            titles = ", ".join(catalogue.kpi(n).title for n in names)
            found.append(f"{other.title} ({other.kind}, {other.starts_on:%-d %b}) touches {titles} in the same days.")
    return tuple(found)
