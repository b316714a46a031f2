"""What is valid but surely wrong: told as warnings by `kpi validate`, after each sync and on the page *Data*."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from difflib import get_close_matches

import pandas as pd
from sqlglot import exp

from connectors.errors import KpiError, Problem, counted
from connectors.warehouse.contract import NO_DIMENSION, Columns, DatasetState, Reader
from metrics.catalog import sql
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.dataset import Dataset
from metrics.catalog.models.kpi import KpiCommon, Place
from metrics.catalog.models.plan import Plan
from metrics.engine import periods
from metrics.engine.answer import default_scope
from metrics.engine.gaps import gaps
from metrics.engine.query import Scope
from metrics.engine.rows_counted import undated_rows
from metrics.engine.sql import trees
from metrics.engine.sql.dialects import DUCKDB, render
from metrics.presentation.format import share_text
from metrics.quality.repeated_keys import CODE
from metrics.quality.tracking_plan import HELP, breaches

MANY_VALUES = 1000  # of a column; beyond it the nearest value is not looked for
CONSTANT = {"hour": 72, "day": 28, "week": 12, "month": 6, "quarter": 6, "year": 6}  # periods of one value
SHRUNK = 0.8  # of the rows that a dataset had at the sync before
SUDDEN, FEWEST, WEEKS = 2.0, 20, 4  # rows of a day against those of the same weekday in the weeks before
ANNOUNCED = timedelta(days=7)  # a `changes` entry may be dated so far from today


def data_quality_warnings(
    catalogue: Catalogue, reader: Reader, now: datetime, *, unrepeated: Collection[str] = ()
) -> list[Problem]:
    """Every warning about definitions and data of the live generation, in the order of their places.

    unrepeated: datasets whose keys need not be counted, see `repeated_keys.unrepeated`.
    """
    found: list[Problem] = []
    generations = reader.generations()
    states = reader.dataset_states(reader.generation.sequence)
    before = reader.dataset_states(generations[-2].sequence) if len(generations) > 1 else {}
    seen = _Values(catalogue, reader)
    for name, dataset in catalogue.datasets.items():
        for check in (
            _untimed(dataset, catalogue, reader, states),
            _future(dataset, states),
            _multiplied(dataset, reader),
            iter(()) if name in unrepeated else _repeated(dataset, reader),
            _shrunk(dataset, states, before),
            _sudden(dataset, catalogue, reader, states),
        ):
            found += _told(catalogue, f"dataset:{name}", check)
    own = [(name, kpi.grain, NO_DIMENSION) for name, kpi in catalogue.kpis.items() if kpi.overview or kpi.is_share]
    reader.read_ahead(own, reader.generation.sequence)
    for name, kpi in catalogue.kpis.items():
        checks = (
            seen.never(kpi),
            _above_one(kpi, reader),
            _constant(kpi, reader) if kpi.overview else iter(()),  # one that only serves others may be
            _ends_apart(kpi, catalogue, reader, states),
            _silent(kpi, catalogue, reader, now),
        )
        for check in checks:
            found += _told(catalogue, f"kpi:{name}", check)
    for plan in catalogue.plans:
        found += _told(catalogue, f"plan:{plan.name}", _as_planned(plan, catalogue, reader))
    return sorted(found)


Finding = tuple[Place, str, str, str]  # place, code, message, hint


def _told(catalogue: Catalogue, key: str, check: Iterator[Finding]) -> Iterator[Problem]:
    """Findings as warnings of a file. A check that the data does not allow finds nothing."""
    try:
        for place, code, message, hint in check:
            yield catalogue.documents[key].problem(place, code, message, hint, "warning")
    except KpiError:
        return


class _Values:
    """Which values occur in the columns that filters speak of; each column is looked at once."""

    def __init__(self, catalogue: Catalogue, reader: Reader) -> None:
        self._catalogue, self._reader = catalogue, reader
        self._known: dict[tuple[str, str], list[str]] = {}

    def never(self, kpi: KpiCommon) -> Iterator[Finding]:
        """Texts that a filter compares a column with and that no row has."""
        for place, measure in kpi.measures.items():
            for text, at in ((measure.filter, "filter"), (measure.sql, "sql")):
                for column, value in _compared(text):
                    yield from self._one(measure.dataset, column, value, (*place, at))

    def _one(self, name: str, column: str, value: str, place: Place) -> Iterator[Finding]:
        dataset = self._catalogue.datasets[name]
        kinds = {c.lower(): kind for c, kind in _columns(dataset, self._reader).items()}
        if kinds.get(column.lower()) != "VARCHAR":
            return
        values = self._occurring(dataset, column)
        if value in values or (len(values) > MANY_VALUES and self._occurs(dataset, column, value)):
            return
        near = get_close_matches(value, values, n=1) or [v for v in values if v.lower() == value.lower()]
        listed = f"It has: {', '.join(values[:12])}{', …' if len(values) > 12 else ''}." if values else "It is empty."
        hint = (f"Did you mean '{near[0]}'? " if near else "") + listed
        yield place, "never_occurs", f"{column} is never '{value}'", hint

    def _occurring(self, dataset: Dataset, column: str) -> list[str]:
        key = (dataset.name, column.lower())
        if key not in self._known:
            value = exp.column(column, quoted=True)
            query = exp.select(value.as_("v")).distinct().limit(MANY_VALUES + 1)
            rows = self._reader.frame(render(trees.from_dataset(query, dataset), self._reader.dialect))
            self._known[key] = sorted(str(v) for v in rows["v"].dropna())
        return self._known[key]

    def _occurs(self, dataset: Dataset, column: str, value: str) -> bool:
        query = exp.select(exp.Literal.number(1).as_("x")).limit(1)
        query = trees.from_dataset(query, dataset).where(exp.column(column, quoted=True).eq(exp.Literal.string(value)))
        return len(self._reader.frame(render(query, self._reader.dialect))) > 0


def _compared(text: str) -> Iterator[tuple[str, str]]:
    """(column, text) of each `column = 'text'` and `column IN ('text', …)`."""
    if not text:
        return
    for node in sql.expression(text).find_all(exp.EQ, exp.In):
        sides = [node.this, node.expression] if isinstance(node, exp.EQ) else [node.this, *node.expressions]
        column = next((side for side in sides if isinstance(side, exp.Column)), None)
        if column is not None:
            yield from ((column.name, s.this) for s in sides if isinstance(s, exp.Literal) and s.is_string)


def _columns(dataset: Dataset, reader: Reader) -> Columns:
    return reader.columns(dataset.select) if dataset.select else reader.tables()[dataset.source]


def _as_planned(plan: Plan, catalogue: Catalogue, reader: Reader) -> Iterator[Finding]:
    """What the tracking plan says and the events do not."""
    for breach in breaches(plan, catalogue, reader):
        place: Place = ("events", breach.event) if breach.event in plan.events else ("events",)
        if breach.property_ in (plan.events[breach.event].properties if breach.event in plan.events else ()):
            place = (*place, "properties", breach.property_)
        asked = f" {breach.owner} looks after it." if breach.owner else ""
        yield place, f"plan_{breach.kind}", breach.text, f"{HELP[breach.kind]}{asked}"


def _untimed(
    dataset: Dataset, catalogue: Catalogue, reader: Reader, states: Mapping[str, DatasetState]
) -> Iterator[Finding]:
    """Rows that no period counts; not where another dataset has them by another time (signed up, not yet activated)."""
    others = [d for d in catalogue.datasets.values() if d.source == dataset.source and d.source]
    if any(other.time_dimension != dataset.time_dimension for other in others):
        return
    count, state = undated_rows(dataset, reader), states.get(dataset.name)
    if count:
        of = f" of {state.rows:,}" if state else ""
        message = (
            f"{count:,}{of} {'row has' if count == 1 else 'rows have'} no {dataset.time_dimension}: no period has them"
        )
        hint = "A totals line of an export, or events that were never stamped; leave them out in the dataset's SQL."
        yield ("time_dimension",), "no_time", message, hint


def _future(dataset: Dataset, states: Mapping[str, DatasetState]) -> Iterator[Finding]:
    """Rows later than the sync, which are not counted before their time has come."""
    state = states.get(dataset.name)
    if state is not None and state.future_rows:
        count = state.future_rows
        where = "lies in the future and is" if count == 1 else "lie in the future and are"
        message = f"{count:,} of {counted(state.rows, 'row')} {where} not counted yet"
        hint = "Is day and month read the right way round, and the zone? State `dates` of the source or `timezone`."
        yield ("time_dimension",), "in_the_future", message, hint


def _multiplied(dataset: Dataset, reader: Reader) -> Iterator[Finding]:
    """A SELECT whose joins give a row of its first table more than once.

    Only DuckDB numbers its rows. Elsewhere it is told where the joins make more rows than the table has: not where they
    leave out as many as they repeat.
    """
    tree = sql.select(dataset.select, None) if dataset.select else None
    if not isinstance(tree, exp.Select) or not tree.args.get("joins"):
        return
    source = tree.args["from_"].this
    if not isinstance(source, exp.Table) or source.name not in reader.tables():
        return
    row, every = exp.column("rowid", table=source.alias_or_name), exp.Count(this=exp.Star())
    each: exp.Expr = exp.Count(this=exp.Distinct(expressions=[row]))
    if reader.dialect != DUCKDB:
        each = exp.select(every.copy()).from_(exp.to_table(source.name, quoted=True)).subquery()
    count = exp.select(every.as_("n"), each.as_("d"))
    for part in ("with_", "from_", "joins"):
        if tree.args.get(part):
            count.set(part, tree.copy().args[part])
    found = reader.frame(render(count, reader.dialect)).iloc[0]
    if found["n"] > found["d"]:
        rows = counted(int(found["d"]), "row")
        text = f"its joins turn {rows} of {source.name} into {int(found['n']):,}: sums count some twice"
        yield (
            ("sql" if dataset.sql else "source",),
            "multiplies",
            text,
            "Join on a key that is unique on the other side.",
        )


def _repeated(dataset: Dataset, reader: Reader) -> Iterator[Finding]:
    if not dataset.primary_key:
        return
    keys = [exp.column(key, quoted=True) for key in dataset.primary_key]
    query = exp.select(exp.Count(this=exp.Star()).as_("n"), exp.Count(this=exp.Distinct(expressions=keys)).as_("d"))
    query = trees.from_dataset(query, dataset)
    for key in keys:
        query = query.where(exp.not_(exp.Is(this=key.copy(), expression=exp.null())))
    found = reader.frame(render(query, reader.dialect)).iloc[0]
    if found["n"] > found["d"]:
        again, have = int(found["n"] - found["d"]), "has" if found["n"] - found["d"] == 1 else "have"
        text = f"the primary key repeats: {again:,} of {counted(int(found['n']), 'row')} {have} one again"
        yield (
            ("primary_key",),
            CODE,
            text,
            "State `primary_key` of the source too: a row then replaces its elder.",
        )


def _shrunk(
    dataset: Dataset, states: Mapping[str, DatasetState], before: Mapping[str, DatasetState]
) -> Iterator[Finding]:
    now, then = states.get(dataset.name), before.get(dataset.name)
    if now and then and now.rows < SHRUNK * then.rows:
        text = f"it has {counted(now.rows, 'row')}, and had {then.rows:,} at the sync before"
        yield (), "row_count", text, "Look whether its source was exported in whole."


def _sudden(
    dataset: Dataset, catalogue: Catalogue, reader: Reader, states: Mapping[str, DatasetState]
) -> Iterator[Finding]:
    """A last complete day with far fewer or more rows than the same weekday had."""
    state = states.get(dataset.name)
    if state is None or state.watermark is None:
        return
    end = periods.floor(periods.on_clock(state.watermark, "day", catalogue.timezone), "day")
    last = end - pd.Timedelta(days=1)
    scope = Scope(catalogue, reader, states, "day", last - pd.Timedelta(days=7 * WEEKS), end)
    local = trees.local_time(dataset, scope, trees.time_type(dataset, scope))
    query = exp.select(trees.period(local, scope).as_(trees.PERIOD), exp.Count(this=exp.Star()).as_("n"))
    query = trees.from_dataset(query, dataset).where(trees.in_range(local, scope.start, scope.end))
    rows = trees.run(query.group_by(exp.Literal.number(1)), scope)
    counts = {pd.Timestamp(at): int(n) for at, n in zip(rows[trees.PERIOD], rows["n"], strict=True)}
    earlier = [counts.get(last - pd.Timedelta(days=7 * week), 0) for week in range(1, WEEKS + 1)]
    now = counts.get(last, 0)
    if min(earlier) < FEWEST or min(earlier) / SUDDEN <= now <= max(earlier) * SUDDEN:
        return
    weekday = f"{last:%A}s"
    text = f"{last.day} {last:%b} has {counted(now, 'row')}; "
    text += f"the {WEEKS} {weekday} before had {min(earlier):,} to {max(earlier):,}"
    yield (), "row_count", text, "Look whether its source was complete, or something was counted twice."


def _stored(kpi: KpiCommon, reader: Reader) -> pd.DataFrame:
    found = reader.stored_values(kpi.name, kpi.grain, NO_DIMENSION, reader.generation.sequence)
    if found is None:
        return pd.DataFrame({"period": [], "value": []})
    done = found.frame[found.frame["complete"] & found.frame["value"].notna()]
    return done.sort_values("period")


def _above_one(kpi: KpiCommon, reader: Reader) -> Iterator[Finding]:
    if not kpi.is_share:
        return
    values = _stored(kpi, reader)
    high = values[values["value"] > 1 + 1e-9]
    if len(high):
        row = high.iloc[-1]
        last = f"last {row['period']:%Y-%m-%d}: {share_text(row['value'], 1)}"
        text = f"a share above 100% in {len(high)} of {counted(len(values), kpi.grain)}, {last}"
        yield ("numerator",), "above_one", text, "Is the numerator part of the denominator, counted in the same unit?"


def _constant(kpi: KpiCommon, reader: Reader) -> Iterator[Finding]:
    tail = _stored(kpi, reader).tail(CONSTANT[kpi.grain])
    if len(tail) == CONSTANT[kpi.grain] and tail["value"].nunique() == 1:
        text = f"it has been {tail['value'].iloc[0]:g} for {len(tail)} {kpi.grain}s"
        yield (), "constant", text, "Is its event still recorded, and its filter still right?"


def _ends_apart(
    kpi: KpiCommon, catalogue: Catalogue, reader: Reader, states: Mapping[str, DatasetState]
) -> Iterator[Finding]:
    """A part that is complete to its latest row by default, and so keeps from being known what others know.

    Cohorts end with their base: who started last is no news.
    """
    scope = default_scope(kpi, kpi.grain, catalogue, reader, states)
    base = next((condition.dataset for condition in kpi.conditions.values()), "")
    for gap in gaps(kpi, scope):
        if gap.early and gap.hint and gap.dataset != base:
            yield (), "ends_apart", gap.text, gap.hint


def _silent(kpi: KpiCommon, catalogue: Catalogue, reader: Reader, now: datetime) -> Iterator[Finding]:
    """A definition that differs from the one published last, and does not say why."""
    known = reader.stored_definitions(kpi.name, kpi.grain)
    today = catalogue.today(now)
    said = any(abs(change.on - today) <= ANNOUNCED for change in kpi.changes)
    if known and known[-1][0] != catalogue.definition(kpi.name) and not said:
        text = "its definition differs from the one published last"
        hint = f"`kpi diff {kpi.name}` shows by how much; say why: changes: [{{on: {today}, by: you, why: …}}]"
        yield (), "unannounced", text, hint
