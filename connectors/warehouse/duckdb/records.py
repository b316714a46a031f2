"""JSON lines of a known shape: each stated column by its path and type, in one reading of the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

from connectors.sources.contract import RecordField
from connectors.warehouse.duckdb.reader import one
from connectors.warehouse.names import quoted, text

PARSED = "parsed_records"  # of the batch that is read now
WRONG, RAW = "which column is wrong", "the record"
MOMENTS = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}  # microseconds


def parsed(connection: duckdb.DuckDBPyConnection, path: Path, fields: Mapping[str, RecordField]) -> bool:
    """Read the file into PARSED, a text that does not fit its type as NULL. Returns whether each line is an object."""
    paths = ", ".join(text("$" + "".join(f".{_key(key)}" for key in field.path)) for field in fields.values())
    values = {column: cast(f"v[{n}]", field.type, field.zone) for n, (column, field) in enumerate(fields.items(), 1)}
    misfits = {
        column: f"v[{n}] IS NOT NULL AND {value} IS NULL"
        for n, (column, value) in enumerate(values.items(), 1)
        if kind_of(fields[column].type) != "VARCHAR"
    }
    which = " ".join(f"WHEN {misfit} THEN {text(column)}" for column, misfit in misfits.items())
    wrong = f"CASE WHEN json IS NULL OR json_type(json) <> 'OBJECT' THEN '' {which} END"
    columns = ", ".join(f"{value} AS {quoted(column)}" for column, value in values.items())
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {PARSED} AS SELECT {columns}, {wrong} AS {quoted(WRONG)}, "
        f"CASE WHEN {quoted(WRONG)} IS NOT NULL THEN json END AS {quoted(RAW)} "
        f"FROM (SELECT json, json_extract_string(json, [{paths}]) AS v "
        f"FROM read_ndjson_objects({text(str(path))}, ignore_errors=true))"
    )
    return one(connection, f"SELECT 1 FROM {PARSED} WHERE {quoted(WRONG)} = '' LIMIT 1") is None


def fitting(fields: Mapping[str, RecordField]) -> tuple[str, dict[str, str]]:
    """The records of PARSED that fit, as a FROM item; its columns and types."""
    relation = f"(SELECT * EXCLUDE ({quoted(WRONG)}, {quoted(RAW)}) FROM {PARSED} WHERE {quoted(WRONG)} IS NULL)"
    return relation, {column: kind_of(field.type) for column, field in fields.items()}


def misfits(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Column and record of each that does not fit."""
    rows = connection.execute(f"SELECT {quoted(WRONG)}, {quoted(RAW)} FROM {PARSED} WHERE {quoted(WRONG)} <> ''")
    return [(column, str(record)) for column, record in rows.fetchall()]


def kind_of(type: str) -> str:
    """The SQL type of a field."""
    return "TIMESTAMP" if type in MOMENTS or type == "utc" else type.upper()


def cast(value: str, type: str, zone: str = "") -> str:
    """A text as a field's type; NULL where it is none."""
    if type == "utc":
        return f"timezone('UTC', TRY_CAST({value} AS TIMESTAMPTZ))"  # the session's zone is UTC
    if type in MOMENTS:
        at = f"make_timestamp(TRY_CAST(TRY_CAST({value} AS DOUBLE) * {MOMENTS[type]} AS BIGINT))"
        return f"timezone('UTC', timezone({text(zone)}, {at}))" if zone else at
    kind = type.upper()
    if kind == "VARCHAR":
        return value
    if kind == "JSON":
        return f"coalesce(TRY_CAST({value} AS JSON), to_json({value}))"
    tried = f"TRY_CAST({value} AS {kind})"  # the engine would round a number that is not whole
    return f"CASE WHEN TRY_CAST({value} AS DOUBLE) % 1 = 0 THEN {tried} END" if "INT" in kind else tried


def _key(name: str) -> str:
    return '"' + name.replace('"', '\\"') + '"'
