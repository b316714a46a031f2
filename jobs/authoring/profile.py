"""What is seen of a source's columns: loaded once into a scratch warehouse, counted there."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from connectors.clock import utc_now
from connectors.errors import ProjectError
from connectors.machine import this_machine
from connectors.sources.contract import Source
from connectors.texts.reading import TextReading
from connectors.warehouse.contract import Loaded, Loading
from connectors.warehouse.names import quoted
from connectors.warehouse.names import text as literal
from connectors.warehouse.open import open_warehouse
from jobs.authoring.names import identifies, words

Texts = Mapping[str, Mapping[str, str]]  # dates, numbers: column → how they are written
Make = Callable[[Path, Texts], Source]  # folder that paths are relative to, what is stated of texts → what is pulled

TIMES = ("DATE", "TIMESTAMP")
NUMBERS = (
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "UHUGEINT",
    "FLOAT",
    "DOUBLE",
    "DECIMAL",
)
FRACTIONS = ("FLOAT", "DOUBLE", "DECIMAL")
SMALL = 256 << 20  # bytes of files that are loaded into memory to be looked at
SAMPLE = 60_000  # rows of which distinct values are counted
BLOCK = 2_048  # rows that lie together, in the sample or not
FEW = 60  # distinct values of a column that are looked at one by one
MOST_LEAVES = 200  # columns that nested values are taken apart into
YEAR = 365 * 86_400
EPOCHS = {"epoch_s": 1, "epoch_ms": 10**3, "epoch_us": 10**6, "epoch_ns": 10**9}
TIMELY = {"time", "timestamp", "ts", "date", "at", "on", "created", "updated", "epoch", "datetime", "day", "when"}


@dataclass(frozen=True)
class Column:
    """What was seen of one column.

    kind: SQL type. distinct: in the sample; nulls: of all rows. values: the texts of a column with few. low, high: of
    all rows, of numbers. style: how digits are to be read as a time. sql: what it is made of where it lies nested.
    unique: every row has one, and no two the same. fraction: a number that is no whole one was seen.
    """

    name: str
    kind: str
    distinct: int = 0
    nulls: int = 0
    values: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    style: str = ""
    sql: str = ""
    unique: bool = False
    fraction: bool = True

    @property
    def is_time(self) -> bool:
        """Whether it can say when a row happened."""
        return bool(self.style) or self.kind.startswith(TIMES)

    @property
    def is_number(self) -> bool:
        """Whether it can be added up at all."""
        return self.kind.startswith(NUMBERS) and "[" not in self.kind and not self.style

    @property
    def is_whole(self) -> bool:
        """Whether it holds whole numbers: by its type, or all that were seen."""
        return self.is_number and not (self.fraction and self.kind.startswith(FRACTIONS))

    @property
    def is_text(self) -> bool:
        """Whether it holds words."""
        return self.kind.startswith(("VARCHAR", "ENUM", "UUID")) and "[" not in self.kind

    @property
    def is_nested(self) -> bool:
        """Whether it holds lists or maps."""
        return self.kind.startswith(("STRUCT", "MAP", "JSON", "UNION")) or "[" in self.kind


@dataclass(frozen=True)
class Profile:
    """All that was seen. sampled: rows that distinct values were counted in.

    sql: the SELECT that takes nested values apart; empty where the table is used as it is. readings: how the texts of
    a column were read. spans: of every column that may be the time. notes: what was odd when it was loaded.
    """

    name: str
    rows: int
    sampled: int
    columns: tuple[Column, ...]
    sql: str = ""
    readings: Mapping[str, TextReading] = field(default_factory=dict)
    spans: Mapping[str, Span] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def column(self, *names: str) -> Column | None:
        """The first that is there, whatever its case and signs."""
        known = {words(c.name): c for c in reversed(self.columns)}
        return next((known[words(n)] for n in names if words(n) in known), None)


@dataclass(frozen=True)
class Span:
    """Of a time column. days: from the first to the last; step: day, week or month that its values lie apart.

    alone: no two rows of the sample have the same time and texts, as in a report of days.
    """

    days: int
    midnight: bool
    step: str
    distinct: int
    alone: bool


@contextmanager
def loaded(make: Make, texts: Texts) -> Iterator[tuple[Loading, Loaded]]:
    """The source's rows in the embedded engine, whatever the project's: what is looked for is its SQL."""
    with tempfile.TemporaryDirectory() as folder:
        source = make(Path(folder), texts)
        machine = this_machine()
        warehouse = open_warehouse("", Path(folder), memory_limit=machine.loading, threads=machine.threads)
        small = 0 < source.size() <= SMALL
        with warehouse.scratch(utc_now(), small=small) as scratch:
            with scratch.transaction():
                load = scratch.begin_load(source.options)
                for batch in source.look():
                    load.add(batch)
                done = load.finish(None)
            if not small:
                scratch.settle()
            yield scratch, done


def profiled(scratch: Loading, name: str) -> Profile:
    """What is in a loaded table. Raises ProjectError if nothing is."""
    select, flat = _taken_apart(scratch, name)
    relation = f"({select})" if flat else quoted(name)
    columns = flat or [Column(c, kind) for c, kind in scratch.tables()[name].items()]
    rows = int(_first(scratch, f"SELECT count(*) FROM {relation}")[0])
    if not rows:
        raise ProjectError(
            f"{name} has no rows", hint="What columns are for is seen in their values: export a few rows."
        )
    sample = relation if rows <= SAMPLE else _sample(relation, rows, plain=not flat)
    found, sampled = _counted(scratch, relation, sample, columns, rows)
    found = [_timed(scratch, relation, c) if c.is_whole or c.is_text else c for c in found]
    found = [_valued(scratch, relation, sample, c) for c in found]
    texts = [quoted(c.name) for c in found if c.is_text]
    found = [replace(c, unique=_is_unique(scratch, relation, c, rows, sampled)) for c in found]
    spans = {c.name: _span(scratch, relation, sample, c, texts) for c in found if c.is_time and c.nulls < rows}
    readings = {} if flat else scratch.readings(name)
    return Profile(name, rows, sampled, tuple(found), _mended(select, found) if flat else "", readings, spans)


def _sample(relation: str, rows: int, *, plain: bool) -> str:
    """Some of the rows, whole blocks of them; of a table the same ones whoever asks and however often.

    The engine's own sample is another one in each statement, whatever its seed, where several threads read.
    """
    if not plain:
        return f"(SELECT * FROM {relation} USING SAMPLE {SAMPLE * 100 / rows:.4f}% (system, 7))"
    return f"(SELECT * FROM {relation} WHERE rowid // {BLOCK} % {-(-rows // SAMPLE)} = 0)"


def _counted(
    scratch: Loading, relation: str, sample: str, columns: list[Column], rows: int
) -> tuple[list[Column], int]:
    plain = [c for c in columns if not c.is_nested]
    whole = ["count(*)"] + [f"count({quoted(c.name)})" for c in plain]
    whole += [f"{f}({quoted(c.name)})::DOUBLE" for c in plain if c.is_number for f in ("min", "max")]
    row = _first(scratch, f"SELECT {', '.join(whole)} FROM {relation}")
    distinct = _first(
        scratch,
        f"SELECT count(*), {', '.join(f'approx_count_distinct({quoted(c.name)})' for c in plain) or 0} FROM {sample}",
    )
    sampled = int(distinct[0])
    bounds = iter(row[1 + len(plain) :])
    found = []
    for at, c in enumerate(plain, 1):
        low, high = (_number(next(bounds)), _number(next(bounds))) if c.is_number else (None, None)
        found.append(replace(c, nulls=rows - int(row[at]), distinct=int(distinct[at]), low=low, high=high))
    near = [
        c for c in found if c.distinct <= 2 * FEW or c.distinct > 0.8 * sampled
    ]  # there the estimate decides nothing
    counts = [f"count(DISTINCT {quoted(c.name)})" for c in near]
    looked, *exact = _first(scratch, f"SELECT {', '.join(['count(*)', *counts])} FROM {sample}")
    # No two alike in this sample, though it may be of another size.
    known = {c.name: sampled if n == looked else min(int(n), sampled - 1) for c, n in zip(near, exact, strict=True)}
    uneven = _uneven(scratch, sample, plain)
    counted = {c.name: replace(c, distinct=known.get(c.name, c.distinct), fraction=c.name in uneven) for c in found}
    return [counted.get(c.name, c) for c in columns], sampled


def _uneven(scratch: Loading, sample: str, columns: Iterable[Column]) -> set[str]:
    """Columns that hold a number which is no whole one."""
    names = [c.name for c in columns if c.kind.startswith(FRACTIONS)]
    tests = [f"bool_or(isfinite({quoted(n)}) AND {quoted(n)} <> trunc({quoted(n)}))" for n in names]
    found = _first(scratch, f"SELECT {', '.join(tests)} FROM {sample}") if tests else []
    return {name for name, uneven in zip(names, found, strict=True) if uneven}


def _first(scratch: Loading, sql: str) -> list[Any]:
    return list(scratch.rows(sql)[0])


def _number(value: Any) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _valued(scratch: Loading, relation: str, sample: str, c: Column) -> Column:
    """With its values, if they are few; of a currency all of them, since a rare one makes a sum wrong."""
    if not (c.is_text or c.is_whole) or not 1 <= c.distinct <= FEW:
        return c
    rows = relation if "currency" in words(c.name) else sample
    values = scratch.rows(
        f"SELECT CAST({quoted(c.name)} AS VARCHAR) AS v FROM {rows} WHERE {quoted(c.name)} IS NOT NULL "
        f"GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT {FEW}"
    )
    return replace(c, values=tuple(str(v) for (v,) in values))


def _is_unique(scratch: Loading, relation: str, c: Column, rows: int, sampled: int) -> bool:
    if c.nulls or c.distinct < sampled or rows < 2 or c.is_nested:
        return False
    if rows == sampled:
        return True
    return identifies(c.name) and _first(scratch, f"SELECT count(DISTINCT {quoted(c.name)}) FROM {relation}") == [rows]


def _timed(scratch: Loading, relation: str, c: Column) -> Column:
    """A column of digits that are a time, with their style, if every one of them can be: seen in the whole column."""
    if c.is_whole and not c.kind.startswith(FRACTIONS) and c.low is not None and c.high is not None:
        horizon = utc_now().timestamp() + 5 * YEAR
        for style, unit in EPOCHS.items():
            if 10**9 * unit <= c.low and c.high <= horizon * unit:
                return c if identifies(c.name) else replace(c, style=style)
        if c.low < 19_000_101 or c.high > 21_001_231:
            return c
    elif not (c.is_text and c.distinct and set(words(c.name)) & TIMELY):
        return c
    digits = f"CAST({quoted(c.name)} AS VARCHAR)"
    (bad,) = _first(
        scratch,
        f"SELECT count(*) FROM {relation} WHERE {quoted(c.name)} IS NOT NULL AND "
        f"(length({digits}) <> 8 OR try_strptime({digits}, '%Y%m%d') IS NULL)",
    )
    return c if bad else replace(c, style="compact")


def moment(c: Column) -> str:
    """A time column as SQL, also where it is digits."""
    if c.style == "compact":
        return f"strptime(CAST({quoted(c.name)} AS VARCHAR), '%Y%m%d')"
    if c.style:
        return f"to_timestamp({quoted(c.name)} / {float(EPOCHS[c.style])})"
    return quoted(c.name)


def _span(scratch: Loading, relation: str, sample: str, c: Column, texts: list[str]) -> Span:
    at = moment(c)
    some, days, midnight, months, weeks, distinct = _first(
        scratch,
        f"SELECT count(t) > 0, date_diff('day', min(t), max(t)) + 1, bool_and(t = date_trunc('day', t)), "
        f"bool_and(day(t) = 1), count(DISTINCT dayofweek(t)) = 1, approx_count_distinct(t) "
        f"FROM (SELECT {at} AS t FROM {relation})",
    )
    step = "month" if months and distinct > 1 else "week" if weeks and distinct > 1 else "day"
    alone = _first(scratch, f"SELECT count(*) = count(DISTINCT ({', '.join([at, *texts])}, 0)) FROM {sample}")[0]
    return Span(int(days or 1) if some else 0, bool(midnight), step, int(distinct), bool(alone))


# ---- nested values


def _taken_apart(scratch: Loading, name: str) -> tuple[str, list[Column]]:
    """The SELECT that brings values out of nested ones, and its columns; none where nothing is nested."""
    kinds = scratch.tables()[name]
    base = f"SELECT * FROM {quoted(name)}"
    leaves = [leaf for c, kind in kinds.items() for leaf in _leaves(scratch, base, Column(c, kind, sql=quoted(c)))]
    listed = [c for c, kind in kinds.items() if kind.startswith("STRUCT") and kind.endswith("[]")]
    timed = any(c.kind.startswith(TIMES) or set(words(c.name)) & TIMELY for c in leaves)
    if len(listed) == 1 and not timed:  # a document such as {"tickets": […]}: its rows lie in the list
        base = f"SELECT unnest({quoted(listed[0])}) AS item FROM {quoted(name)}"
        kind = scratch.columns(base)["item"]
        leaves = _leaves(scratch, base, Column("item", kind, sql="item"), outer=True)
    elif not any(kind.startswith("STRUCT(") and not kind.endswith("[]") for kind in kinds.values()):
        return "", []
    leaves = _named(leaves[:MOST_LEAVES])
    return _select(base, leaves), leaves


def _leaves(scratch: Loading, base: str, c: Column, depth: int = 0, *, outer: bool = False) -> list[Column]:
    """The columns within a column: itself, or those of a struct, and of structs within it."""
    if not c.kind.startswith("STRUCT(") or c.kind.endswith("[]") or depth > 3:
        return [c]
    inner = scratch.columns(f"SELECT unnest({c.sql}) FROM ({base})")
    prefix = "" if outer else f"{c.name}."
    made = [Column(f"{prefix}{n}", kind, sql=f"struct_extract({c.sql}, {literal(n)})") for n, kind in inner.items()]
    return [leaf for m in made for leaf in _leaves(scratch, base, m, depth + 1)]


def _named(leaves: list[Column]) -> list[Column]:
    """With names that are columns of a SELECT, no two alike."""
    named: dict[str, Column] = {}
    for leaf in leaves:
        name = "_".join(words(leaf.name)) or "column"
        while name in named:
            name += "_2"
        named[name] = replace(leaf, name=name)
    return list(named.values())


def _select(base: str, leaves: list[Column]) -> str:
    listed = ", ".join(f"{c.sql} AS {quoted(c.name)}" for c in leaves)
    return f"SELECT {listed} FROM ({base})"


def _mended(base: str, columns: Iterable[Column]) -> str:
    """The SELECT of the dataset: nested values as columns, digits that are times as times."""
    styled = [c for c in columns if c.style]
    if not styled:
        return base
    made = ", ".join(f"{moment(c)} AS {quoted(c.name)}" for c in styled)
    return f"SELECT * REPLACE ({made}) FROM ({base})"
