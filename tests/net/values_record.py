"""What is stored: definition hashes, finished values, and the state store's tables."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import duckdb

from tests.net.product import open_project
from tests.net.text import cut, settled, sha, shortened

DIGITS = 12  # of a stored value: sums of doubles depend on the order in which threads add up
FIT_DIGITS = 8  # of a verdict: a fit in wider vector units of a processor ends elsewhere beyond them
KEYS = ("kpi", "definition", "grain")
COLUMNS = ("dimension", "segment", "period", "value", "numerator", "denominator", "n", "complete", "valid_from",
           "valid_to", "parts")  # fmt: skip
LAST = 3
ROWS = 40  # of a table of the state store that are kept


def record(folder: Path) -> dict[str, str]:
    """File name → text: hashes, values, state."""
    project = open_project(folder)
    catalogue = project.catalogue()
    hashes = "".join(f"{name} {catalogue.definition(name)}\n" for name in sorted(catalogue.kpis))
    live = project.data / (project.data / "live").readlink()
    with tempfile.TemporaryDirectory() as scratch:  # one process opens a file in one way only
        copy = shutil.copy(live, scratch)
        with duckdb.connect(copy, read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            values, books = _values(connection), _books(connection, folder)
    state = project.data / "state.sqlite"
    return {
        "definitions.txt": hashes,
        "values.txt": values,
        "books.txt": books,
        "state.txt": _state(state, folder) if state.exists() else "no state store\n",
    }


def _plain(value: Any, digits: int = DIGITS) -> Any:
    """A value as it is written down: so many digits, dates by their own name."""
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    if isinstance(value, (list, tuple)):
        return [_plain(item, digits) for item in value]
    return value if isinstance(value, (int, str, bool, type(None))) else str(value)


def _values(connection: duckdb.DuckDBPyConnection) -> str:
    lines = [f"kpi definition grain: rows, sha256 of all; then the last {LAST} rows: {', '.join(COLUMNS)}"]
    keys = connection.execute(f"SELECT DISTINCT {', '.join(KEYS)} FROM bellwether.kpi_values ORDER BY ALL").fetchall()
    for key in keys:
        rows = connection.execute(
            f"SELECT {', '.join(COLUMNS)} FROM bellwether.kpi_values WHERE kpi = ? AND definition = ? AND grain = ? "
            "ORDER BY dimension, segment, period, valid_from",
            list(key),
        ).fetchall()
        texts = [json.dumps(_plain(row), ensure_ascii=False) for row in rows]
        lines.append(f"{' '.join(key)}: {len(rows)} rows, {sha(chr(10).join(texts))}")
        lines += [f"  {text}" for text in texts[-LAST:]]
    return "\n".join(lines) + "\n"


def _books(connection: duckdb.DuckDBPyConnection, folder: Path) -> str:
    """The other tables of a generation: their columns, and the rows of small ones."""
    found = []
    for schema, table in connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal ORDER BY ALL"
    ).fetchall():
        if table == "kpi_values":
            continue
        described = connection.execute(f'DESCRIBE {schema}."{table}"').fetchall()
        found.append(f"{schema}.{table}: {', '.join(f'{name} {kind}' for name, kind, *_ in described)}")
        if schema == "main":  # the sources' own rows
            found += [
                f"  {count} rows" for (count,) in connection.execute(f'SELECT count(*) FROM main."{table}"').fetchall()
            ]
            continue
        rows = connection.execute(f'SELECT COLUMNS(*)::VARCHAR FROM {schema}."{table}" ORDER BY ALL').fetchall()
        texts = [cut(settled(json.dumps(row, ensure_ascii=False), folder)) for row in rows]
        found += [f"  {line}" for line in shortened("\n".join(texts), ROWS, 5)]
    return "\n".join(found) + "\n"


def _state(path: Path, folder: Path) -> str:
    """Every table of the state store, JSON texts with eight digits."""
    found = []
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        names = [n for (n,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        for name in names:
            told = _columns(connection, name)
            order = "1, 2, 3" if len(told) > 2 else "1"
            cursor = connection.execute(f"SELECT {', '.join(told)} FROM {name} ORDER BY {order}")
            found.append(f"{name}: {', '.join(column[0] for column in cursor.description)}")
            texts = [
                settled(json.dumps([_document(item) for item in row], ensure_ascii=False), folder) for row in cursor
            ]
            found += [f"  {cut(text)}" for text in shortened("\n".join(texts), ROWS, 5)]
    connection.close()
    return "\n".join(found) + "\n"


def _document(value: Any) -> Any:
    """A JSON text by its content, so that its decimals are rounded, too."""
    if isinstance(value, str) and value.startswith(("{", "[")):
        return json.dumps(_rounded(json.loads(value)), ensure_ascii=False)
    return _plain(value)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else _plain(value, FIT_DIGITS)


def _columns(connection: sqlite3.Connection, name: str) -> list[str]:
    """Of the audit without what its random key makes, and without the running clock."""
    signed = {"at", "key", "hash", "chain", "signature"} if name.startswith("audit_") else set[str]()
    return [f'"{row[1]}"' for row in connection.execute(f"PRAGMA table_info({name})") if row[1] not in signed]
