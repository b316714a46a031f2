"""A launch read from people: those who were shown it against those who were not, on days fixed beforehand and today."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date

import pandas as pd

from connectors.errors import KpiError, counted, did_you_mean
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.launch import READINGS, Exposure, Guardrail, Launch
from metrics.catalog.segments import segments
from metrics.engine.exposure import COUNTED, EARLY, SEVERAL
from metrics.engine.per_person import PerPerson
from metrics.engine.types import per_person
from metrics.launches.distributions import stats
from metrics.launches.inputs import ExposedPeople, LaunchInputs
from metrics.launches.people.comparison import Comparison, Lift, compared
from metrics.launches.people.history import AaTest, cried_wolf, earlier_dates
from metrics.launches.people.moments import Sums
from metrics.launches.people.noninferiority import judged, margin_of
from metrics.launches.people.novelty import Halves, wears_off
from metrics.launches.people.sample_ratio import SampleRatio, sample_ratio
from metrics.launches.people.segments_reading import SegmentReading, segments_reading
from metrics.launches.people.sequential import ALPHA, FIRST_LOOK, always_valid
from metrics.launches.people.tables import Table

BEFORE = 28  # days before exposure that CUPED looks at: the same for all readings, so that an old one stays as it was
MOST_VARIANTS = 20
AA_DAYS = 14
UP, DOWN, OPEN, WITHHELD, UNFIT = "moved up", "moved down", "no clear change", "withheld", "unfit"
DAY = pd.Timedelta(days=1)


@dataclass(frozen=True)
class VariantReading:
    """One variant of one KPI against the control. days: 7, 14, 28 since launch; 0 = today, valid at every look.

    starts, end: the launch's day, and that at which it ends. verdict: empty = none, withheld = the sample ratio is
    wrong; `why` says so. lift: the effect that the verdict is of, `relative` or in the KPI's unit, with its interval.
    guard: holds, breached or not known yet, of a guardrail with a margin; unfit: it is in points, of what is no rate.
    wears_off: it was another in the first days.
    """

    variant: str
    days: int
    starts: pd.Timestamp
    end: date
    verdict: str = ""
    why: str = ""
    comparison: Comparison | None = None
    lift: Lift | None = None
    relative: bool = False
    guard: str = ""
    wears_off: bool = False


@dataclass(frozen=True)
class KpiPeople:
    """One KPI from people. why: in a clause, why it cannot be read so. cap: what larger amounts count as."""

    kpi: KpiCommon
    why: str = ""
    person: PerPerson | None = None
    readings: tuple[VariantReading, ...] = ()
    cap: float | None = None
    margin: str = ""
    aa: AaTest | None = None


@dataclass(frozen=True)
class People:
    """A launch from people. why: why it is not read so; then there is nothing else.

    exposed: people by variant, of the latest reading. Left out are several, seen in two variants, and early, exposed
    before the launch. known_to: the first day that the exposures are not known of.
    """

    why: str = ""
    exposed: Mapping[str, int] = field(default_factory=dict)
    control: str = ""
    several: int = 0
    early: int = 0
    ratio: SampleRatio | None = None
    known_to: pd.Timestamp | None = None
    notes: tuple[str, ...] = ()
    kpis: tuple[KpiPeople, ...] = ()
    segments: tuple[SegmentReading, ...] = ()  # what the audience's own people say, where there are no exposures


NOTHING_NAMED = (
    "the launch names no exposure, so nobody knows who was shown it: name its dataset and variant under exposure"
)


def people_reading(launch: Launch, inputs: LaunchInputs) -> People:
    """Everything that people say of a launch on the live data: of its exposures, else of its segments."""
    found = _by_exposure(launch, inputs)
    return replace(found, segments=segments_reading(launch, inputs)) if found.why else found


def _by_exposure(launch: Launch, inputs: LaunchInputs) -> People:
    if launch.exposure is None:
        return People(NOTHING_NAMED)
    exposure, start = launch.exposure, pd.Timestamp(launch.starts_on)
    if exposure.dataset not in inputs.catalogue.datasets:
        return People(f"dataset {exposure.dataset} is not defined")
    known_to = inputs.observed_to(exposure.dataset)
    if known_to is None:
        return People(f"dataset {exposure.dataset} has no rows yet")
    if start.date() > inputs.catalogue.today(inputs.now):
        return People("the launch has not started")
    return _Exposed(launch, exposure, inputs, known_to).read()


class _Exposed:
    """One launch with exposures."""

    def __init__(self, launch: Launch, exposure: Exposure, inputs: LaunchInputs, known_to: pd.Timestamp) -> None:
        self.launch, self.exposure, self.inputs, self.known_to = launch, exposure, inputs, known_to
        self.start = pd.Timestamp(launch.starts_on)
        self.catalogue = inputs.catalogue
        self.where, self.notes = self._audience()

    def read(self) -> People:
        rails = {rail.kpi: rail for rail in self.launch.guardrails}
        success = {item.kpi for item in self.launch.success}
        names = [name for name in self.launch.judged_by if name in self.catalogue.kpis]
        found, head = [], None
        for name in names:
            kpi = self.catalogue.kpi(name)
            try:
                one, of = self._kpi(kpi, rails.get(name), history=name in success)
            except KpiError as error:
                one, of = KpiPeople(kpi, error.message), None
            found.append(one)
            head = (
                of
                if head is None or (of is not None and sum(of.exposed.values()) > sum(head.exposed.values()))
                else head
            )
        if head is None:
            why = "; ".join(f"{one.kpi.title}: {one.why}" for one in found) or "no KPI is named"
            return People(why, kpis=tuple(found), known_to=self.known_to, notes=self.notes)
        return replace(head, kpis=tuple(found))

    def _kpi(self, kpi: KpiCommon, rail: Guardrail | None, *, history: bool) -> tuple[KpiPeople, People | None]:
        person = per_person(kpi, self.catalogue)
        if isinstance(person, str):
            return KpiPeople(kpi, person), None
        marks = [self.inputs.observed_to(part.dataset) for part in person.parts]
        done = min((mark for mark in marks if mark is not None), default=None)
        if done is None or None in marks or done <= self.start:
            return KpiPeople(kpi, "no day since launch is complete", person), None
        days = sorted({d for d in READINGS if self.start + d * DAY <= done})
        ends = tuple(dict.fromkeys([*(self.start + d * DAY for d in days), done]))
        asked = ExposedPeople(self.exposure, person, self.start, ends, (BEFORE * DAY).to_pytimedelta(), self.where)
        frame = self.inputs.exposed_sums(asked)
        head = self._head(frame)
        if head.why:
            return KpiPeople(kpi, head.why, person), head if not head.exposed else None
        table = Table(frame[frame["status"] == COUNTED], person.of is not None)
        cap = f"cap_y{len(ends) - 1}"
        found = KpiPeople(
            kpi,
            "",
            person,
            tuple(self._readings(kpi, person, rail, table, ends, days, head)),
            _known(frame, cap) if cap in frame else None,
            rail.margin if rail is not None else "",
            self._history(person) if history else None,
        )
        return found, head

    def _head(self, frame: pd.DataFrame) -> People:
        """Who was exposed, and whether the variants can be compared at all."""
        of = {status: frame[frame["status"] == status] for status in (COUNTED, SEVERAL, EARLY)}
        exposed = {str(k): int(n) for k, n in of[COUNTED].groupby("variant")["n"].sum().items()}
        several, early = int(of[SEVERAL]["n"].sum()), int(of[EARLY]["n"].sum())
        control = self.exposure.control
        why = ""
        if not exposed:
            why = f"nobody in dataset {self.exposure.dataset} was exposed since the launch"
        elif len(exposed) > MOST_VARIANTS:
            why = f"column {self.exposure.variant} has {len(exposed):,} variants, which is no experiment's"
        elif control not in exposed:
            hint = did_you_mean(control, sorted(exposed))
            why = f"nobody was exposed to the control '{control}': write `control:` of the exposure. {hint}"
        elif len(exposed) == 1:
            why = f"everybody exposed is of the control '{control}', so there is nobody to compare"
        grows = len({step.share for step in self.launch.rollout}) > 1 or any(s.share < 1 for s in self.launch.rollout)
        ratio = sample_ratio(exposed, self.exposure.split, grows=grows) if not why else None
        return People(why, exposed, control, several, early, ratio, self.known_to, self.notes)

    def _readings(
        self,
        kpi: KpiCommon,
        person: PerPerson,
        rail: Guardrail | None,
        table: Table,
        ends: tuple[pd.Timestamp, ...],
        days: list[int],
        head: People,
    ) -> list[VariantReading]:
        """Each variant on each fixed day that has come, and today."""
        treated = [name for name in head.exposed if name != head.control]
        found = []
        for variant in treated:
            looks = [(d, self.start + d * DAY) for d in days] + [(0, ends[-1])]
            for number, end in looks:
                at = ends.index(end)
                one = self._reading(kpi, person, table, variant, number, end, at, len(treated))
                one = _withheld(one, head.ratio)
                if rail is not None and rail.margin and one.comparison is not None:
                    one = replace(one, guard=_guard(kpi, rail, one))
                if not number and person.capped:
                    halves = table.halves(end, at)
                    one = replace(one, wears_off=_wears_off(halves, head.control, variant))
                found.append(one)
        return found

    def _reading(  # noqa: PLR0913 (one reading, its parts)
        self,
        kpi: KpiCommon,
        person: PerPerson,
        table: Table,
        variant: str,
        days: int,
        end: pd.Timestamp,
        at: int,
        variants: int,
    ) -> VariantReading:
        blank = VariantReading(variant, days, self.start, end.date())
        ripe = person.after + (person.window or pd.Timedelta(0).to_pytimedelta())
        last = (end - DAY - ripe).floor("D")
        by = table.of_end(at, None, last)
        control, treated = by.get(self.exposure.control, {}), by.get(variant, {})
        if not control or not treated:
            span = f": {counted(ripe.days, 'day')} after it must be over" if ripe.days else ""
            return replace(blank, why=f"Nobody was exposed long enough ago{span}.")
        pairs = [(control.get(d, Sums.none()), treated.get(d, Sums.none())) for d in sorted({*control, *treated})]
        alpha = ALPHA / variants
        widening = float(stats.norm.ppf(1 - alpha / 2))
        if not days:
            information = _information(table, last, end, open_ended=person.window is None)
            if information is None:
                return replace(blank, why=f"Fewer than {FIRST_LOOK} people were exposed so far.")
            widening = always_valid(information, alpha)
        comparison = compared(pairs, widening, person.factor)
        if comparison is None:
            return replace(blank, why="A variant has fewer than 100 people, or none with a denominator.")
        lift = comparison.difference if kpi.changes_in_points or kpi.is_score else comparison.relative
        relative = lift is not None and lift is comparison.relative
        lift = lift or comparison.difference
        verdict = UP if lift.low > 0 else DOWN if lift.high < 0 else OPEN
        return replace(blank, verdict=verdict, comparison=comparison, lift=lift, relative=relative)

    def _history(self, person: PerPerson) -> AaTest | None:
        """Random splits of the people of earlier days; None where there were none."""
        cried = splits = dates = 0
        own = self.catalogue.datasets[person.value.dataset]
        named = segments(self.launch.audience) if self.launch.audience else None
        where = ""
        if named is not None and named.dimension in own.dimensions:
            where = condition_of(self.launch.audience, own.dimensions[named.dimension])
        for start in earlier_dates(self.start, AA_DAYS):
            end = start + AA_DAYS * DAY
            asked = ExposedPeople(None, person, start, (end,), (AA_DAYS * DAY).to_pytimedelta(), where)
            frame = self.inputs.exposed_sums(asked)
            table = Table(frame, person.of is not None).of_end(0, None, end)
            buckets = {name: of[start] for name, of in table.items() if start in of}
            wolf, tried = cried_wolf(buckets)
            cried, splits, dates = cried + wolf, splits + tried, dates + (tried > 0)
        return AaTest(cried, splits, dates) if splits else None

    def _audience(self) -> tuple[str, tuple[str, ...]]:
        """The audience as a condition on exposures, where they know it."""
        text = self.launch.audience
        if not text:
            return "", ()
        named = segments(text)
        dimensions = self.catalogue.datasets[self.exposure.dataset].dimensions
        if named is not None and named.dimension in dimensions:
            return condition_of(text, dimensions[named.dimension]), ()
        what = named.dimension.replace("_", " ") if named is not None else f"`{text}`"
        return "", (f"Everybody exposed is counted: dataset {self.exposure.dataset} does not know {what}.",)


def condition_of(audience: str, column: str) -> str:
    """An audience of one dimension as a condition on the column behind it."""
    named = segments(audience)
    assert named is not None
    values = ", ".join("'" + value.replace("'", "''") + "'" for value in named.values)
    return f"coalesce(CAST({column} AS TEXT), '(none)') {'NOT ' if named.others else ''}IN ({values})"


def _information(table: Table, last: pd.Timestamp, end: pd.Timestamp, *, open_ended: bool) -> float | None:
    """What is known today in times of what the first look knew: person-days; of a fixed window people.

    The first look is the end of the day on which a hundred people had been exposed. None = it has not come.
    """
    people = table.frame[table.frame["day"] <= last].groupby("day")["n"].sum().sort_index()
    enough = people.cumsum() >= FIRST_LOOK
    if not enough.any():
        return None
    first = people.index[int(enough.to_numpy().argmax())]
    seen = people[people.index <= first]
    if not open_ended:
        return float(people.sum() / seen.sum())

    def person_days(of: pd.Series, to: pd.Timestamp) -> float:
        return float((of * (to - of.index).days).sum())

    return person_days(people, end) / person_days(seen, first + DAY)


def _withheld(one: VariantReading, ratio: SampleRatio | None) -> VariantReading:
    if ratio is None or not ratio.is_breached or not one.verdict:
        return one
    return replace(one, verdict=WITHHELD, why="The variants have other numbers of people than planned.")


def _guard(kpi: KpiCommon, rail: Guardrail, one: VariantReading) -> str:
    assert one.comparison is not None
    margin = margin_of(rail.margin)
    lift, size = one.comparison.difference, margin.size
    if not margin.in_points:
        size = margin.size if one.comparison.relative is not None else margin.size * abs(one.comparison.control)
        lift = one.comparison.relative or lift
    elif not (kpi.is_rate or kpi.is_score):
        return UNFIT
    elif not kpi.is_rate:
        size = margin.size * 100
    if one.verdict == WITHHELD:
        return WITHHELD
    return judged(lift.low, lift.high, size, up_is_good=kpi.direction != "down_is_good")


def _wears_off(halves: Mapping[str, Mapping[pd.Timestamp, Halves]], control: str, variant: str) -> bool:
    mine, others = halves.get(variant, {}), halves.get(control, {})
    return wears_off([(others[day], mine[day]) for day in sorted({*mine} & {*others})])


def _known(frame: pd.DataFrame, column: str) -> float | None:
    value = frame[column].max()
    return None if pd.isna(value) else float(value)
