"""What a dry run of a sync shows of the tables that it would load."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from connectors.sources.contract import Source
from connectors.warehouse.contract import Staging
from connectors.warehouse.names import quoted

SAMPLE_ROWS = 3


@dataclass(frozen=True)
class Sample:
    """Columns of a source's table with their types, and its first rows, each a text per column."""

    columns: Mapping[str, str]
    rows: tuple[Mapping[str, str], ...]


def samples_of(staging: Staging, sources: Iterable[Source]) -> dict[str, Sample]:
    """Source → what it has in its table now."""
    found, tables = {}, staging.tables()
    for source in sources:
        table = source.options.table
        if table in tables:
            columns = ", ".join(f"CAST({quoted(column)} AS VARCHAR)" for column in tables[table])
            rows = staging.rows(f"SELECT {columns} FROM {quoted(table)} LIMIT {SAMPLE_ROWS}")
            texts = [{c: "" if v is None else str(v) for c, v in zip(tables[table], row, strict=True)} for row in rows]
            found[source.options.name] = Sample(tables[table], tuple(texts))
    return found
