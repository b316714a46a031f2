"""The tracking plan against the events that came: what is missing, stopped, renamed, new, or of a wrong type."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from itertools import chain, pairwise

import pandas as pd
import sqlglot
from sqlglot import exp

from connectors.errors import counted
from connectors.warehouse.contract import Columns, DatasetState, Reader
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.plan import Plan, PlannedProperty
from metrics.catalog.sql import DIALECT
from metrics.engine import periods
from metrics.engine.query import Scope
from metrics.engine.sql import trees
from metrics.quality.breaks import Breaks, broken_by

HISTORY = 56  # days that are looked at before the last complete one
RECENT = 7  # days whose properties are looked at
USUAL_WEEKS = 4
SURE = 5  # rows that were due by the fewest of the same weekdays: so many do not stay away by chance
RARE_DAYS = 3  # days with rows of a rare event, from which its usual gap is known
ALIKE = 0.6  # of two names, from 0 to 1
JSON_TYPES = {
    "string": ("VARCHAR",),
    "number": ("BIGINT", "UBIGINT", "DOUBLE"),
    "integer": ("BIGINT", "UBIGINT"),
    "boolean": ("BOOLEAN",),
    "object": ("OBJECT",),
    "array": ("ARRAY",),
}
# What to do about each kind.
HELP = {
    "missing": "Is it sent, and under this name? Take it out of the plan if it is not to come.",
    "stopped": "Look at the release of that day. Take it out of the plan if it is not to come any more.",
    "renamed": "Send it under its planned name again, or change the plan and what reads it.",
    "new": "Write it into the plan, with its owner, or stop sending it.",
    "wrong_type": "Look at who sends it; a definition that reads it counts it wrongly or not at all.",
    "wrong_value": "Look at who sends it, or write the value into the plan.",
    "lacking": "Look at who sends it, or state that it is not required.",
}


@dataclass(frozen=True)
class Breach:
    """Something that is not as planned. kind: missing, stopped, renamed, new, wrong_type, wrong_value, lacking."""

    plan: str
    event: str
    property_: str
    kind: str
    words: str
    owner: str
    breaks: Breaks = field(default_factory=Breaks)

    @property
    def text(self) -> str:
        """What is wrong, and what it breaks."""
        return f"{self.words}{self.breaks.text}"


def breaches(plan: Plan, catalogue: Catalogue, reader: Reader) -> list[Breach]:
    """Everything that is not as the plan says, in its order; what is not planned comes last.

    What stays away is judged at the end of the last complete day; before the first one nothing is. Raises KpiError.
    """
    states = reader.dataset_states(reader.generation.sequence)
    state = states.get(plan.dataset)
    if state is None or state.watermark is None:
        return []
    scope = _scope(plan, catalogue, reader, states)
    seen = _seen(plan, scope)
    so_far = replace(scope, end=scope.end + pd.Timedelta(days=1))  # what is wrong already is told already
    found = [*_events(plan, seen, scope.end), *_properties(plan, seen, so_far)]
    order = {name: n for n, name in enumerate(plan.events)}
    found.sort(key=lambda breach: (order.get(breach.event, len(order)), breach.event))
    return [_with_breaks(breach, plan, catalogue) for breach in found]


def _with_breaks(breach: Breach, plan: Plan, catalogue: Catalogue) -> Breach:
    if breach.kind == "new":
        return breach
    name, of = (breach.property_, breach.event) if breach.property_ else (breach.event, "")
    return replace(breach, breaks=broken_by(catalogue, plan.dataset, name, of_event=of))


def _scope(plan: Plan, catalogue: Catalogue, reader: Reader, states: Mapping[str, DatasetState]) -> Scope:
    watermark = states[plan.dataset].watermark
    assert watermark is not None
    end = periods.floor(periods.on_clock(watermark, "day", catalogue.timezone), "day")
    return Scope(catalogue, reader, dict(states), "day", end - pd.Timedelta(days=HISTORY), end)


@dataclass(frozen=True)
class _Seen:
    """ever: event → rows, first and last local moment. days: a row per day, a column per event, rows of each."""

    ever: pd.DataFrame
    days: pd.DataFrame

    def stopped(self, event: str, end: pd.Timestamp) -> bool:
        """Whether rows stay away that were due: by the fewest of the same weekdays, or by its longest gap."""
        if pd.Timestamp(self.ever.loc[event, "last"]) >= end:
            return False  # it came on the running day
        if event not in self.days:
            return True
        counts = self.days[event]
        last = counts[counts > 0].index.max()
        silent = pd.date_range(last + pd.Timedelta(days=1), end - pd.Timedelta(days=1))
        due = 0
        for day in silent:
            weeks = [day - pd.Timedelta(days=7 * week) for week in range(1, USUAL_WEEKS + 1)]
            before = [int(counts[at]) for at in weeks if at in counts.index and at <= last]
            due += min(before) if len(before) >= min(USUAL_WEEKS, 2) else 0
        if due >= SURE:
            return True
        active = counts[counts > 0].index
        gap = max((b - a for a, b in pairwise(active)), default=None)
        return bool(gap and len(active) > RARE_DAYS and end - last > 2 * gap + pd.Timedelta(days=1))


def _seen(plan: Plan, scope: Scope) -> _Seen:
    dataset = scope.catalogue.datasets[plan.dataset]
    local = trees.local_time(dataset, scope, trees.time_type(dataset, scope))
    event = exp.cast(exp.column(plan.event, quoted=True), "VARCHAR")
    ever = trees.from_dataset(
        exp.select(
            event.as_("e"),
            exp.Count(this=exp.Star()).as_("n"),
            exp.Min(this=local.copy()).as_("first"),
            exp.Max(this=local.copy()).as_("last"),
        ),
        dataset,
    ).where(exp.LT(this=local.copy(), expression=trees.moment(scope.end + pd.Timedelta(days=1))))
    rows = trees.run(ever.group_by(exp.Literal.number(1)), scope).dropna(subset=["e"])
    daily = exp.select(event.as_("e"), trees.period(local, scope).as_("d"), exp.Count(this=exp.Star()).as_("n"))
    daily = trees.from_dataset(daily, dataset).where(trees.in_range(local, scope.start, scope.end))
    counts = trees.run(daily.group_by(exp.Literal.number(1), exp.Literal.number(2)), scope).dropna(subset=["e"])
    table = counts.assign(d=pd.to_datetime(counts["d"])).pivot_table(
        index="d", columns="e", values="n", aggfunc="sum", fill_value=0
    )
    days = pd.date_range(scope.start, scope.end - pd.Timedelta(days=1))
    return _Seen(rows.set_index("e"), table.reindex(days, fill_value=0))


def _events(plan: Plan, seen: _Seen, end: pd.Timestamp) -> Iterator[Breach]:
    """Planned events that never came, stopped or have another name; events that are not planned."""
    unplanned = [str(name) for name in seen.ever.index if name not in plan.events]
    gone = [n for n in plan.events if n in seen.ever.index and seen.stopped(n, end)]
    never = [n for n in plan.events if n not in seen.ever.index]
    renamed = _renamed([*gone, *never], unplanned, seen)
    for name in plan.events:
        owner = plan.events[name].owner or plan.owner
        if name in renamed:
            since = pd.Timestamp(seen.ever.loc[renamed[name], "first"])
            words = f"'{name}' comes as '{renamed[name]}' since {_day(since)}"
            yield Breach(plan.name, name, "", "renamed", words, owner)
        elif name in never:
            yield Breach(plan.name, name, "", "missing", f"'{name}' never came", owner)
        elif name in gone:
            last = pd.Timestamp(seen.ever.loc[name, "last"])
            yield Breach(plan.name, name, "", "stopped", f"'{name}' stopped: the last one came on {_day(last)}", owner)
    for name in unplanned:
        if name not in renamed.values():
            row = seen.ever.loc[name]
            words = f"'{name}' is not in the plan: {int(row['n']):,} since {_day(pd.Timestamp(row['first']))}"
            yield Breach(plan.name, name, "", "new", words, plan.owner)


def _renamed(gone: list[str], fresh: list[str], seen: _Seen) -> dict[str, str]:
    """Old name → new: the likest pairs first, of which the new did not begin while the old still came."""
    pairs = []
    for old in gone:
        for new in fresh:
            alike = similarity(old, new)
            if alike >= ALIKE and (old not in seen.ever.index or _follows(seen, old, new)):
                pairs.append((alike, old, new))
    found: dict[str, str] = {}
    for _, old, new in sorted(pairs, reverse=True):
        if old not in found and new not in found.values():
            found[old] = new
    return found


def _follows(seen: _Seen, old: str, new: str) -> bool:
    began, ended = pd.Timestamp(seen.ever.loc[new, "first"]), pd.Timestamp(seen.ever.loc[old, "last"])
    return bool(began >= ended - pd.Timedelta(days=RECENT))


def similarity(one: str, other: str) -> float:
    """Of two names, from 0 to 1, whatever way their words are put together."""
    plain, against = (re.sub(r"[^a-z0-9]", "", text.lower()) for text in (one, other))
    return SequenceMatcher(a=plain, b=against).ratio()


def _properties(plan: Plan, seen: _Seen, scope: Scope) -> Iterator[Breach]:
    """Properties of the last days that are missing, new, renamed, or not what they are to be."""
    columns = _columns(plan, scope)
    known = {name: event for name, event in plan.events.items() if event.properties and name in seen.days}
    if not known:
        return
    counts = _counted(plan, scope, columns)
    keys = _keys(plan, scope) if plan.properties else {}
    for name, event in known.items():
        if name not in counts.index:
            continue
        row, owner = counts.loc[name], event.owner or plan.owner
        extra = [key for key in keys.get(name, {}) if key not in event.properties]
        lacking = [p for p, what in event.properties.items() if _lacks(row, p, what)]
        renamed = {
            old: best
            for old in lacking
            if row[f"has {old}"] == 0
            and (best := max(extra, key=lambda k: similarity(old, k), default=""))
            and similarity(old, best) >= ALIKE
        }
        for key, what in event.properties.items():
            at = Breach(plan.name, name, key, "", "", what.owner or owner)
            yield from _of_property(at, what, row, renamed.get(key, ""))
        for key in extra:
            if key not in renamed.values():
                words = f"'{name}' has a property '{key}' that is not in the plan, {counted(keys[name][key], 'time')}"
                yield Breach(plan.name, name, key, "new", words, owner)


def _lacks(row: pd.Series, key: str, what: PlannedProperty) -> bool:
    """Whether rows lack it that were to have it: all of them are to, or each tenth had it before and none has now."""
    if what.required:
        return bool(row[f"has {key}"] < row["rows"])
    before, rows = row[f"had {key}"], row["rows before"]
    due = row["rows"] * before / rows if rows else 0
    return bool(row[f"has {key}"] == 0 and due >= 2 * SURE and before >= rows / 10)


def _of_property(at: Breach, what: PlannedProperty, row: pd.Series, renamed: str) -> Iterator[Breach]:
    key, rows = at.property_, int(row["rows"])
    has, wrong = int(row[f"has {key}"]), int(row[f"wrong {key} {what.type}"])
    words = ""
    if renamed:
        kind, words = "renamed", f"'{key}' of '{at.event}' comes as '{renamed}'"
    elif _lacks(row, key, what):
        kind = "lacking" if has else "stopped"
        words = f"{rows - has:,} of {rows:,} '{at.event}' of the last {RECENT} days have no '{key}'"
    if words:
        yield Breach(at.plan, at.event, key, kind, words, at.owner)
    if wrong:
        words = f"'{key}' of '{at.event}' is no {what.type} in {wrong:,} of {has:,} of the last {RECENT} days"
        yield Breach(at.plan, at.event, key, "wrong_type", words, at.owner)
    strange = int(row[f"strange {key} {','.join(what.values)}"]) if what.values else 0
    if strange:
        words = f"'{key}' of '{at.event}' is none of {', '.join(what.values)} in {strange:,} of {has:,}"
        yield Breach(at.plan, at.event, key, "wrong_value", words, at.owner)


def _columns(plan: Plan, scope: Scope) -> Columns:
    dataset = scope.catalogue.datasets[plan.dataset]
    return scope.reader.columns(dataset.select) if dataset.select else scope.reader.tables()[dataset.source]


def _counted(plan: Plan, scope: Scope, columns: Columns) -> pd.DataFrame:
    """A row per event: rows of the last days and before; of each property how many have it, had it, have it wrongly."""
    dataset = scope.catalogue.datasets[plan.dataset]
    local = trees.local_time(dataset, scope, trees.time_type(dataset, scope))
    recent = exp.GTE(this=local, expression=trees.moment(scope.end - pd.Timedelta(days=RECENT)))
    event = exp.cast(exp.column(plan.event, quoted=True), "VARCHAR")
    wanted: dict[str, exp.Expr] = {"rows": recent, "rows before": exp.not_(recent.copy())}
    for key, what in chain.from_iterable(event.properties.items() for event in plan.events.values()):
        there = _present(plan, key, columns)
        wanted[f"has {key}"] = exp.and_(recent.copy(), there)
        wanted[f"had {key}"] = exp.and_(exp.not_(recent.copy()), there.copy())
        wanted[f"wrong {key} {what.type}"] = exp.and_(recent.copy(), there.copy(), _misfit(plan, key, what, columns))
        if what.values:
            value, allowed = _value(plan, key, columns), [exp.Literal.string(v) for v in what.values]
            strange = exp.not_(value.isin(*allowed))
            wanted[f"strange {key} {','.join(what.values)}"] = exp.and_(recent.copy(), there.copy(), strange)
    counts = [trees.times(condition).as_(f"c{n}") for n, condition in enumerate(wanted.values())]
    query = exp.select(event.as_("e"), *counts)
    query = trees.from_dataset(query, dataset).where(trees.in_range(local, scope.start, scope.end))
    rows = trees.run(query.group_by(exp.Literal.number(1)), scope).dropna(subset=["e"]).set_index("e")
    return rows.rename(columns={f"c{n}": name for n, name in enumerate(wanted)})


def _keys(plan: Plan, scope: Scope) -> dict[str, dict[str, int]]:
    """Event → key of its properties → how often, in the last days."""
    dataset = scope.catalogue.datasets[plan.dataset]
    local = trees.local_time(dataset, scope, trees.time_type(dataset, scope))
    event = exp.cast(exp.column(plan.event, quoted=True), "VARCHAR")
    keys = _sql(f"UNNEST(JSON_KEYS(CAST({_quoted(plan.properties)} AS JSON)))")
    inner = trees.from_dataset(exp.select(event.as_("e"), keys.as_("k")), dataset)
    inner = inner.where(trees.in_range(local, scope.end - pd.Timedelta(days=RECENT), scope.end))
    found = exp.select("e", "k", exp.Count(this=exp.Star()).as_("n")).from_(inner.subquery("keys")).group_by("e", "k")
    result: dict[str, dict[str, int]] = {}
    for row in trees.run(found, scope).dropna().itertuples():
        result.setdefault(str(row.e), {})[str(row.k)] = int(row.n)
    return result


def _value(plan: Plan, key: str, columns: Columns) -> exp.Expr:
    """A property as text."""
    if plan.properties:
        return _sql(f"JSON_EXTRACT_STRING(CAST({_quoted(plan.properties)} AS JSON), {_path(key)})")
    return exp.cast(exp.column(key, quoted=True), "VARCHAR") if key in columns else exp.null()


def _present(plan: Plan, key: str, columns: Columns) -> exp.Expr:
    return exp.not_(exp.Is(this=_value(plan, key, columns), expression=exp.null()))


def _misfit(plan: Plan, key: str, what: PlannedProperty, columns: Columns) -> exp.Expr:
    """Whether a value that is there is not of its type. In JSON a number in quotes is a text."""
    value = _value(plan, key, columns)
    if what.type == "datetime":
        return exp.Is(this=exp.TryCast(this=value, to=exp.DataType.build("TIMESTAMP")), expression=exp.null())
    if what.type == "any" or (not plan.properties and what.type in ("string", "object", "array")):
        return exp.false()
    if plan.properties:
        kind = _sql(f"JSON_TYPE(CAST({_quoted(plan.properties)} AS JSON), {_path(key)})")
        return exp.not_(kind.isin(*[exp.Literal.string(name) for name in JSON_TYPES[what.type]]))
    if what.type == "boolean":
        return exp.not_(exp.Lower(this=value).isin(*[exp.Literal.string(v) for v in ("true", "false", "0", "1")]))
    number = exp.TryCast(this=value, to=exp.DataType.build("DOUBLE"))
    none: exp.Expr = exp.Is(this=number, expression=exp.null())
    if what.type == "integer":
        part = exp.Mod(this=number.copy(), expression=exp.Literal.number(1))
        none = exp.or_(none, part.neq(0))
    return none


def _sql(text: str) -> exp.Expr:
    return sqlglot.parse_one(text, read=DIALECT)


def _quoted(name: str) -> str:
    return exp.to_identifier(name, quoted=True).sql(dialect=DIALECT)


def _path(key: str) -> str:
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return exp.Literal.string(f'$."{escaped}"').sql(dialect=DIALECT)


def _day(at: pd.Timestamp) -> str:
    return f"{at:%-d %b %Y}"
