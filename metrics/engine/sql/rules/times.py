"""Rules of times: zones, types, what is cut off and taken out of them."""

from __future__ import annotations

from sqlglot import exp

from metrics.engine.sql.rules.families import SPARKS


def zone(node: exp.Expr, dialect: str) -> exp.Expr:
    """AT TIME ZONE, twice: a naive time of one zone as the naive time of another."""
    if not isinstance(node, exp.AtTimeZone) or dialect == "postgres":
        return node
    inner, instant = node.this.unnest(), node.this
    if isinstance(inner, exp.AtTimeZone):
        at, given, wanted = inner.this.unnest(), inner.args["zone"], node.args["zone"]
        if dialect in (*SPARKS, "snowflake"):
            return exp.Anonymous(this="CONVERT_TIMEZONE", expressions=[given, wanted, at])
        if dialect == "trino":
            instant = exp.Anonymous(this="WITH_TIMEZONE", expressions=[at, given])
            return exp.cast(exp.AtTimeZone(this=instant, zone=wanted), "TIMESTAMP")
        if dialect == "bigquery":
            instant = exp.Anonymous(this="TIMESTAMP", expressions=[at, given])
            return exp.Anonymous(this="DATETIME", expressions=[instant, wanted])
        instant = _at(at if _is_utc(given) else exp.Anonymous(this="toString", expressions=[at]), given)
    else:
        at, wanted = inner, node.args["zone"]
        if dialect in SPARKS:
            return exp.Anonymous(this="CONVERT_TIMEZONE", expressions=[exp.Literal.string("UTC"), wanted, at])
        if dialect == "snowflake":
            moved = exp.Anonymous(this="CONVERT_TIMEZONE", expressions=[wanted, at])
            return exp.cast(moved, exp.DataType.Type.TIMESTAMPNTZ)
        if dialect == "trino":
            return exp.cast(exp.AtTimeZone(this=at, zone=wanted), "TIMESTAMP")
        if dialect == "bigquery":
            return exp.Anonymous(this="DATETIME", expressions=[at, wanted])
        instant = at
    # A naive time is one of UTC there (SESSION), so in that zone it is the instant; to go by its text costs much.
    if _is_utc(wanted):
        return _at(instant, wanted)
    moved = exp.Anonymous(this="toTimeZone", expressions=[instant, wanted])
    return _at(exp.Anonymous(this="toString", expressions=[moved]), exp.Literal.string("UTC"))


def _at(time: exp.Expr, zone: exp.Expr) -> exp.Expr:
    """ClickHouse's instant of a text that is a time of a zone, or of an instant."""
    return exp.Anonymous(this="toDateTime64", expressions=[time, exp.Literal.number(6), zone])


def _is_utc(zone: exp.Expr) -> bool:
    return isinstance(zone, exp.Literal) and zone.this == "UTC"


def wide_types(node: exp.Expr, dialect: str) -> exp.Expr:
    """ClickHouse's DateTime and Date know no parts of a second, no years before 1970 and no NULL."""
    if dialect != "clickhouse" or not isinstance(node, exp.DataType):
        return node
    kind = exp.DataType.Type
    naive = (kind.TIMESTAMP, kind.TIMESTAMPNTZ, kind.TIMESTAMP_S, kind.TIMESTAMP_MS, kind.TIMESTAMP_NS, kind.DATETIME)
    wide = {**dict.fromkeys(naive, "DateTime64(6)"), kind.DATE: "Date32"}
    wide[kind.TIMESTAMPTZ] = "DateTime64(6, 'UTC')"
    if node.this in wide:
        return exp.DataType.build(f"Nullable({wide[node.this]})", dialect="clickhouse")
    return node


PARTS: dict[type[exp.Expr], str] = {
    exp.Year: "YEAR",
    exp.Quarter: "QUARTER",
    exp.Month: "MONTH",
    exp.Week: "WEEK",
    exp.Day: "DAY",
    exp.DayOfMonth: "DAY",
    exp.DayOfYear: "DOY",
    exp.Hour: "HOUR",
    exp.Minute: "MINUTE",
    exp.Second: "SECOND",
}


def parts(node: exp.Expr, dialect: str) -> exp.Expr:
    """hour(at) and the like, which PostgreSQL only takes as EXTRACT(HOUR FROM at)."""
    part = PARTS.get(type(node))
    if dialect != "postgres" or part is None:
        return node
    taken = exp.Extract(this=exp.var(part), expression=node.this)
    return exp.cast(exp.Floor(this=taken) if part == "SECOND" else taken, "BIGINT")
