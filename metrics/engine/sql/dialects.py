"""From trees of DuckDB SQL to the text of an engine: what sqlglot translates, and the rules that it lacks."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

DUCKDB = "duckdb"
# What an engine must be told before it runs such a text.
SESSION = {
    "postgres": ("SET TIME ZONE 'UTC'",),
    "spark": ("SET TIME ZONE 'UTC'",),
    "clickhouse": ("SET join_use_nulls = 1", "SET prefer_column_name_to_alias = 1", "SET session_timezone = 'UTC'"),
}


def render(tree: exp.Query, dialect: str) -> str:
    """The text of a tree in a dialect."""
    if dialect == DUCKDB:
        return tree.sql(dialect=dialect, pretty=True)
    result: exp.Expr = tree.copy()
    for rule in RULES:
        result = result.transform(rule(dialect), copy=False)
    return result.sql(dialect=dialect, pretty=True)


def _quantile(dialect: str) -> Callable[[exp.Expr], exp.Expr]:
    """The share-th value with linear interpolation: each engine spells it otherwise."""

    def rewrite(node: exp.Expr) -> exp.Expr:
        if not (isinstance(node, exp.Anonymous) and node.name.upper() == "QUANTILE_CONT"):
            return node
        x, share = node.expressions
        if dialect == "clickhouse":
            return exp.Anonymous(this=f"quantileExactInclusive({share.sql()})", expressions=[x])
        if dialect == "spark":
            return exp.Anonymous(this="PERCENTILE", expressions=[x, share])
        order = exp.Order(expressions=[exp.Ordered(this=x)])
        return exp.WithinGroup(this=exp.PercentileCont(this=share), expression=order)

    return rewrite


def _zone(dialect: str) -> Callable[[exp.Expr], exp.Expr]:
    """AT TIME ZONE, twice: a naive time of one zone as the naive time of another."""

    def rewrite(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.AtTimeZone) or dialect == "postgres":
            return node
        inner = node.this.unnest()
        if isinstance(inner, exp.AtTimeZone):
            at, given, wanted = inner.this.unnest(), inner.args["zone"], node.args["zone"]
            if dialect == "spark":
                return exp.Anonymous(this="CONVERT_TIMEZONE", expressions=[given, wanted, at])
            text = exp.Anonymous(this="toString", expressions=[at])
            instant = exp.Anonymous(this="toDateTime64", expressions=[text, exp.Literal.number(6), given])
        else:
            at, wanted = inner, node.args["zone"]
            if dialect == "spark":
                return exp.Anonymous(this="CONVERT_TIMEZONE", expressions=[exp.Literal.string("UTC"), wanted, at])
            instant = at
        moved = exp.Anonymous(this="toTimeZone", expressions=[instant, wanted])
        text = exp.Anonymous(this="toString", expressions=[moved])
        utc = exp.Literal.string("UTC")
        return exp.Anonymous(this="toDateTime64", expressions=[text, exp.Literal.number(6), utc])

    return rewrite


RULES = (_quantile, _zone)
