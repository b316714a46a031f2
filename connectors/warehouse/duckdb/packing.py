"""A worker's answer on its way: packed there as Arrow, so that a worker needs no pandas, and a frame again here."""

from __future__ import annotations

import io
import os
import re
import warnings
from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    import pandas as pd

# Types, and lists of them, that are the same by way of Arrow. Others are not (UUID, ENUM, BIT, what a STRUCT holds) or
# have no frame at all, which is the worker's to tell.
SAME = re.compile(
    r"(?:BOOLEAN|U?(?:TINYINT|SMALLINT|INTEGER|BIGINT)|HUGEINT|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\)|VARCHAR|DATE"
    r'|TIMESTAMP(?:_S|_MS|_NS| WITH TIME ZONE)?|TIME|INTERVAL|BLOB|JSON|"NULL")(?:\[\d*\])*'
)

# Process → its engine. A fork has no threads of the one that it was made with: it can neither ask nor close that.
_engines: dict[int, duckdb.DuckDBPyConnection] = {}


def packed(connection: duckdb.DuckDBPyConnection, sql: str) -> bytes | pd.DataFrame:
    """The rows of one SELECT as an Arrow stream; as a frame where that would be another one. Raises duckdb.Error."""
    import pyarrow as pa

    result = connection.execute(sql)
    if not all(SAME.fullmatch(str(column[1])) for column in result.description or ()):
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


def _engine() -> duckdb.DuckDBPyConnection:
    """One without a file, at the workers' time zone."""
    process = os.getpid()
    if process not in _engines:
        connection = duckdb.connect(config={"threads": 1})
        connection.execute("SET GLOBAL TimeZone = 'UTC'")  # of each cursor, wherever the machine stands
        _engines[process] = connection
    return _engines[process]
