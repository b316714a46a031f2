"""A worker's answer on its way: packed there as Arrow, so that a worker needs no pandas, and a frame again here."""

from __future__ import annotations

import io
import os
import warnings
from functools import cache
from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    import pandas as pd

# Arrow has them as texts; a frame made there and then has not.
NOT_AS_ARROW = ("UUID", "ENUM(")


def packed(connection: duckdb.DuckDBPyConnection, sql: str) -> bytes | pd.DataFrame:
    """The rows of one SELECT as an Arrow stream; as a frame where that would be another one. Raises duckdb.Error."""
    import pyarrow as pa

    result = connection.execute(sql)
    if any(sign in str(column[1]) for column in result.description or () for sign in NOT_AS_ARROW):
        return result.df()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # DuckDB: it copies them once; answers are short
        table = result.to_arrow_table()
    assert table is not None  # of a SELECT
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    return stream.getvalue()


def unpacked(answer: bytes | pd.DataFrame) -> pd.DataFrame:
    """The frame that the engine makes of its own rows."""
    import pyarrow as pa

    if not isinstance(answer, bytes):
        return answer
    with pa.ipc.open_stream(answer) as reader:
        return _engine().cursor().from_arrow(reader.read_all()).df()


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    """One without a file, at the workers' time zone."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET GLOBAL TimeZone = 'UTC'")  # of each cursor, wherever the machine stands
    return connection


os.register_at_fork(after_in_child=_engine.cache_clear)  # its threads are not in the child
