"""Engines by URL: which one a URL means, what is said where it cannot be had, what its answers become."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest

from connectors.errors import SettingsError, WarehouseError
from connectors.warehouse.engines import arrow
from connectors.warehouse.engines.opening import dialect_of, open_engine
from metrics.engine.sql.dialects import SESSION
from tests.conftest import ROOT


def test_a_url_has_the_dialect_of_its_engine() -> None:
    assert dialect_of("postgresql+psycopg://reader@host/db") == "postgres"
    assert dialect_of("clickhousedb://?interface=chdb") == "clickhouse"
    assert dialect_of("sc://host:15002") == "spark"


@pytest.mark.parametrize("url", ["postgres", "mysql://root:verysecret@host/db", "secretword"])
def test_a_url_of_no_engine_says_which_there_are(url: str) -> None:
    with pytest.raises(SettingsError, match="there is no engine") as told:
        open_engine(url, SESSION)
    assert "postgresql://, clickhousedb://, sc://" in str(told.value)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("url", "module", "file"),
    [
        ("clickhousedb://host/db", "clickhouse_connect", "requirements-clickhouse.txt"),
        ("sc://host:15002", "pyspark", "requirements-spark.txt"),
    ],
)
def test_a_missing_extra_says_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, url: str, module: str, file: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # as where it is not installed
    monkeypatch.setitem(sys.modules, f"{module}.errors", None)
    with pytest.raises(SettingsError) as told:
        open_engine(url, SESSION)
    assert told.value.hint == f"Install it: .venv/bin/pip install -r {file}"
    assert (ROOT / file).exists()


def test_nothing_of_an_engine_is_loaded_before_its_url_is_opened() -> None:
    code = (
        "import sys, connectors.warehouse.engines.opening, connectors.warehouse.engines.reader, cli.app, jobs.sync\n"
        "from connectors.warehouse.engines import arrow, clickhouse, postgres, spark\n"
        "heavy = ('adbc_driver_postgresql', 'chdb', 'clickhouse_connect', 'grpc', 'pysail', 'pyspark')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_engine_that_is_away_is_told_in_a_sentence() -> None:
    with pytest.raises(WarehouseError) as told:
        open_engine("postgresql://reader:verysecret@127.0.0.1:9/db", SESSION)
    assert "refused" in told.value.message and "verysecret" not in str(told.value)


def test_rows_are_framed_as_duckdb_frames_them() -> None:
    at = pd.Timestamp("2026-11-23 02:30")
    table = pa.table(
        {
            "at": pa.array([at, None], pa.timestamp("us")),
            "there": pa.array([at, None], pa.timestamp("us", "Europe/Berlin")),
            "day": pa.array([at.date(), None], pa.date32()),
            "n": pa.array([1, 2], pa.uint64()),
            "long": pa.array([1, 2**64 - 1], pa.uint64()),
            "some": pa.array([1, None], pa.int64()),
            "price": pa.array([Decimal("1.50"), None], pa.decimal128(9, 2)),
            "none": pa.nulls(2),
        }
    )
    frame = arrow.frame(table)
    assert [str(kind) for kind in frame.dtypes] == [
        *["datetime64[us]"] * 3,
        "int64",
        "uint64",
        "float64",
        "float64",
        "object",
    ]
    assert frame["long"].tolist() == [1, 2**64 - 1]
    assert frame["there"][0] == at and frame["day"][0] == at.normalize() and frame["price"][0] == 1.5
    assert arrow.columns(table.schema) == {
        **{"at": "TIMESTAMP", "there": "TIMESTAMP WITH TIME ZONE", "day": "DATE", "n": "BIGINT", "some": "BIGINT"},
        **{"long": "BIGINT", "price": "DECIMAL(9,2)", "none": "VARCHAR"},
    }
