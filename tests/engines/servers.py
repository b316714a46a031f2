"""Engines that a test run starts or has within it, and how rows get into them."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from connectors.errors import WarehouseError
from connectors.warehouse.engines.clickhouse import ClickHouseEngine
from connectors.warehouse.engines.contract import Engine
from connectors.warehouse.engines.opening import open_engine
from connectors.warehouse.engines.spark import SparkEngine
from metrics.engine.sql.dialects import SESSION
from tests.conftest import REQUIRED
from tests.sampling import TIER

Tables = Mapping[str, pa.Table]
NEEDS = {
    "chdb": ("requirements-clickhouse.txt", ("clickhouse_connect", "chdb")),
    "s3": ("requirements-clickhouse.txt", ("moto",)),
    "sail": ("requirements-spark.txt", ("pyspark", "pysail")),
    "sail-cluster": ("requirements-spark.txt", ("pyspark", "pysail")),
}

NO_RIGHTS: Mapping[str, str] = MappingProxyType({})


def needed(name: str) -> None:
    """Skips where an engine's packages are missing; in the slow tier of CI that is a failure."""
    file, modules = NEEDS.get(name, ("", ()))
    if any(importlib.util.find_spec(module) is None for module in modules):
        message = f"no {name}: .venv/bin/pip install -r {file}"
        (pytest.fail if REQUIRED and TIER != "fast" else pytest.skip)(message)


@contextmanager
def engine_with(name: str, tables: Tables, folder: Path, postgres: Callable[[], str], world: str) -> Iterator[Engine]:
    """An engine that has these tables. folder: for its files; postgres: gives the URL of a server; world: a name."""
    needed(name)
    if name == "postgres":
        with closing(open_engine(into_postgres(postgres(), world, tables), SESSION)) as opened:
            yield opened
    elif name == "chdb":
        engine = open_engine("clickhousedb://?interface=chdb", SESSION)
        assert isinstance(engine, ClickHouseEngine)
        into_clickhouse(engine, tables)
        yield engine
        for table in tables:  # it is one for all of a process: the next would see them
            engine.client.command(f"DROP TABLE `{table}`")
        engine.close()
    else:
        with sail(folder, "local-cluster" if name == "sail-cluster" else "local") as url:
            engine = open_engine(url, SESSION)
            assert isinstance(engine, SparkEngine)
            into_spark(engine, tables, folder)
            yield engine
            engine.close()


def into_postgres(url: str, schema: str, tables: Tables) -> str:
    """Make a schema of these tables. Returns the URL that reads them."""
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f'CREATE SCHEMA "{schema}"')
        for name, table in tables.items():
            columns = ", ".join(f'"{field.name}" {_postgres(field.type)}' for field in table.schema)
            cursor.execute(f'CREATE TABLE "{schema}"."{name}" ({columns})')
            cursor.adbc_ingest(name, table, mode="append", db_schema_name=schema)
    return sa.make_url(url).update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(False)


def _postgres(kind: pa.DataType) -> str:
    names = {"int64": "BIGINT", "int32": "INTEGER", "double": "DOUBLE PRECISION", "bool": "BOOLEAN", "string": "TEXT"}
    names |= {"date32[day]": "DATE", "timestamp[us]": "TIMESTAMP", "timestamp[us, tz=UTC]": "TIMESTAMPTZ"}
    return f"NUMERIC({kind.precision}, {kind.scale})" if pa.types.is_decimal(kind) else names[str(kind)]


def into_clickhouse(engine: ClickHouseEngine, tables: Tables) -> None:
    """Make these tables; a column is Nullable where it has NULLs, as it would be: else a join fills in 0 and ''."""
    for name, table in tables.items():
        kinds = {
            field.name: f"Nullable({_clickhouse(field.type)})"
            if table.column(field.name).null_count
            else _clickhouse(field.type)
            for field in table.schema
        }
        columns = ", ".join(f"`{column}` {kind}" for column, kind in kinds.items())
        engine.client.command(f"CREATE OR REPLACE TABLE `{name}` ({columns}) ENGINE = MergeTree ORDER BY tuple()")
        engine.client.insert_arrow(name, table)


def _clickhouse(kind: pa.DataType) -> str:
    names = {"int64": "Int64", "int32": "Int32", "double": "Float64", "bool": "Bool", "string": "String"}
    names |= {"date32[day]": "Date32", "timestamp[us]": "DateTime64(6)"}
    names |= {"timestamp[us, tz=UTC]": "DateTime64(6, 'UTC')"}
    return f"Decimal({kind.precision}, {kind.scale})" if pa.types.is_decimal(kind) else names[str(kind)]


def into_spark(engine: SparkEngine, tables: Tables, folder: Path) -> None:
    for name, table in tables.items():
        path = folder / f"{name}.parquet"
        pq.write_table(table, path)
        engine.session.read.parquet(str(path)).createOrReplaceTempView(name)


@contextmanager
def sail(folder: Path, mode: str, rights: Mapping[str, str] = NO_RIGHTS) -> Iterator[str]:
    """A Sail server of its own process; its URL. rights: of its environment, on what it reads."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = "from pysail.cli import main; main()"
    arguments = ["spark", "server", "--ip", "127.0.0.1", "--port", str(port)]
    with (folder / "sail.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdout=log,
            stderr=log,
            env={**os.environ, **rights, "SAIL_MODE": mode},
        )
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        else:
            raise WarehouseError(f"Sail did not start: {(folder / 'sail.log').read_text()[-500:]}")
        yield f"sc://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)
