"""What a worker asks of the engine's own parser: statements read loaded tables, whatever the catalogue let through."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from connectors.errors import WarehouseError
from connectors.warehouse.duckdb import caged
from connectors.warehouse.duckdb.computing import SPILL, Opening
from connectors.warehouse.duckdb.generations import Generations
from connectors.warehouse.duckdb.packing import unpacked
from connectors.warehouse.duckdb.reader import BOOKS, CHANGED, MADE, ROLLUPS
from tests.conftest import NOW


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(
            f"CREATE TABLE t AS SELECT 1 AS id, 'x' AS a; CREATE SCHEMA {BOOKS}; CREATE SCHEMA {CHANGED};"
            f"CREATE SCHEMA {ROLLUPS}; CREATE TABLE {ROLLUPS}.t AS FROM t;"
            f"ATTACH ':memory:' AS {MADE}; CREATE TABLE {MADE}.t AS FROM t"
        )
        connection.execute(f"CREATE TABLE {BOOKS}.files (text VARCHAR); CREATE TABLE {CHANGED}.t AS FROM t")
        yield connection


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM t JOIN (SELECT 1 AS id) o USING (id)",
        f"SELECT * FROM main.t UNION ALL SELECT * FROM {CHANGED}.t",
        f"SELECT * FROM {ROLLUPS}.t UNION ALL SELECT * FROM {MADE}.t",
        "WITH files AS (SELECT * FROM t) SELECT * FROM files",
        "FROM range(3), generate_series(1, 2), t",
        "SELECT unnest([1, 2]), (SELECT max(id) FROM t)",
        "FROM t PIVOT (sum(id) FOR a IN ('x'))",
        """SELECT '"schema_name":"bellwether"', '"type":"SHOW_REF"', '{"error":true' FROM t""",
        f"SELECT '{BOOKS}.files' AS {BOOKS} FROM t",
        "VALUES (1)",
        "SELECT " + " + ".join(["id"] * 800) + " FROM t",
    ],
)
def test_what_reads_loaded_tables_is_taken(engine: duckdb.DuckDBPyConnection, sql: str) -> None:
    caged._refuse_books(engine, sql)


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT * FROM {BOOKS}.files",
        f"SELECT (SELECT max(text) FROM {BOOKS}.files) FROM t",
        f'SELECT * FROM t WHERE EXISTS (FROM "{BOOKS}"."files")',
        f"WITH t AS (SELECT * FROM {BOOKS}.files) SELECT * FROM t",
        f"SELECT * FROM memory.{BOOKS}.files",
        f"SELECT * FROM t, LATERAL (SELECT * FROM {BOOKS}.files)",
        "SELECT * FROM memory.main.t",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM duckdb_tables()",
        f"SELECT * FROM query('FROM {BOOKS}.files')",
        f"SELECT * FROM query_table('{BOOKS}.files')",
        "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
        "FROM range(3), glob('*')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/data/generations/x.duckdb'",
        "SELECT * FROM t, '../X.DuckDB' AS x",
        "SHOW TABLES",
        "SUMMARIZE t",
        "DESCRIBE t",
        "PIVOT t ON a USING sum(id)",
        "SELECT 1; SELECT 2",
        "INSERT INTO t VALUES (1, 'y')",
        "COPY t TO 'x.csv'",
        "not SQL at all",
        "",
    ],
)
def test_what_reads_anything_else_is_refused(engine: duckdb.DuckDBPyConnection, sql: str) -> None:
    with pytest.raises(WarehouseError):
        caged._refuse_books(engine, sql)


def test_each_worker_spills_into_a_folder_of_its_own(tmp_path: Path) -> None:
    """Two that write into one would read each other's rows. What a killed one left goes at the next sync."""
    file = tmp_path / "generations" / "g.duckdb"
    file.parent.mkdir()
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE t AS SELECT range AS id, hash(range)::VARCHAR AS a FROM range(3000000)")
    opening = Opening(str(file), "100MB", 1, NOW, str(tmp_path / f"{SPILL}g"))
    sql = "SELECT max(r) AS r FROM (SELECT row_number() OVER (ORDER BY a, id) AS r, a FROM t)"
    assert unpacked(caged.frame(opening, sql))["r"].iloc[0] == 3_000_000
    set_to = caged._connection(opening).execute("SELECT current_setting('temp_directory')").fetchall()[0][0]
    assert set_to == f"{opening.spill}-{os.getpid()}"
    caged.let_go(str(file))
    assert not list(tmp_path.glob(f"{SPILL}*"))
    (dead, alive) = (tmp_path / f"{SPILL}g-1-{number}" for number in (2**22 + 5, os.getpid()))
    for folder in (dead, alive):
        folder.mkdir()
        (folder / "duckdb_temp_storage.tmp").write_bytes(b"x")
    Generations(tmp_path).collect(None)
    assert alive.exists() and not dead.exists()
