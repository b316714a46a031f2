"""What SQL of definitions may do: read the tables that are loaded, by functions that compute, in a size that is read.

The engine is sealed besides (connectors/warehouse/duckdb): what slips through here finds no file there. This says so
earlier, with a line, and in words.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from difflib import get_close_matches

from sqlglot import exp
from sqlglot.errors import SqlglotError

from connectors.errors import did_you_mean
from metrics.catalog.sql_functions import ALLOWED, ROW_SOURCES

DIALECT = "duckdb"
LONGEST, DEEPEST = 50_000, 120  # characters; expressions within expressions
MOST_TERMS = 900  # of one sum, one `OR`: the engine refuses a chain of 1,000
PATH = re.compile(r"[/\\*?:]|\.(csv|tsv|json|jsonl|ndjson|parquet|duckdb|db|txt|gz)$", re.IGNORECASE)
# What does more than compute or read: named, so that the words are right; SELECTs hold none of them.
STATEMENTS: tuple[type[exp.Expr], ...] = (
    *(exp.DDL, exp.DML, exp.Command, exp.Into, exp.Describe, exp.Summarize, exp.Pragma),
    *(exp.Set, exp.Attach, exp.Detach, exp.Copy, exp.Use, exp.Lock),
)
# What the parser keeps as functions and other engines call otherwise: parts of the language, and allowed functions.
LANGUAGE = (
    *(exp.And, exp.Or, exp.Exists, exp.Columns, exp.ToMap, exp.CastToStrType, exp.Transform, exp.ArrayOverlaps),
    *(exp.Explode, exp.RegexpLike, exp.CosineDistance, exp.EuclideanDistance),
    *(exp.ArrayMax, exp.ArrayMin, exp.BitwiseAndAgg, exp.BitwiseOrAgg, exp.BitwiseXorAgg, exp.DateBin),
    *(exp.DateFromParts, exp.TimeFromParts, exp.TimestampFromParts, exp.TimestampTrunc, exp.TimeToStr, exp.TimeToUnix),
    *(exp.StrToTime, exp.UnixToTime, exp.JSONArray, exp.JSONExtractScalar, exp.JSONObject, exp.ParseJSON, exp.Pad),
    *(exp.JarowinklerSimilarity, exp.RegexpSplit, exp.SHA2, exp.StrPosition),
)


class SqlProblem(ValueError):
    """What is wrong with a piece of SQL; `hint` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def refuse_length(text: str) -> None:
    """Raises SqlProblem for a text that is too long to be read by anybody."""
    if len(text) > LONGEST:
        hint = f"At most {LONGEST:,}. Put lists of values into a table."
        raise SqlProblem(f"is {len(text):,} characters long", hint)


def refuse_depth(tree: exp.Expr) -> None:
    """Raises SqlProblem for expressions within expressions without end. Counts without calling itself.

    The terms of a chain (a + b + c) lie in one another on its left, and are one level for who reads it.
    """
    waiting = [(tree, 1, 1)]
    while waiting:
        node, depth, terms = waiting.pop()
        if depth > DEEPEST:
            raise SqlProblem(f"is nested more than {DEEPEST} deep", "Put steps into a dataset's SELECT.")
        if terms > MOST_TERMS:
            raise SqlProblem(f"is a chain of more than {MOST_TERMS} terms", "Write `x IN (1, 2, 3)` for many `OR`.")
        for child in node.iter_expressions():
            chained = isinstance(node, exp.Binary) and isinstance(child, exp.Binary) and child is node.this
            waiting.append((child, depth, terms + 1) if chained else (child, depth + 1, 1))


def refuse_unwritable(tree: exp.Expr) -> None:
    """Raises SqlProblem for what was read and cannot be written again: a function without what it is of."""
    try:
        tree.sql(DIALECT)
    except (SqlglotError, RecursionError, TypeError, ValueError, AttributeError):
        raise SqlProblem("cannot be written as SQL again", "A function lacks an argument, or has too many.") from None


def refuse_functions(tree: exp.Expr) -> None:
    """Raises SqlProblem for a function that does more than compute from its arguments."""
    for node in tree.walk():
        if isinstance(node, STATEMENTS):
            raise SqlProblem("a SELECT only reads")
        if isinstance(node, (exp.Parameter, exp.Placeholder, exp.SessionParameter)):
            raise SqlProblem(f"'{node.sql(DIALECT)}' has no value here", "Write the value itself.")
        if isinstance(node, exp.Func) and not isinstance(node, LANGUAGE):
            _refuse_function(node)


def _refuse_function(call: exp.Func) -> None:
    names = [call.name] if isinstance(call, exp.Anonymous) else call.sql_names()
    if names[0].lower() == "age" and len(call.expressions) == 1:  # of the machine's clock, which is nobody's
        raise SqlProblem("`age(x)` says not since when", "Write `age(now(), x)`: now() is the moment of the sync.")
    if not any(name.lower() in ALLOWED for name in names):
        name = names[0].lower()
        near = "".join(f"Did you mean '{other}'? " for other in get_close_matches(name, ALLOWED, n=1, cutoff=0.8))
        raise SqlProblem(f"function '{name}' is not allowed", f"{near}Definitions read loaded tables only.")


def refuse_tables(tree: exp.Expr, tables: Collection[str] | None) -> None:
    """Raises SqlProblem for what a SELECT reads that is no loaded table, none of its own steps, and no list of rows.

    tables: names; None = not known yet.
    """
    for table, steps in _read(tree):
        shown = table.sql(DIALECT)
        if not isinstance(table.this, exp.Identifier):
            if _called(table.this) not in ROW_SOURCES:
                raise SqlProblem(f"'{shown}' is not a table", "Only loaded tables and datasets are read.")
        elif table.catalog or (table.db and table.db.lower() != "main"):
            raise SqlProblem(f"'{shown}' lies outside the loaded tables")
        elif table.name.lower() in steps and not table.db:
            continue
        elif tables is None and (PATH.search(table.name) or PATH.search(table.alias)):
            raise SqlProblem(f"'{shown}' is not a table", "Only loaded tables and datasets are read.")
        elif tables is not None and table.name not in tables:
            raise SqlProblem(f"unknown table '{table.name}'", did_you_mean(table.name, sorted(tables)))


def _called(node: exp.Expr) -> str:
    return node.name.lower() if isinstance(node, exp.Anonymous) else node.sql(DIALECT).split("(")[0].lower()


def _read(tree: exp.Expr) -> Iterator[tuple[exp.Table, frozenset[str]]]:
    """Every table that a tree reads, with the names of the steps (CTEs) that are seen from where it stands."""
    waiting = [(tree, frozenset[str]())]
    while waiting:
        node, steps = waiting.pop()
        own, inner = node.args.get("with_"), []
        if own is not None:
            for cte in own.expressions:
                name = frozenset({cte.alias_or_name.lower()})
                inner.append((cte.this, steps | name if own.args.get("recursive") else steps))
                steps |= name
        if isinstance(node, exp.Table):
            yield node, steps
        inner += [(child, steps) for child in node.iter_expressions() if child is not own]
        waiting += reversed(inner)
