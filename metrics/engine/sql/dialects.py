"""From trees of DuckDB SQL to the text of an engine: what sqlglot translates, and the rules that it lacks."""

from __future__ import annotations

import sqlglot
from sqlglot import ErrorLevel, UnsupportedError, exp

from metrics.engine.sql.rules import aggregates, times

DUCKDB = "duckdb"
# What an engine must be told before it runs such a text.
SESSION = {
    "postgres": ("SET TIME ZONE 'UTC'",),
    "spark": ("SET spark.sql.session.timeZone = 'UTC'",),
    "clickhouse": ("SET join_use_nulls = 1", "SET prefer_column_name_to_alias = 1", "SET session_timezone = 'UTC'"),
}
RULES = (
    aggregates.group_by_all,  # before what aggregates gets other names
    aggregates.quantile,
    aggregates.first_and_last,
    times.zone,
    times.parts,
    times.wide_types,
)


def render(tree: exp.Query, dialect: str) -> str:
    """The text of a tree in a dialect."""
    return _rewritten(tree, dialect).sql(dialect=dialect, pretty=True)


def parsed(text: str) -> exp.Query:
    """A SELECT that was valid before, as its tree."""
    tree = sqlglot.parse_one(text, dialect=DUCKDB)
    assert isinstance(tree, exp.Query)
    return tree


def translated(text: str, dialect: str) -> str:
    """A SELECT as definitions write it, in a dialect."""
    return render(parsed(text), dialect)


def unsupported(tree: exp.Query, dialect: str) -> list[str]:
    """What of a tree cannot be said in a dialect; empty where all can."""
    if dialect in aggregates.WITHOUT_QUANTILES and any(aggregates.is_quantile(node) for node in tree.walk()):
        return ["It has no exact median or percentile of a group, and an estimate would be another value."]
    try:
        _rewritten(tree, dialect).sql(dialect=dialect, unsupported_level=ErrorLevel.RAISE)
    except UnsupportedError as error:
        return [line.strip() for line in str(error).splitlines() if line.strip()]
    return []


def _rewritten(tree: exp.Query, dialect: str) -> exp.Expr:
    if dialect == DUCKDB:
        return tree
    result: exp.Expr = tree.copy()
    for rule in RULES:
        result = result.transform(rule, dialect, copy=False)
    return result
