"""Finished values with their validity: of many KPIs at once, since each statement looks through all that is stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from connectors.warehouse.duckdb.reader import BOOKS, one

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MOST_ROWS = 500_000  # fresh values of one batch: what is in memory at a time
KEY = ("grain", "dimension", "segment", "period")
FACTS = ("value", "numerator", "denominator", "n", "complete", "parts")


@dataclass(frozen=True)
class Values:
    """The values of one KPI that wait to be stored. touched: the ranges that they stand for."""

    kpi: str
    definition: str
    text: str
    fresh: pa.Table
    touched: pd.DataFrame


def waiting(kpi: str, definition: str, text: str, frame: pd.DataFrame, touched: pd.DataFrame) -> Values:
    """A frame with its parts as lists: a column of mere None has no type otherwise."""
    import pyarrow as pa

    parts = pa.array([None if row is None else list(row) for row in frame["parts"]], type=pa.list_(pa.float64()))
    fresh = pa.Table.from_pandas(frame.drop(columns="parts"), preserve_index=False).append_column("parts", parts)
    return Values(kpi, definition, text, fresh, touched)


def store(connection: duckdb.DuckDBPyConnection, sequence: int, several: Iterable[Values]) -> int:
    """Make these the valid values of their KPIs from a generation on. Returns versions that were ended and written."""
    return sum(_stored(connection, sequence, batch) for batch in _batches(several))


def _batches(several: Iterable[Values]) -> Iterator[list[Values]]:
    """Batches of few rows, each with any KPI once."""
    batch: list[Values] = []
    for values in several:
        rows = sum(v.fresh.num_rows for v in batch) + values.fresh.num_rows
        if batch and (rows > MOST_ROWS or values.kpi in {v.kpi for v in batch}):
            yield batch
            batch = []
        batch.append(values)
    if batch:
        yield batch


def _of_one(values: Values) -> pd.DataFrame:
    """The ranges of one KPI, of one type whatever their ends: the farthest is beyond what nanoseconds reach."""
    ends = {end: values.touched[end].astype("datetime64[us]") for end in ("start", "end")}
    return values.touched.assign(kpi=values.kpi, **ends)


def _stored(connection: duckdb.DuckDBPyConnection, sequence: int, batch: list[Values]) -> int:
    import pandas as pd
    import pyarrow as pa

    columns = [*KEY, *FACTS]
    named = [v.fresh.select(columns).append_column("kpi", pa.repeat(v.kpi, v.fresh.num_rows)) for v in batch]
    relations = {
        "fresh": pa.concat_tables(named, promote_options="permissive"),
        "touched": pd.concat([_of_one(v) for v in batch], ignore_index=True),
        "named": pa.table({key: [getattr(v, key) for v in batch] for key in ("kpi", "definition", "text")}),
    }
    for name, relation in relations.items():
        connection.register(name, relation)
    try:
        changed = sum(_counted(connection, sql) for sql in _of_values(sequence))
        for sql in _of_books(sequence):
            connection.execute(sql)
        return changed
    finally:
        for name in relations:
            connection.unregister(name)


def _counted(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = one(connection, sql)
    return int(row[0]) if row else 0


def _of_values(sequence: int) -> tuple[str, ...]:
    same = " AND ".join(["o.kpi = f.kpi", *(f"o.{c} = f.{c}" for c in KEY), *map(_same, FACTS)])
    end = f"UPDATE {BOOKS}.kpi_values o SET valid_to = {sequence} WHERE valid_to IS NULL"
    within = "t.kpi = o.kpi AND t.grain = o.grain AND t.dimension = o.dimension"
    return (
        f"{end} AND EXISTS (SELECT 1 FROM named s WHERE s.kpi = o.kpi AND s.definition <> o.definition)",
        f'{end} AND EXISTS (SELECT 1 FROM touched t WHERE {within} AND o.period >= t.start AND o.period < t."end") '
        f"AND NOT EXISTS (SELECT 1 FROM fresh f WHERE {same})",
        f"INSERT INTO {BOOKS}.kpi_values (kpi, definition, {', '.join((*KEY, *FACTS))}, valid_from) "
        f"SELECT s.kpi, s.definition, {', '.join(f'f.{c}' for c in (*KEY, *FACTS))}, {sequence} "
        "FROM fresh f JOIN named s ON s.kpi = f.kpi "
        f"WHERE NOT EXISTS (SELECT 1 FROM {BOOKS}.kpi_values o WHERE o.valid_to IS NULL AND {same}) "
        "ORDER BY s.kpi, f.grain, f.dimension",  # a reader of one series leaves blocks of the table unread
    )


def _of_books(sequence: int) -> tuple[str, ...]:
    series = "o.kpi = f.kpi AND o.grain = f.grain AND o.dimension = f.dimension AND {}.valid_to IS NULL"
    return (
        f"UPDATE {BOOKS}.kpi_series o SET valid_to = {sequence} FROM named s "
        "WHERE s.kpi = o.kpi AND o.valid_to IS NULL AND (s.definition <> o.definition OR NOT EXISTS "
        f"(SELECT 1 FROM {BOOKS}.kpi_values f WHERE {series.format('f')}))",
        f"INSERT INTO {BOOKS}.kpi_series SELECT DISTINCT s.kpi, s.definition, f.grain, f.dimension, {sequence}, "
        "CAST(NULL AS BIGINT) FROM fresh f JOIN named s ON s.kpi = f.kpi "
        f"WHERE NOT EXISTS (SELECT 1 FROM {BOOKS}.kpi_series o WHERE {series.format('o')})",
        f"INSERT INTO {BOOKS}.definitions SELECT s.definition, s.kpi, s.text, {sequence} FROM named s WHERE NOT EXISTS "
        f"(SELECT 1 FROM {BOOKS}.definitions d WHERE d.definition = s.definition AND d.kpi = s.kpi)",
        f"DELETE FROM {BOOKS}.failures WHERE kpi IN (SELECT kpi FROM named)",
    )


def _same(column: str) -> str:
    """Equal, or so near that only the order of a parallel sum differs: that is no restatement."""
    equal = f"o.{column} IS NOT DISTINCT FROM f.{column}"
    if column in ("n", "complete", "parts"):
        return equal
    return f"({equal} OR abs(o.{column} - f.{column}) <= 1e-12 * greatest(abs(o.{column}), abs(f.{column})))"
