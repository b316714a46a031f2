"""Which roll-ups a sync keeps, for the next one and for questions with filters, and what of them it counts anew."""

from __future__ import annotations

import dataclasses
import logging
import re
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlglot import exp

from connectors.errors import DiskFull, KpiError
from connectors.warehouse.contract import DatasetState, Rollup, Staging
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine import periods, types
from metrics.engine.dirty_ranges import DAY, FAR, DirtyRanges, Span, union
from metrics.engine.query import Scope, Shared
from metrics.engine.sql import trees
from metrics.engine.sql.dialects import DUCKDB, render
from metrics.engine.sql.people_by_day import Key, People
from metrics.engine.sql.rollups import (
    ALWAYS,
    About,
    KeptRollups,
    Touched,
    named,
    part_as_text,
    part_of,
    people_select,
    sums_select,
    values_select,
)
from metrics.engine.sql.shared_reading import Reading, united
from metrics.engine.sql.shared_scans import MOST_GROUPS
from metrics.engine.sql.sums import Sums

log = logging.getLogger(__name__)
LEAST_ROWS = 20_000  # of a dataset: fewer are read as quickly
MOST_KEPT = 0.5  # of the rows that it stands for, where these need no join
MOST_ROWS = 20_000_000  # of one roll-up
MOST_CONDITIONS, MOST_PARTS = 12, 60  # of one roll-up
SAMPLED_DAYS = {"people": 3, "values": 31}  # that tell whether one promises to be small
FAIR = 1.3  # how much more such a sample may have: less repeats itself in few days than in all
CALLED = "roll-ups"  # whose the costs are
# Types of values whose medians and percentiles an engine tells as DOUBLE.
EXACT = frozenset(
    ["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "DOUBLE"]
)
WHOLE = ("BIGINT", "INTEGER", "SMALLINT", "TINYINT")
# Of a definition that asks for the time or for chance, what was counted yesterday is not what would be counted today.
UNSTEADY = re.compile(
    r"\b(?:now|today|ago|random|uuid|setseed|get_current_\w+|current_\w+|localtime\w*|transaction_timestamp"
    r"|tablesample|using\s+sample)\b",
    re.I,
)


@dataclass
class Wanted:
    """A roll-up that KPIs ask for. people: whose days, of that kind. counts: conditions, or parts of sums as texts."""

    kind: str
    key: Key
    dataset: str
    people: People | None = None
    counts: dict[str, None] = field(default_factory=dict)
    dimensions: dict[str, None] = field(default_factory=dict)
    kpis: dict[str, None] = field(default_factory=dict)

    def select(self, about: About, reading: Reading) -> exp.Select:
        """What makes it, over a range of days."""
        if self.people:
            return people_select(self.people, about, reading)
        return sums_select(about, reading) if self.kind == "sums" else values_select(about, reading)

    def said(self, count: str) -> tuple[str, ...]:
        """SQL of one of its counts, and of its key: it may name dimensions."""
        if self.kind != "sums":
            return (count, *self.key)
        column, condition = part_of(count)
        return (condition, column.of)

    def touched(self, catalogue: Catalogue, days: Mapping[str, DirtyRanges | None]) -> DirtyRanges | None:
        """Days of it that differ from the generation before; None = any may."""
        if self.people is None or not self.people.joined:
            found = days[self.dataset]
            return _in_months(found) if found and self.kind == "values" else found
        return union(types.dirty_ranges(catalogue.kpis[name], catalogue, days) for name in self.kpis)


@dataclass(frozen=True)
class RefreshedRollup:
    """What a refresh did with one. state: new, renewed, held or none; span: its days that were counted anew."""

    wanted: Wanted
    about: About
    state: str
    span: Span | None
    seconds: float


class RefreshedRollups:
    """Those of the generation before as far as they hold, and what a refresh makes anew: before all, so that it reads

    them itself. kept: what may be read of them.
    """

    def __init__(
        self,
        staging: Staging,
        catalogue: Catalogue,
        states: Mapping[str, DatasetState],
        days: Mapping[str, DirtyRanges | None],
    ) -> None:
        """days: of each dataset of which all is known, those that this sync touched; None = all."""
        self._staging, self._states, self._days = staging, states, days
        self._scope = Scope(catalogue, staging, states, "day", *ALWAYS)
        self.kept = KeptRollups({})
        self.done: list[RefreshedRollup] = []
        large = {n for n in days if n in states and states[n].rows >= LEAST_ROWS}
        self.wanted = list(_wanted(catalogue, large))

    def make(self, shared: Shared) -> None:
        """Count what was touched of each, or all of a new one, and forget the others. Raises DiskFull."""
        self._scope = dataclasses.replace(self._scope, shared=shared)
        before, held, anew = self._staging.rollups(), dict[str, Rollup](), dict[str, Touched]()
        for wanted in self.wanted:
            started = time.perf_counter()
            try:
                touched = wanted.touched(self._scope.catalogue, self._days)
                rollup = None if touched is None else self._held(wanted, before, held)
                if rollup and touched and not self._still_fits(wanted, rollup):
                    rollup = None
                state, span = ("held" if rollup else "new"), None
                if rollup is None:
                    rollup = self._made(wanted, held)
                    if rollup is None:
                        continue
                elif touched and rollup.relation:
                    state, span = "renewed", (touched[0][0], touched[-1][1])
                    anew[rollup.name] = self._renewed(wanted, rollup, span)
                    if not anew[rollup.name].relation:  # it has become too large
                        rollup = dataclasses.replace(rollup, relation="")
                held[rollup.name] = rollup
                state, seconds = state if rollup.relation else "none", time.perf_counter() - started
                self.done.append(RefreshedRollup(wanted, About.of(rollup), state, span, seconds))
            except DiskFull:
                raise
            except KpiError as error:  # whoever asks reads rows, and is told
                log.info("no roll-up of %s: %s", wanted.dataset, error)
            except Exception:
                log.exception("a roll-up of %s", wanted.dataset)
        self._staging.forget_rollups(held)
        self.kept = KeptRollups(held, anew)

    def _held(self, wanted: Wanted, before: Mapping[str, Rollup], taken: Collection[str]) -> Rollup | None:
        """The roll-up of the generation before that has all that is wanted, and was made as it would be now."""
        for rollup in before.values():
            if rollup.name in taken:
                continue
            about = About.of(rollup)
            same = (about.kind, about.key) == (wanted.kind, wanted.key) and set(wanted.counts) <= set(about.counts)
            if not same or not set(wanted.dimensions) <= {*about.dimensions, *about.many}:
                continue
            if named(about, wanted.select(about, self._reading(wanted, ALWAYS))) == rollup.name:
                return rollup
        return None

    def _renewed(self, wanted: Wanted, rollup: Rollup, span: Span) -> Touched:
        """The days of it that were touched, counted anew."""
        select = wanted.select(About.of(rollup), self._reading(wanted, span))
        days = span[0].to_pydatetime(), span[1].to_pydatetime()
        return Touched(span, self._kept(rollup.name, rollup.about, select, MOST_ROWS, days))

    def _made(self, wanted: Wanted, taken: Collection[str]) -> Rollup | None:
        """A new one; of nearly as many rows as there are, or of SQL that asks for the time, none is kept.

        None: its name is taken, by conditions that are written otherwise and make the same SQL. One table cannot be
        counted anew for the one in whole and for the other in part.
        """
        about, select = self.of_all(wanted)
        name, most = named(about, select), self._most(wanted)
        if name in taken:
            return None
        fit = about.counts and not UNSTEADY.search(render(select, DUCKDB)) and self._is_exact(wanted, select)
        if not fit or not self._promises(wanted, about, most):
            most = -1
        return Rollup(name, self._kept(name, about.as_dict(), select, most), about.as_dict())

    def _is_exact(self, wanted: Wanted, select: exp.Select) -> bool:
        """Whether medians of the values are those of the rows: of a DECIMAL or FLOAT an engine rounds them."""
        return wanted.kind != "values" or self._types(select)["value"] in EXACT

    def _still_fits(self, wanted: Wanted, rollup: Rollup) -> bool:
        """Whether rows of today can be counted into it.

        A column of a table may have become wider; a key that it joins by may be there twice, and who asks for nothing
        of that join would be told twice as much.
        """
        if not rollup.relation:
            return True
        about, reading = About.of(rollup), self._reading(wanted, ALWAYS)
        if not reading.single(about.dimensions, [text for count in about.counts for text in wanted.said(count)]):
            return False
        if self._staging.kept is not self._staging:  # its table has other types; where the rows' changed all is anew
            return True
        kept = exp.select("*").from_(trees.kept_table(rollup.relation))
        return self._types(kept) == self._types(wanted.select(about, reading))

    def _types(self, select: exp.Select) -> dict[str, str]:
        return dict(self._staging.columns(render(select, DUCKDB)))

    def _promises(self, wanted: Wanted, about: About, most: int) -> bool:
        """Whether the last days' part of it has few enough of their rows: of many, the making of all is spared."""
        state = self._states[wanted.dataset]
        if state.last_at is None or most >= state.rows or wanted.kind == "sums":
            return True
        last = periods.on_clock(state.last_at, "day", self._scope.zone)
        reading = self._reading(wanted, (last - SAMPLED_DAYS[wanted.kind] * DAY, last))
        rows, parts = exp.select(exp.Literal.number(1).as_("one")), wanted.select(about, reading)
        relations = {"rows": reading.scanned(rows, reading.dataset((), ())), "parts": parts}
        counts = [exp.select(exp.Count(this=exp.Star()).as_("n")).from_(name) for name in relations]
        found = reading.run(trees.assembled(united(counts), **relations))["n"].astype(int)
        return bool(found.min() <= FAIR * most / state.rows * found.max())

    def of_all(self, wanted: Wanted) -> tuple[About, exp.Select]:
        """What is in a roll-up of all rows, and the SELECT that makes it. Raises WarehouseError, QueryLimit."""
        reading = self._reading(wanted, ALWAYS)
        sizes = reading.sizes(wanted.dimensions)
        counts = [c for c in wanted.counts if reading.single((), wanted.said(c))]
        dimensions = _together(sizes, self._count_days(wanted.dataset)) if wanted.kind == "sums" else list(sizes)
        many = tuple(name for name in wanted.dimensions if name not in dimensions)
        about = About(wanted.kind, wanted.key, wanted.dataset, tuple(dimensions), tuple(counts), many)
        return about, wanted.select(about, reading)

    def _kept(
        self,
        name: str,
        about: Mapping[str, Any],
        select: exp.Select,
        most: int,
        touched: tuple[datetime, datetime] | None = None,
    ) -> str:
        """The relation of what a SELECT made."""
        text = render(self._as_it_comes_home(select), self._staging.dialect)
        return self._staging.keep_rollup(name, about, text, most=most, touched=touched)

    def _as_it_comes_home(self, select: exp.Select) -> exp.Select:
        """The same, of an engine with ids as texts where they are no whole numbers: those alone come as they are."""
        if self._staging.kept is self._staging:
            return select
        kinds = self._types(select)
        if kinds.get("entity", WHOLE[0]) in WHOLE:
            return select
        text = exp.cast(exp.column("entity"), "TEXT").as_("entity")
        columns = [text if name == "entity" else exp.column(name) for name in kinds]
        return exp.select(*columns).from_(select.subquery("brought"))

    def _most(self, wanted: Wanted) -> int:
        borrowed = self._scope.catalogue.datasets[wanted.dataset].borrowed()
        joined = (wanted.people is not None and wanted.people.joined) or not wanted.dimensions.keys().isdisjoint(
            borrowed
        )
        return int(min(MOST_ROWS, self._states[wanted.dataset].rows * (1 if joined else MOST_KEPT)))

    def _count_days(self, dataset: str) -> int:
        state = self._states[dataset]
        if state.first_at is None or state.last_at is None:
            return 1
        return max(1, (state.last_at - state.first_at).days + 2)

    def _reading(self, wanted: Wanted, span: Span) -> Reading:
        return Reading(CALLED, self._scope.catalogue.datasets[wanted.dataset], self._scope, "day", *span)


def _wanted(catalogue: Catalogue, datasets: set[str]) -> Iterator[Wanted]:
    """The roll-ups of these datasets that KPIs ask for; of many conditions or parts several."""
    found: dict[tuple[str, Key], list[Wanted]] = {}
    for name, kpi in catalogue.kpis.items():
        try:
            asked, offered = _asked(kpi, catalogue), catalogue.dimensions_of(kpi)
        except Exception as error:  # who computes it is told
            log.info("%s asks for no roll-up: %s", name, error)
            continue
        for one, most in asked:
            if one.dataset in datasets:
                into = _place(found.setdefault((one.kind, one.key), []), one, most)
                own = catalogue.datasets[one.dataset].dimensions
                into.dimensions.update(dict.fromkeys(d for d in offered if d in own))
                into.kpis[name] = None
    for several in found.values():
        yield from several


def _asked(kpi: KpiCommon, catalogue: Catalogue) -> list[tuple[Wanted, int]]:
    """What one KPI asks for, and how many counts such a roll-up has at the most."""
    asked: list[tuple[Wanted, int]] = []
    for people in types.people_kept(kpi, catalogue):
        conditions = dict.fromkeys(people.conditions)
        asked.append((Wanted("people", people.key, people.dataset, people, conditions), MOST_CONDITIONS))
    for sums, _ in types.sums(kpi, catalogue):
        asked.append((Wanted("sums", (sums.dataset,), sums.dataset, None, _parts(sums)), MOST_PARTS))
    for measure in types.values_kept(kpi, catalogue):
        key, conditions = (measure.dataset, measure.expr), dict.fromkeys([measure.filter])
        asked.append((Wanted("values", key, measure.dataset, None, conditions), MOST_CONDITIONS))
    return asked


def _place(several: list[Wanted], one: Wanted, most: int) -> Wanted:
    """The one of several that has all counts of this one, or gets them."""
    for known in several:
        if set(one.counts) <= set(known.counts):
            return known
    if not several or len({**several[-1].counts, **one.counts}) > most:
        several.append(one)
    several[-1].counts.update(one.counts)
    return several[-1]


def _in_months(days: DirtyRanges) -> DirtyRanges:
    """The months that days lie in."""
    return [(periods.floor(a, "month"), b if b >= FAR else periods.ceil(b, "month")) for a, b in days]


def _parts(sums: Sums) -> dict[str, None]:
    return dict.fromkeys(part_as_text((column, sums.condition)) for column in sums.needs())


def _together(sizes: Mapping[str, int], days: int) -> list[str]:
    """Dimensions, fewest values first, whose combinations on so many days are not too many."""
    found, groups = [], days
    for name, size in sizes.items():
        groups *= size
        if groups > MOST_GROUPS:
            break
        found.append(name)
    return found
