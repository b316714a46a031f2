"""Read one batch: what it holds as a relation, and what of it cannot be read as quarantined rows."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import re
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import duckdb

from connectors.errors import KpiError, SourceError, WarehouseError
from connectors.sources.contract import MOST_COMMENTS, Batch, FileScan, SourceOptions
from connectors.texts import dates, numbers
from connectors.warehouse.duckdb import records, texts
from connectors.warehouse.duckdb.reader import described, disk_full, one
from connectors.warehouse.names import quoted, text

LONGEST_LINE = 16 << 20  # bytes; a longer line is quarantined
PLAIN_HEADER = 1 << 20
SAMPLE = 20_480  # rows that types are guessed from; if a later row does not fit, every row is looked at
HEAD = 1_000  # rows that tell which texts may be dates or numbers
# Dates are found by us (texts.py): the engine's own guess takes 03/04/2026 for what its first formats make of it.
GUESSED = "auto_type_candidates=['BOOLEAN', 'TIME', 'BIGINT', 'DOUBLE', 'VARCHAR']"
FRACTION = r"^\s*[+-]?(\d*\.\d|\d+\.?\d*[eE][+-]?\d)"  # a number that may not be whole
CELL = 'Could not convert string "(.*)" to'  # in the engine's message of a cell that does not fit
ISO_DAY = r"\d{4}-\d{2}-\d{2}"
ISO_TIME = r"[ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?"
ISO_ZONE = r"(Z|[+-]\d{2}(:?\d{2})?)"


@dataclass(frozen=True)
class Rejected:
    """One row that cannot be read. line: 1-based, None where the source has no lines. reason: without the value."""

    line: int | None
    column: str
    reason: str
    raw: str
    value: str = ""


@dataclass
class Reading:
    """One batch as SQL.

    relation: a FROM item; columns: its columns and types. guessed: columns whose types the first SAMPLE rows
    told. texts: columns that look like dates or numbers, to be read once all rows are there: column → role, or
    the pattern that the source states. rejected: called once the relation was read to its end; gives the rows that did
    not fit.
    """

    origin: str
    relation: str
    columns: dict[str, str]
    guessed: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    rejected: Callable[[], list[Rejected]] = field(default=list)
    raw: str = ""  # the relation of a CSV, all columns as they are written
    kept: IO[bytes] | None = None  # a file that must stay until the relation was read


def read(
    connection: duckdb.DuckDBPyConnection,
    options: SourceOptions,
    batch: Batch,
    have: Mapping[str, str],
    *,
    thorough: bool = False,
    as_text: Collection[str] = (),
) -> Reading:
    """What a batch holds. have: source column → type that its table has already. Raises SourceError.

    thorough: types of a CSV's columns that are not known yet are found by every row, not by the first. as_text: columns
    of a CSV whose texts are read once all rows are there.
    """
    if not isinstance(batch.rows, FileScan):
        connection.register("pulled", batch.rows)
        reading = Reading(options.name, "pulled", described(connection, "SELECT * FROM pulled"))
        return _typed(connection, reading, batch.types) if batch.types else reading
    scan = batch.rows
    try:
        if scan.format == "csv":
            return _csv(connection, scan, {**have, **dict.fromkeys(as_text, "VARCHAR")}, frozenset(as_text), thorough)
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
    scan: FileScan,
    have: Mapping[str, str],
    as_text: Collection[str],
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
        GUESSED,
    ]
    header, maybe = _header(scan), dict[str, str]()
    if header and all(have.get(name) for name in header):
        found = {name: have[name] for name in header}
    else:
        found = _found(connection, arguments, -1 if thorough else SAMPLE)
        settled = {*scan.types, *scan.text_columns, *as_text, *(c for c, kind in have.items() if kind != "VARCHAR")}
        open_ = [c for c, kind in found.items() if kind == "VARCHAR" and c not in settled and not have.get(c)]
        dated, maybe = _looked_at(connection, scan, arguments, open_, thorough=thorough)
        found = {**found, **dated}
    types = {c: "VARCHAR" if c in as_text else _type(c, kind, scan, have.get(c, "")) for c, kind in found.items()}
    pinned = ", ".join(f"{text(column)}: {text(kind)}" for column, kind in types.items())
    relation = f"read_csv({', '.join(arguments)}, sample_size={SAMPLE}, types={{{pinned}}})"
    _drop_rejects(connection)
    sniffed = described(connection, f"SELECT * FROM {relation}")
    _drop_rejects(connection)
    known = {*scan.types, *scan.text_columns, *have}
    guessed = () if thorough else tuple(c for c in found if c not in known)
    plain = ", ".join(a for a in arguments if not a.startswith(("store_rejects", "rejects_limit")))
    raw = f"read_csv({plain}, all_varchar=true, ignore_errors=true)"
    return Reading(scan.origin, relation, sniffed, guessed, maybe, lambda: _csv_rejects(connection, types), raw)


def _looked_at(
    connection: duckdb.DuckDBPyConnection, scan: FileScan, arguments: list[str], columns: list[str], *, thorough: bool
) -> tuple[dict[str, str], dict[str, str]]:
    """Of text columns: those whose rows are all ISO dates with their type, and those that may be dates or numbers."""
    if not columns:
        return {}, {}
    names, first = ", ".join(map(quoted, columns)), "bellwether_first"
    relation = f"read_csv({', '.join(arguments)}, all_varchar=true)"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {first} AS SELECT {names} FROM {relation} LIMIT {SAMPLE}")
    head = f"(SELECT * FROM {first} LIMIT {HEAD})"
    iso = _iso(connection, head, columns)
    if iso:  # so far; whether it is so in all rows that types are guessed from
        iso = _iso(connection, relation if thorough else first, list(iso))
    _drop_rejects(connection)
    maybe: dict[str, str] = {}
    for column in columns:
        if column not in iso:
            role = _role(connection, scan, head, column)
            maybe |= {column: role} if role else {}
    connection.execute(f"DROP TABLE {first}")
    return iso, maybe


def _iso(connection: duckdb.DuckDBPyConnection, relation: str, columns: list[str]) -> dict[str, str]:
    """Columns of `relation` that hold nothing but dates or times as ISO writes them → type."""
    parts = []
    for c in map(quoted, columns):
        real = f"TRY_CAST({c} AS TIMESTAMP) IS NOT NULL AND"
        forms = (ISO_DAY, f"{ISO_DAY}({ISO_TIME})?", ISO_DAY + ISO_TIME + ISO_ZONE)
        parts += [f"count({c})", *(f"count_if({real} regexp_full_match({c}, {text(form)}))" for form in forms)]
    row, kinds = one(connection, f"SELECT {', '.join(parts)} FROM {relation}") or (), {}
    for index, column in enumerate(columns):
        said, day, local, zoned = row[4 * index : 4 * index + 4]
        if said and said in (day, local, zoned):
            kinds[column] = "DATE" if day == said else "TIMESTAMP" if local == said else "TIMESTAMP WITH TIME ZONE"
    return kinds


def _role(connection: duckdb.DuckDBPyConnection, scan: FileScan, head: str, column: str) -> str:
    """What half of the first texts of a column could be read as: dates, numbers, or nothing."""
    name = quoted(column)
    said = f"{name} IS NOT NULL AND NOT {texts.unknown(name)}"
    digit = f"regexp_matches({name}, '\\d') AND length({name}) < 80"
    row = one(connection, f"SELECT count_if({said}), count_if({said} AND {digit}) FROM {head}") or (0, 0)
    rows, digits = (int(count or 0) for count in row)
    if digits < max(1, rows / 2):
        return ""
    if scan.date_format:
        fits = one(connection, f"SELECT count({texts.date_sql(name, scan.date_format)}) FROM {head}") or (0,)
        return scan.date_format if fits[0] >= rows / 2 else ""
    found = texts.find(connection, head, name, now=scan.now, decimal=scan.decimal, least=0.5)
    return found.role if found else ""


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


def fractional(connection: duckdb.DuckDBPyConnection, reading: Reading) -> list[str]:
    """Columns of whole numbers in which something else is written: the engine would round it."""
    whole = [c for c, kind in reading.columns.items() if kind in ("BIGINT", "INTEGER", "HUGEINT")]
    if not whole:
        return []
    # Most columns have none of the marks of such a number, and finding that takes half the time of the pattern.
    marked = {c: " OR ".join(f"contains({quoted(c)}, '{mark}')" for mark in ".eE") for c in whole}
    found = ", ".join(
        f"bool_or(CASE WHEN {marked[c]} THEN regexp_matches({quoted(c)}, {text(FRACTION)}) ELSE false END)"
        for c in whole
    )
    row = one(connection, f"SELECT {found} FROM {reading.raw}") or ()
    return [c for c, other in zip(whole, row, strict=True) if other]


def readable(connection: duckdb.DuckDBPyConnection, reading: Reading) -> list[str]:
    """Columns whose rejected texts are numbers, dates or words for nothing, written in another way than their type."""
    if one(connection, "SELECT 1 FROM reject_errors WHERE error_type = 'CAST' LIMIT 1") is None:
        return []  # as a rule; the question below takes long to plan
    cell = f"regexp_extract(error_message, {text(CELL)}, 1, 's')"
    fits = " OR ".join(
        (
            texts.unknown("v"),
            *(f"{texts.number_sql('v', style)} IS NOT NULL" for style in numbers.STYLES),
            *(f"{texts.date_sql('v', style)} IS NOT NULL" for style in dates.ORDERS),
        )
    )
    rows = connection.execute(
        f"SELECT DISTINCT column_name FROM (SELECT column_name, {cell} AS v FROM reject_errors "
        f"WHERE error_type = 'CAST') WHERE v <> '' AND ({fits})"
    ).fetchall()
    return [c for (c,) in rows if reading.columns.get(c, "").startswith(READ_FROM_TEXT)]


def _found(connection: duckdb.DuckDBPyConnection, arguments: list[str], sample: int) -> dict[str, str]:
    """Columns and the types that the first `sample` rows fit; -1 = every row."""
    found = described(connection, f"SELECT * FROM read_csv({', '.join(arguments)}, sample_size={sample})")
    _drop_rejects(connection)
    return found


def _header(scan: FileScan) -> list[str]:
    """Names in the header line; empty where it spans lines, is a comment, or the reader would change names."""
    opener = gzip.open if scan.path.suffix == ".gz" else open
    with opener(scan.path, "rb") as file:
        line = file.readline(PLAIN_HEADER).decode("utf-8-sig", "replace").rstrip("\r\n")
    if not line or line.count('"') % 2 or "\r" in line:
        return []
    names = next(csv.reader(io.StringIO(line), delimiter=scan.delimiter), [])
    return names if len(set(names)) == len(names) else []


def _csv_rejects(connection: duckdb.DuckDBPyConnection, types: Mapping[str, str]) -> list[Rejected]:
    """Rows that did not fit, once the file was read."""
    errors = connection.execute(
        "SELECT line, column_name, error_type, error_message, csv_line FROM reject_errors "
        "WHERE scan_id = (SELECT max(scan_id) FROM reject_scans) ORDER BY line"
    ).fetchall()
    _drop_rejects(connection)
    lines: dict[int, Rejected] = {}
    for line, column, kind, message, raw in errors:
        cell = re.search(CELL, message or "", re.DOTALL) if kind == "CAST" else None
        reason, value = _reason(kind, message, column, types), cell.group(1) if cell else ""
        lines.setdefault(line, Rejected(line, column or "", reason, raw or "", value))
    return list(lines.values())


def _json(connection: duckdb.DuckDBPyConnection, scan: FileScan) -> Reading:
    """JSON lines one by one, so that a broken line is quarantined; anything else as one document."""
    if scan.fields:
        return _records(connection, scan)
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
        rejected=lambda: rejected,
        kept=kept,
    )


def _records(connection: duckdb.DuckDBPyConnection, scan: FileScan) -> Reading:
    """JSON lines as the columns that are stated for them."""
    kept, rejected = None, list[Rejected]()
    if not records.parsed(connection, scan.path, scan.fields):
        kept, rejected = _good_lines(scan)
        records.parsed(connection, Path(kept.name), scan.fields)
    for column, record in records.misfits(connection):
        rejected.append(Rejected(None, column, f"'{column}' is not {scan.fields[column].type}", record))
    relation, columns = records.fitting(scan.fields)
    return Reading(scan.origin, relation, columns, rejected=lambda: rejected, kept=kept)


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
    cast = {c: records.cast(f"CAST({quoted(c)} AS VARCHAR)", kind) for c, kind in wrong.items()}
    misfits = {c: f"({quoted(c)} IS NOT NULL AND {cast[c]} IS NULL)" for c in wrong}
    any_misfit = " OR ".join(misfits.values())
    which = " ".join(f"WHEN {condition} THEN {text(c)}" for c, condition in misfits.items())
    row = ", ".join(f"{text(c)}: CAST({quoted(c)} AS VARCHAR)" for c in reading.columns)  # the same at every pull
    bad = connection.execute(
        f"SELECT CASE {which} END, to_json({{{row}}}) FROM {reading.relation} WHERE {any_misfit}"
    ).fetchall()
    casts = ", ".join(f"{sql} AS {quoted(c)}" for c, sql in cast.items())
    relation = f"(SELECT * REPLACE ({casts}) FROM {reading.relation} WHERE NOT ({any_misfit}))"
    rejected = [Rejected(None, c, f"'{c}' is not {wrong[c]}", raw) for c, raw in bad]
    return Reading(reading.origin, relation, columns, rejected=lambda: rejected)


def header_line(scan: FileScan, columns: Collection[str]) -> int:
    """Which line of a CSV names its columns, where comments come first; 0 = none does as they are called now."""
    with (gzip.open if scan.path.suffix == ".gz" else open)(scan.path, "rb") as file:
        for number, line in enumerate(itertools.islice(file, MOST_COMMENTS), 1):
            names = next(csv.reader([line.decode("utf-8-sig", "replace").rstrip("\r\n")], delimiter=scan.delimiter), [])
            if names == list(columns):
                return number
    return 0


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


READ_FROM_TEXT = ("DOUBLE", "FLOAT", "BIGINT", "INTEGER", "HUGEINT", "DECIMAL", "DATE", "TIMESTAMP")
WIDER = (
    ("BIGINT", "DOUBLE"),
    ("INTEGER", "BIGINT"),
    ("INTEGER", "DOUBLE"),
    ("FLOAT", "DOUBLE"),
    ("BIGINT", "HUGEINT"),
    ("HUGEINT", "DOUBLE"),
    ("DATE", "TIMESTAMP"),
)
