"""What engines answer, Arrow tables, as the frames and the type names that DuckDB would give."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from connectors.warehouse.contract import Columns

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

AWARE = "TIMESTAMP WITH TIME ZONE"


def sql_type(kind: pa.DataType) -> str:
    """The name that DuckDB has for a type; of one that no definition asks for, VARCHAR."""
    import pyarrow.types as t

    if t.is_timestamp(kind):
        return AWARE if kind.tz else "TIMESTAMP"
    if t.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    known = (
        (t.is_date, "DATE"),
        (t.is_boolean, "BOOLEAN"),
        (lambda k: t.is_integer(k) and k.bit_width < 32, "SMALLINT"),
        (lambda k: t.is_integer(k) and k.bit_width == 32, "INTEGER"),
        (t.is_integer, "BIGINT"),
        (lambda k: t.is_floating(k) or is_numeric(k), "DOUBLE"),
        (lambda k: t.is_list(k) or t.is_large_list(k), "DOUBLE[]"),
    )
    return next((name for holds, name in known if holds(kind)), "VARCHAR")


def is_numeric(kind: pa.DataType) -> bool:
    """Whether it is PostgreSQL's number of any length, which comes as text."""
    return getattr(kind, "extension_name", "") == "arrow.opaque" and getattr(kind, "type_name", "") == "numeric"


def columns(schema: pa.Schema) -> Columns:
    """Column → type by DuckDB's names."""
    return {field.name: sql_type(field.type) for field in schema}


def frame(table: pa.Table) -> pd.DataFrame:
    """The rows as DuckDB's frames have them: see Engine.frame."""
    import pandas as pd

    found = {index: _column(table.column(index)) for index in range(table.num_columns)}
    named = pd.DataFrame(found, index=pd.RangeIndex(table.num_rows), copy=False)
    named.columns = pd.Index(table.column_names)
    return named


def _column(values: pa.ChunkedArray) -> pd.Series:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.types as t

    kind = values.type
    if is_numeric(kind):
        values = pa.chunked_array([chunk.storage for chunk in values.chunks], type=kind.storage_type)
        return values.cast(pa.float64()).to_pandas()
    if t.is_decimal(kind):
        return values.cast(pa.float64()).to_pandas()
    if t.is_null(kind):
        return pd.Series([None] * len(values), dtype=object)
    if t.is_timestamp(kind) or t.is_date(kind):
        return values.cast(pa.timestamp("us"), safe=False).to_pandas()
    if t.is_unsigned_integer(kind):
        with suppress(pa.ArrowInvalid):  # of beyond what is whole with a sign: it stays without one
            return values.cast(pa.int64()).to_pandas()
    return values.to_pandas()
