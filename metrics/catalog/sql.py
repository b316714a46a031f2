"""SQL of definitions: parsed once, one expression or one SELECT, only known names, no way out of the tables."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from metrics.catalog.sql_functions import AGGREGATES
from metrics.catalog.sql_guard import (
    DIALECT,
    SqlProblem,
    refuse_depth,
    refuse_functions,
    refuse_length,
    refuse_tables,
    refuse_unwritable,
)

__all__ = ["DIALECT", "SqlProblem", "aggregates", "columns", "expression", "has_aggregate", "select"]

NAME = re.compile(r"[A-Za-z_]\w*")


def expression(text: str) -> exp.Expr:
    """One scalar or aggregate expression. Raises SqlProblem."""
    name = text.strip()
    try:
        tree = _parse(text)
    except SqlProblem:
        if not NAME.fullmatch(name):
            raise
        return exp.column(name, quoted=True)  # a column may be called as a statement is: comment, cache, grant
    if NAME.fullmatch(name) and not isinstance(tree, (exp.Condition, exp.Func)):
        return exp.column(name, quoted=True)
    if isinstance(tree, (exp.Query, exp.DDL, exp.DML, exp.Command)):
        raise SqlProblem("a single expression is wanted here, not a statement")
    refuse_functions(tree)
    if tree.find(exp.Query):
        raise SqlProblem("no SELECT inside an expression", "Put it into the dataset's `sql`.")
    return tree


def select(text: str, tables: Collection[str] | None) -> exp.Query:
    """One SELECT over known tables (any, if `tables` is None). Raises SqlProblem."""
    tree = _parse(text)
    if not isinstance(tree, exp.Query):
        raise SqlProblem("one SELECT is wanted here")
    refuse_functions(tree)
    refuse_tables(tree, tables)
    return tree


def columns(tree: exp.Expr) -> Iterator[str]:
    """Names of the columns that an expression reads."""
    for column in tree.find_all(exp.Column):
        yield column.name


def has_aggregate(tree: exp.Expr) -> bool:
    """Whether the expression aggregates rows."""
    return any(aggregates(tree))


def aggregates(tree: exp.Expr) -> Iterator[exp.Expr]:
    """The aggregates in a tree, those of its subqueries too."""
    yield from tree.find_all(exp.AggFunc)
    for found in tree.find_all(exp.Anonymous):
        if found.name.lower() in AGGREGATES:
            yield found


def _parse(text: str) -> exp.Expr:
    return _parsed(text).copy()


@lru_cache(maxsize=4096)  # definitions are read once and asked for again for each question
def _parsed(text: str) -> exp.Expr:
    refuse_length(text)
    try:
        trees = [tree for tree in sqlglot.parse(text, dialect=DIALECT) if tree is not None]
    except RecursionError:
        raise SqlProblem("is nested too deeply to be read", "Put steps into a dataset's SELECT.") from None
    except SqlglotError as error:
        details = getattr(error, "errors", None) or [{}]
        what = str(details[0].get("description") or error).split("\n")[0].rstrip(".")
        near = details[0].get("highlight") or ""
        raise SqlProblem(f"cannot be parsed: {what}" + (f" near '{near}'" if near else "")) from None
    if len(trees) != 1:
        raise SqlProblem("exactly one statement is wanted here")
    tree = trees[0]
    assert isinstance(tree, exp.Expr)
    refuse_depth(tree)
    refuse_unwritable(tree)
    return tree
