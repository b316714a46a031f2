"""From a batch to rows of a table: read, quarantine, rename, evolve the schema, then merge, append or replace."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import duckdb

from connectors.errors import LoadError, SourceError
from connectors.sources.contract import Batch, FileScan, SourceOptions
from connectors.warehouse.contract import Loaded
from connectors.warehouse.duckdb.reader import BOOKS, described, tables

INCOMING = "bellwether_incoming"  # a temporary table
WIDER = (("BIGINT", "DOUBLE"), ("BIGINT", "HUGEINT"), ("HUGEINT", "DOUBLE"), ("DATE", "TIMESTAMP"))
MOST_REJECTED = 0.1  # of a file's rows; beyond it the column changed its type and the load fails


def load(connection: duckdb.DuckDBPyConnection, options: SourceOptions, batch: Batch, seen_at: datetime) -> Loaded:
    """Load one batch into its table. Raises LoadError if it does not fit, SourceError if it cannot be read."""
    existing = tables(connection).get(batch.table, {})
    origin = batch.rows.origin if isinstance(batch.rows, FileScan) else options.name
    try:
        if isinstance(batch.rows, FileScan):
            quarantined = _read_file(connection, options, batch.rows, existing, seen_at)
        else:
            connection.register("pulled", batch.rows)
            connection.execute(f"CREATE OR REPLACE TEMP TABLE {INCOMING} AS SELECT * FROM pulled")
            connection.unregister("pulled")
            quarantined = 0
    except duckdb.Error as error:
        raise SourceError(
            f"{origin} cannot be read: {str(error).splitlines()[0]}",
            where=f"source {options.name}",
            hint="Open the file and compare it with `path`, `delimiter` and `encoding` in sources.yml.",
        ) from error
    try:
        _shape(connection, options)
        incoming = described(connection, f"SELECT * FROM {INCOMING}")
        if not existing:
            # Typed columns, not `AS SELECT … LIMIT 0`: DuckDB 2.0.0 then answers count(*), min(x) over rows
            # inserted later with 0, NULL until the next checkpoint (docs/decisions/0003-duckdb.md).
            columns = ", ".join(f"{_q(column)} {kind}" for column, kind in incoming.items())
            connection.execute(f"CREATE TABLE main.{_q(batch.table)} ({columns})")
            existing = incoming
        elif batch.restart:
            connection.execute(f"DELETE FROM main.{_q(batch.table)}")
        _evolve(connection, batch.table, existing, incoming, options.name)
        rows = _insert(connection, batch.table, incoming, options)
    finally:
        connection.execute(f"DROP TABLE IF EXISTS {INCOMING}")
    return Loaded(rows, quarantined)


def _read_file(
    connection: duckdb.DuckDBPyConnection,
    options: SourceOptions,
    scan: FileScan,
    existing: Mapping[str, str],
    seen_at: datetime,
) -> int:
    connection.execute(f"DELETE FROM {BOOKS}.quarantine WHERE source = ? AND file = ?", [options.name, scan.origin])
    if scan.format == "csv":
        return _read_csv(connection, options, scan, existing, seen_at)
    path = _text(str(scan.path))
    if scan.format == "parquet":
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {INCOMING} AS SELECT * FROM read_parquet({path})")
        return 0
    return _read_json(connection, options, scan, seen_at)


def _read_csv(
    connection: duckdb.DuckDBPyConnection,
    options: SourceOptions,
    scan: FileScan,
    existing: Mapping[str, str],
    seen_at: datetime,
) -> int:
    """Read with the types the table has already, so that a broken cell is a rejected row, not a new type."""
    arguments = [
        _text(str(scan.path)), f"delim={_text(scan.delimiter)}", "header=true", "sample_size=-1",
        f"nullstr=[{', '.join(_text(v) for v in scan.null_values)}]", "store_rejects=true", "rejects_limit=0",
    ]  # fmt: skip
    if scan.date_format:
        timed = any(mark in scan.date_format for mark in ("%H", "%I", "%c", "%X"))
        arguments.append(f"{'timestampformat' if timed else 'dateformat'}={_text(scan.date_format)}")
    # Two reads: the first one's sniffing sees every row; the second has the types pinned.
    found = described(connection, f"SELECT * FROM read_csv({', '.join(arguments)})")
    types = {c: _type(c, found[c], scan, existing.get(_renamed(c, options) or "")) for c in found}
    pinned = ", ".join(f"{_text(column)}: {_text(kind)}" for column, kind in types.items())
    _drop_rejects(connection)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {INCOMING} AS SELECT * FROM read_csv({', '.join(arguments)}, types={{{pinned}}})"
    )
    rejected = connection.execute(
        "SELECT line, column_name, error_type, error_message, csv_line FROM reject_errors "
        "WHERE scan_id = (SELECT max(scan_id) FROM reject_scans) ORDER BY line"
    ).fetchall()
    _drop_rejects(connection)
    rows = _count(connection, INCOMING)
    by_line: dict[int, tuple[str, str, str]] = {}
    for line, column, kind, message, raw in rejected:
        by_line.setdefault(line, (column or "", _reason(kind, message, column, types), raw or ""))
    casts = [c for _, c, kind, _, _ in rejected if kind == "CAST" and c not in scan.types]
    for column in set(casts):
        if casts.count(column) > MOST_REJECTED * (rows + len(by_line)):
            raise LoadError(
                f"column '{column}' of {scan.origin} no longer fits: the table has {types[column]}, "
                f"{casts.count(column)} of {rows + len(by_line)} rows hold {found[column]}",
                where=f"source {options.name}, table {options.table}",
                hint=f"Name it in `text_columns`, state it in `types`, or rename it: columns: {{{column}: new_name}}.",
            )
    for line, (column, reason, raw) in by_line.items():
        _quarantine(connection, options, scan, line, column, reason, raw, seen_at)
    return len(by_line)


def _read_json(connection: duckdb.DuckDBPyConnection, options: SourceOptions, scan: FileScan, seen_at: datetime) -> int:
    """JSON lines one by one, so that a broken line is quarantined; anything else as one document."""
    path = _text(str(scan.path))
    name = scan.origin.removesuffix(".gz")
    if not name.endswith((".jsonl", ".ndjson")):
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {INCOMING} AS SELECT * FROM read_json({path}, sample_size=-1)"
        )
        return 0
    broken = connection.execute(
        "SELECT line, text FROM (SELECT row_number() OVER () AS line, text FROM read_csv("
        f"{path}, columns={{'text': 'VARCHAR'}}, delim=chr(1), quote='', escape='', header=false, "
        "auto_detect=false, null_padding=true, parallel=false)) WHERE text IS NOT NULL AND NOT json_valid(text)"
    ).fetchall()
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {INCOMING} AS SELECT * FROM read_json({path}, "
        "format='newline_delimited', ignore_errors=true, sample_size=-1)"
    )
    if broken:  # the reader leaves a row of NULLs where a line was broken
        columns = described(connection, f"SELECT * FROM {INCOMING}")
        connection.execute(f"DELETE FROM {INCOMING} WHERE {' AND '.join(f'{_q(c)} IS NULL' for c in columns)}")
    for line, raw in broken:
        _quarantine(connection, options, scan, line, "", "not valid JSON", raw, seen_at)
    return len(broken)


def _shape(connection: duckdb.DuckDBPyConnection, options: SourceOptions) -> None:
    """Rename, drop and hash columns as sources.yml says."""
    found = described(connection, f"SELECT * FROM {INCOMING}")
    unknown = [c for c in options.columns if c not in found]
    if unknown:
        raise LoadError(
            f"column '{unknown[0]}' is not in the source",
            where=f"source {options.name}",
            hint=f"It has: {', '.join(found)}.",
        )
    if not options.columns:
        return
    parts = []
    for column in found:
        rule = options.columns.get(column, column)
        if rule == "hash":
            parts.append(f"sha256(CAST({_q(column)} AS VARCHAR)) AS {_q(column)}")
        elif rule != "drop":
            parts.append(f"{_q(column)} AS {_q(rule)}")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {INCOMING} AS SELECT {', '.join(parts)} FROM {INCOMING}")


def _evolve(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    existing: Mapping[str, str],
    incoming: Mapping[str, str],
    source: str,
) -> None:
    """Add new columns, widen where no value changes; else fail naming table, column and both types."""
    for column, kind in incoming.items():
        have = existing.get(column)
        if have is None:
            connection.execute(f"ALTER TABLE main.{_q(table)} ADD COLUMN {_q(column)} {kind}")
        elif have != kind and (have, kind) in WIDER:
            connection.execute(f"ALTER TABLE main.{_q(table)} ALTER {_q(column)} TYPE {kind}")
        elif have != kind and (kind, have) not in WIDER and have != "VARCHAR":
            raise LoadError(
                f"column '{column}' is {kind} in the source and {have} in the table",
                where=f"source {source}, table {table}",
                hint=f"Rename it in sources.yml (columns: {{{column}: new_name}}) or state its type.",
            )


def _insert(
    connection: duckdb.DuckDBPyConnection, table: str, incoming: Mapping[str, str], options: SourceOptions
) -> int:
    names = ", ".join(_q(column) for column in incoming)
    select = f"SELECT {names} FROM {INCOMING}"
    if options.load_mode == "merge":
        missing = [key for key in options.primary_key if key not in incoming]
        if missing or not options.primary_key:
            raise LoadError(
                f"`load: merge` needs its primary key; '{', '.join(missing) or 'primary_key'}' is missing",
                where=f"source {options.name}",
                hint=f"Columns: {', '.join(incoming)}.",
            )
        keys = ", ".join(_q(key) for key in options.primary_key)
        # The last row of a batch wins: files and cursors deliver in time order.
        select = (
            f"SELECT {names} FROM {INCOMING} QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY rowid DESC) = 1"
        )
        same = " AND ".join(f"t.{_q(k)} = i.{_q(k)}" for k in options.primary_key)
        connection.execute(f"DELETE FROM main.{_q(table)} t USING {INCOMING} i WHERE {same}")
    row = connection.execute(f"INSERT INTO main.{_q(table)} ({names}) {select}").fetchone()
    return int(row[0]) if row else 0


def _type(column: str, found: str, scan: FileScan, have: str | None) -> str:
    if column in scan.types:
        return scan.types[column].upper()
    if column in scan.text_columns:
        return "VARCHAR"
    if not have or (have, found) in WIDER:
        return found
    return have


def _renamed(column: str, options: SourceOptions) -> str | None:
    rule = options.columns.get(column, column)
    return None if rule in ("drop", "hash") else rule


def _reason(kind: str, message: str, column: str | None, types: Mapping[str, str]) -> str:
    if kind == "CAST" and column is not None and column in types:
        return f"'{column}' is not {types[column]}"
    return message.splitlines()[0] if message else kind.lower()


def _quarantine(
    connection: duckdb.DuckDBPyConnection,
    options: SourceOptions,
    scan: FileScan,
    line: int,
    column: str,
    reason: str,
    raw: str,
    seen_at: datetime,
) -> None:
    connection.execute(
        f"INSERT INTO {BOOKS}.quarantine VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [options.name, options.table, scan.origin, line, column, reason, raw, seen_at],
    )


def _drop_rejects(connection: duckdb.DuckDBPyConnection) -> None:
    for table in ("reject_errors", "reject_scans"):
        connection.execute(f"DROP TABLE IF EXISTS temp.{table}")


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(row[0]) if row else 0


def _q(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
