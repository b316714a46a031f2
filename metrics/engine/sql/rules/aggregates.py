"""Rules of what aggregates: quantiles, the first and the last, groups."""

from __future__ import annotations

from sqlglot import exp

from metrics.engine.sql.rules.families import SPARKS

# Trino estimates them, BigQuery has them over windows only.
WITHOUT_QUANTILES = ("bigquery", "trino")


def is_quantile(node: exp.Expr) -> bool:
    """Whether it is a share-th value."""
    return isinstance(node, (exp.Median, exp.PercentileCont)) or (
        isinstance(node, exp.Anonymous) and node.name.upper() == "QUANTILE_CONT"
    )


def quantile(node: exp.Expr, dialect: str) -> exp.Expr:
    """The share-th value with linear interpolation: each engine spells it otherwise."""
    if isinstance(node, exp.Median):
        x, share = node.this, exp.Literal.number(0.5)
    elif isinstance(node, exp.PercentileCont) and node.expression:  # as a definition writes it
        x, share = node.this, node.expression
    elif isinstance(node, exp.Anonymous) and node.name.upper() == "QUANTILE_CONT":
        x, share = node.expressions
    else:
        return node
    if dialect == "clickhouse":
        return exp.Anonymous(this=f"quantileExactInclusiveOrNull({share.sql()})", expressions=[x])
    if dialect in SPARKS:
        return exp.Anonymous(this="PERCENTILE", expressions=[x, share])
    order = exp.Order(expressions=[exp.Ordered(this=x)])
    return exp.WithinGroup(this=exp.PercentileCont(this=share), expression=order)


def first_and_last(node: exp.Expr, dialect: str) -> exp.Expr:
    """The known value of the row that comes first or last, by one or by several columns."""
    if not isinstance(node, (exp.ArgMin, exp.ArgMax)):
        return node
    by, x = node.expression, node.this
    row = isinstance(by, exp.Anonymous) and by.name.upper() == "ROW"
    keys = list(by.expressions) if row else [by]
    if dialect == "clickhouse":
        if row:
            node.set("expression", exp.Anonymous(this="tuple", expressions=keys))
        return node
    known = exp.not_(exp.Is(this=x.copy(), expression=exp.null()))
    if dialect in (*SPARKS, "trino"):
        if row:
            node.set("expression", exp.Anonymous(this="ROW" if dialect == "trino" else "STRUCT", expressions=keys))
        return exp.Filter(this=node.copy(), expression=exp.Where(this=known))
    ordered = [exp.Ordered(this=key.copy(), desc=isinstance(node, exp.ArgMax)) for key in keys]
    if dialect == "snowflake":  # whose lists have no unknown values
        sorted_list = exp.WithinGroup(this=exp.ArrayAgg(this=x), expression=exp.Order(expressions=ordered))
        return exp.Bracket(this=exp.paren(sorted_list), expressions=[exp.Literal.number(0)])
    order = exp.Order(this=x.copy(), expressions=ordered)
    if dialect == "bigquery":
        one = exp.ArrayAgg(this=exp.IgnoreNulls(this=exp.Limit(this=order, expression=exp.Literal.number(1))))
        return exp.Bracket(this=one, expressions=[exp.Literal.number(0)], offset=0, safe=True)
    listed = exp.Filter(this=exp.ArrayAgg(this=order), expression=exp.Where(this=known))
    return exp.Bracket(this=exp.paren(listed), expressions=[exp.Literal.number(1)], offset=1)


def group_by_all(node: exp.Expr, dialect: str) -> exp.Expr:
    """GROUP BY ALL as the places of what is selected and does not aggregate: few know it."""
    if dialect == "clickhouse" or not isinstance(node, exp.Select):
        return node
    group = node.args.get("group")
    if not (group and group.args.get("all")):
        return node
    places = [
        exp.Literal.number(place)
        for place, shown in enumerate(node.selects, start=1)
        if not shown.find(exp.AggFunc) and not isinstance(shown.unalias(), exp.Literal)
    ]
    node.set("group", exp.Group(expressions=places) if places else None)
    return node
