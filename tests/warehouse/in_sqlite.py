"""SQL over pandas frames by way of SQLite: what its SQL lacks, and the types that it has not."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from zoneinfo import ZoneInfo

import pandas as pd
import sqlglot
from sqlglot import exp

TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?")


def kinds(frame: pd.DataFrame) -> dict[str, str]:
    """Columns with the names that DuckDB gives their types."""
    names = {"i": "BIGINT", "u": "BIGINT", "f": "DOUBLE", "b": "BOOLEAN", "M": "TIMESTAMP"}
    zoned = {c for c in frame if isinstance(frame[c].dtype, pd.DatetimeTZDtype)}
    return {c: "TIMESTAMP WITH TIME ZONE" if c in zoned else names.get(frame[c].dtype.kind, "VARCHAR") for c in frame}


def sqlite_of(tables: Mapping[str, pd.DataFrame]) -> sqlite3.Connection:
    """The tables where SQL can be asked."""
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    for name, frame in tables.items():
        times = [c for c, kind in kinds(frame).items() if kind.startswith("TIMESTAMP")]
        plain = frame.assign(**{c: [None if pd.isna(at) else str(at)[:26] for at in frame[c]] for c in times})
        plain.to_sql(name, connection, index=False)
    connection.create_function("cut", 2, cut)
    connection.create_function("tostring", 1, lambda text: text)
    connection.create_function("totimezone", 2, lambda text, zone: moved(text, "UTC", zone))
    connection.create_function("todatetime64", 3, lambda text, _, zone: moved(text, zone, "UTC"))
    return connection


def runnable(sql: str, dialect: str) -> str:
    """What SQLite can run: it has no date_trunc."""

    def rewrite(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.TimestampTrunc):
            return exp.Anonymous(this="cut", expressions=[node.this, exp.Literal.string(node.text("unit"))])
        return node

    return sqlglot.parse_one(sql, read=dialect).transform(rewrite).sql("sqlite")


def cut(text: str | None, unit: str) -> str | None:
    """The hour, day, week (from Monday) or month that a time lies in."""
    if text is None:
        return None
    at = pd.Timestamp(text)
    periods = {"HOUR": "h", "DAY": "D", "WEEK": "W", "MONTH": "M"}
    return str(at.to_period(periods[unit]).start_time)


def moved(text: str | None, given: str, wanted: str) -> str | None:
    """The time on one zone's clock as the time on another's."""
    if text is None:
        return None
    return str(pd.Timestamp(text, tz=ZoneInfo(given)).tz_convert(ZoneInfo(wanted)).tz_localize(None))


def with_times(frame: pd.DataFrame) -> pd.DataFrame:
    """SQLite has no type for times: a column whose texts all read as times is one."""
    for column in frame:
        texts = frame[column].dropna()
        if len(texts) and all(isinstance(v, str) and TIME.fullmatch(v) for v in texts):
            frame[column] = pd.to_datetime(frame[column], format="ISO8601")
    return frame
