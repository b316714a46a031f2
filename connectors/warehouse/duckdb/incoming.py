"""Read one batch: what it holds as a relation, and what of it cannot be read as quarantined rows."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import duckdb

from connectors.errors import KpiError, LoadError, SourceError, WarehouseError
from connectors.sources.contract import Batch, FileScan, SourceOptions
from connectors.warehouse.duckdb.reader import described, disk_full, one

MOST_REJECTED = 0.1  # of a file's rows; beyond it the column changed its type and the load fails
FEW_REJECTED = 3  # rows that a small increment may lose to quarantine whatever their share
MOST_BROKEN = 0.5  # of a file's rows that are no rows at all; beyond it `path`, `delimiter` or `encoding` is wrong
LONGEST_RAW = 2000  # characters of a broken row that are kept
LONGEST_LINE = 16 << 20  # bytes; a longer line is quarantined
PLAIN_HEADER = 1 << 20
SAMPLE = 20_480  # rows that types are guessed from; if a later row does not fit, every row is looked at


@dataclass(frozen=True)
class Rejected:
    """One row that cannot be read. line: 1-based, None where the source has no lines."""

    line: int | None
    column: str
    reason: str
    raw: str


@dataclass
class Reading:
    """One batch as SQL.

    relation: a FROM item; columns: its columns and types. guessed: columns whose types the first SAMPLE rows
    told. rejected: called once the relation was read to its end; gives the rows that did not fit.
    """

    origin: str
    relation: str
    columns: dict[str, str]
    guessed: tuple[str, ...] = ()
    rejected: Callable[[int], list[Rejected]] = field(default=lambda _: [])
    kept: IO[bytes] | None = None  # a file that must stay until the relation was read


def read(
    connection: duckdb.DuckDBPyConnection,
    options: SourceOptions,
    batch: Batch,
    have: Mapping[str, str],
    *,
    thorough: bool = False,
) -> Reading:
    """What a batch holds. have: source column → type that its table has already. Raises SourceError.

    thorough: types of a CSV's columns that are not known yet are found by every row, not by the first.
    """
    if not isinstance(batch.rows, FileScan):
        connection.register("pulled", batch.rows)
        reading = Reading(options.name, "pulled", described(connection, "SELECT * FROM pulled"))
        return _typed(connection, reading, batch.types) if batch.types else reading
    scan = batch.rows
    try:
        if scan.format == "csv":
            return _csv(connection, options, scan, have, thorough=thorough)
        if scan.format == "json":
            return _json(connection, scan)
        relation = f"read_parquet({text(str(scan.path))})"
        return Reading(scan.origin, relation, described(connection, f"SELECT * FROM {relation}"))
    except (duckdb.Error, WarehouseError) as error:
        raise unreadable(options, scan.origin, error, path=scan.path) from error


def unreadable(
    options: SourceOptions, origin: str, error: duckdb.Error | WarehouseError, *, path: Path | None = None
) -> KpiError:
    """The engine's refusal to read a file, in our words where it has many."""
    full = str(error.__cause__ or error)
    words = full.splitlines()[0]
    if "Maximum line size" in full:
        words = f"a line is longer than {LONGEST_LINE >> 20} MB"
    elif "Error when sniffing" in full:
        words = "no delimiter and quote make its lines rows of one shape"
    return disk_full(error) or SourceError(
        f"{origin} cannot be read: {words.replace(str(path), origin) if path else words}",
        where=f"source {options.name}",
        hint="Open the file and compare it with `path`, `delimiter` and `encoding` in sources.yml.",
    )


def _csv(
    connection: duckdb.DuckDBPyConnection,
    options: SourceOptions,
    scan: FileScan,
    have: Mapping[str, str],
    *,
    thorough: bool,
) -> Reading:
    """Read with the types the table has already, so that a broken cell is a rejected row, not a new type."""
    arguments = [
        text(str(scan.path)),
        f"delim={text(scan.delimiter)}",
        "header=true",
        f"nullstr=[{', '.join(text(v) for v in scan.null_values)}]",
        "store_rejects=true",
        "rejects_limit=0",
        f"max_line_size={LONGEST_LINE}",
        f"decimal_separator={text(scan.decimal)}",
    ]
    if scan.date_format:
        timed = any(mark in scan.date_format for mark in ("%H", "%I", "%c", "%X"))
        arguments.append(f"{'timestampformat' if timed else 'dateformat'}={text(scan.date_format)}")
    header = _header(scan)
    doubled = sorted({name for name in header if header.count(name) > 1})
    if doubled:
        raise LoadError(
            f"column '{doubled[0]}' is defined twice in {scan.origin}",
            where=f"source {options.name}",
            hint="Give each column of the header its own name.",
        )
    if header and all(have.get(name) for name in header):
        found = {name: have[name] for name in header}
    else:
        found = _found(connection, arguments, -1 if thorough else SAMPLE)
    types = {c: _type(c, kind, scan, have.get(c, "")) for c, kind in found.items()}
    pinned = ", ".join(f"{text(column)}: {text(kind)}" for column, kind in types.items())
    relation = f"read_csv({', '.join(arguments)}, sample_size={SAMPLE}, types={{{pinned}}})"
    _drop_rejects(connection)
    sniffed = described(connection, f"SELECT * FROM {relation}")
    _drop_rejects(connection)
    known = {*scan.types, *scan.text_columns, *have}
    guessed = () if thorough else tuple(c for c in found if c not in known)
    return Reading(
        scan.origin,
        relation,
        sniffed,
        guessed,
        lambda rows: _csv_rejects(connection, options, scan, types, found, rows),
    )


def doubtful(connection: duckdb.DuckDBPyConnection, reading: Reading, rows: str, count: int) -> bool:
    """Whether a type that the first rows told is wrong for later ones, now that `count` rows were read into `rows`."""
    if not reading.guessed or count < SAMPLE:
        return False
    misfit = one(
        connection,
        "SELECT 1 FROM reject_errors WHERE error_type = 'CAST' AND list_contains(?, column_name) LIMIT 1",
        [list(reading.guessed)],
    )
    texts = [c for c in reading.guessed if reading.columns[c] == "VARCHAR"]
    heads = ", ".join(f"count({quoted(c)})" for c in texts)
    head = one(connection, f"SELECT {heads} FROM (SELECT * FROM {rows} LIMIT {SAMPLE})") if texts else ()
    return misfit is not None or 0 in (head or ())  # an empty column looks like text


def _found(connection: duckdb.DuckDBPyConnection, arguments: list[str], sample: int) -> dict[str, str]:
    """Columns and the types that the first `sample` rows fit; -1 = every row."""
    found = described(connection, f"SELECT * FROM read_csv({', '.join(arguments)}, sample_size={sample})")
    _drop_rejects(connection)
    return found


def _header(scan: FileScan) -> list[str]:
    """Names in the header line; empty where it spans lines or the reader would change names."""
    opener = gzip.open if scan.path.suffix == ".gz" else open
    with opener(scan.path, "rb") as file:
        line = file.readline(PLAIN_HEADER).decode("utf-8-sig", "replace").rstrip("\r\n")
    if not line or line.count('"') % 2 or "\r" in line:
        return []
    return next(csv.reader(io.StringIO(line), delimiter=scan.delimiter), [])


def _csv_rejects(
    connection: duckdb.DuckDBPyConnection,
    options: SourceOptions,
    scan: FileScan,
    types: Mapping[str, str],
    found: Mapping[str, str],
    rows: int,
) -> list[Rejected]:
    """Rows that did not fit, once the file was read into `rows` rows. Raises LoadError if they are too many."""
    errors = connection.execute(
        "SELECT line, column_name, error_type, error_message, csv_line FROM reject_errors "
        "WHERE scan_id = (SELECT max(scan_id) FROM reject_scans) ORDER BY line"
    ).fetchall()
    _drop_rejects(connection)
    lines: dict[int, Rejected] = {}
    for line, column, kind, message, raw in errors:
        lines.setdefault(line, Rejected(line, column or "", _reason(kind, message, column, types), raw or ""))
    total = rows + len(lines)
    casts = [c for _, c, kind, _, _ in errors if kind == "CAST" and c not in scan.types]
    for column in set(casts):
        if casts.count(column) > MOST_REJECTED * total:
            raise LoadError(
                f"column '{column}' of {scan.origin} no longer fits: the table has {types[column]}, "
                f"{casts.count(column)} of {total} rows hold {_other(found, types, column)}",
                where=f"source {options.name}, table {options.table}",
                hint=f"Name it in `text_columns`, state it in `types`, or rename it: columns: {{{column}: new_name}}.",
            )
    broken = len({line for line, _, kind, _, _ in errors if kind != "CAST"})
    if broken > MOST_BROKEN * total:
        first = next(iter(lines.values()))
        raise LoadError(
            f"{broken} of {total} rows of {scan.origin} cannot be read; the first in line {first.line}: {first.reason}",
            where=f"source {options.name}",
            hint="Set `encoding`, such as latin-1, or `delimiter` of this source.",
        )
    return list(lines.values())


def _other(found: Mapping[str, str], types: Mapping[str, str], column: str) -> str:
    return found[column] if found.get(column) not in (None, types[column]) else "something else"


def _json(connection: duckdb.DuckDBPyConnection, scan: FileScan) -> Reading:
    """JSON lines one by one, so that a broken line is quarantined; anything else as one document."""
    path = text(str(scan.path))
    if not scan.origin.removesuffix(".gz").endswith((".jsonl", ".ndjson")):
        relation = f"read_json({path}, sample_size=-1)"
        return Reading(scan.origin, relation, described(connection, f"SELECT * FROM {relation}"))
    lines = (
        f"read_csv({path}, columns={{'text': 'VARCHAR'}}, delim=chr(1), quote='', escape='', header=false, "
        f"auto_detect=false, null_padding=true, parallel=false, max_line_size={LONGEST_LINE})"
    )
    broken = one(
        connection,
        f"SELECT 1 FROM {lines} WHERE text IS NOT NULL AND coalesce(json_type(TRY_CAST(text AS JSON)), '') <> 'OBJECT' "
        "LIMIT 1",
    )
    kept, rejected = _good_lines(scan) if broken else (None, [])
    if kept is not None:
        path = text(kept.name)
    relation = f"read_json({path}, format='newline_delimited', sample_size=-1)"
    return Reading(
        scan.origin,
        relation,
        described(connection, f"SELECT * FROM {relation}"),
        rejected=lambda _: rejected,
        kept=kept,
    )


def _good_lines(scan: FileScan) -> tuple[IO[bytes], list[Rejected]]:
    """A copy of the file without its broken lines, which is gone when it is closed; and those lines."""
    rejected = []
    kept = tempfile.NamedTemporaryFile(suffix=".jsonl")  # noqa: SIM115 (the reading holds it)
    with (gzip.open if scan.path.suffix == ".gz" else open)(scan.path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                good = isinstance(json.loads(line), dict) if line.strip() else None
            except ValueError:
                good = False
            if good:
                kept.write(line)
            elif good is False:
                rejected.append(Rejected(number, "", "not a JSON object", line.decode("utf-8", "replace").rstrip()))
    kept.flush()
    return kept, rejected


def _typed(connection: duckdb.DuckDBPyConnection, reading: Reading, types: Mapping[str, str]) -> Reading:
    """Values cast to the types they must have; a row with one that cannot be is rejected."""
    wanted = {c: kind.upper() for c, kind in types.items()}
    wrong = {c: wanted[c] for c, kind in reading.columns.items() if c in types and kind not in (wanted[c], '"NULL"')}
    columns = {
        c: wanted[c] if kind == '"NULL"' and c in wanted else wrong.get(c, kind) for c, kind in reading.columns.items()
    }
    if not wrong:
        return Reading(reading.origin, reading.relation, columns)
    # By way of text: not every type casts to every other, and what has no way is a misfit, not an error.
    cast = {c: f"TRY_CAST(CAST({quoted(c)} AS VARCHAR) AS {kind})" for c, kind in wrong.items()}
    misfits = {c: f"({quoted(c)} IS NOT NULL AND {cast[c]} IS NULL)" for c in wrong}
    any_misfit = " OR ".join(misfits.values())
    which = " ".join(f"WHEN {condition} THEN {text(c)}" for c, condition in misfits.items())
    row = ", ".join(f"{text(c)}: CAST({quoted(c)} AS VARCHAR)" for c in reading.columns)  # the same at every pull
    bad = connection.execute(
        f"SELECT CASE {which} END, to_json({{{row}}}) FROM {reading.relation} WHERE {any_misfit}"
    ).fetchall()
    total = one(connection, f"SELECT count(*) FROM {reading.relation}")
    if total and len(bad) > max(FEW_REJECTED, MOST_REJECTED * total[0]):
        column = bad[0][0]
        raise LoadError(
            f"column '{column}' is {reading.columns[column]} in the source; {len(bad)} of {total[0]} rows are not "
            f"{wrong[column]}",
            where=f"source {reading.origin}",
            hint="State what it holds in `types`.",
        )
    casts = ", ".join(f"{sql} AS {quoted(c)}" for c, sql in cast.items())
    relation = f"(SELECT * REPLACE ({casts}) FROM {reading.relation} WHERE NOT ({any_misfit}))"
    rejected = [Rejected(None, c, f"'{c}' is not {wrong[c]}", raw) for c, raw in bad]
    return Reading(reading.origin, relation, columns, rejected=lambda _: rejected)


def _type(column: str, found: str, scan: FileScan, have: str) -> str:
    if column in scan.types:
        return scan.types[column].upper()
    if column in scan.text_columns:
        return "VARCHAR"
    return found if not have or (have, found) in WIDER else have


def _reason(kind: str, message: str, column: str | None, types: Mapping[str, str]) -> str:
    if kind == "CAST" and column is not None and column in types:
        return f"'{column}' is not {types[column]}"
    return message.splitlines()[0] if message else kind.lower()


def _drop_rejects(connection: duckdb.DuckDBPyConnection) -> None:
    for table in ("reject_errors", "reject_scans"):
        connection.execute(f"DROP TABLE IF EXISTS temp.{table}")


def quoted(name: str) -> str:
    """An identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("'", "''") + "'"


WIDER = (
    ("BIGINT", "DOUBLE"),
    ("INTEGER", "BIGINT"),
    ("INTEGER", "DOUBLE"),
    ("FLOAT", "DOUBLE"),
    ("BIGINT", "HUGEINT"),
    ("HUGEINT", "DOUBLE"),
    ("DATE", "TIMESTAMP"),
)
