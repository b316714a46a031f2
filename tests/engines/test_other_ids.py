"""Ids of an engine that are no whole numbers, as an application's UUIDs: roll-ups of them come home, too."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from jobs.project.project import open_project
from jobs.sync import sync
from metrics.engine import rollups
from metrics.engine.answer import answer
from metrics.engine.query import Filter, Query
from tests.conftest import Builder, finished
from tests.engines.projects import tables_by_url
from tests.engines.servers import into_postgres
from tests.sampling import cases

pytestmark = pytest.mark.slow
NOW = datetime(2026, 3, 2, 4, tzinfo=UTC)
LONG = 10**19  # so that two ids would be one as floats
KINDS = {"uuid": "UUID USING md5(who::text)::uuid", "text": "TEXT USING 'u' || who"}


@pytest.fixture(autouse=True)
def rolled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "LEAST_ROWS", 0)
    monkeypatch.setattr(rollups, "MOST_KEPT", 10)


def visits() -> pd.DataFrame:
    drawn = np.random.default_rng(5)
    at = pd.date_range("2026-01-05", "2026-03-01 23:00", freq="2h")
    plans = drawn.choice(["free", "pro", "team"], len(at))
    return pd.DataFrame({"at": at, "who": drawn.integers(1, 40, len(at)), "plan": plans})


def table(rows: pd.DataFrame) -> pa.Table:
    return pa.table(
        {
            "at": pa.array(rows["at"], pa.timestamp("us")),
            "who": rows["who"],
            "plan": pa.array(rows["plan"], pa.string()),
        }
    )


def check(url: str, rows: pd.DataFrame, folder: Path) -> None:
    """Months of people, filtered: of a roll-up, of rows, and by hand."""
    project = Builder(folder)
    project.settings(f"timezone: UTC\nwarehouse: '{url}'\n")
    about = "time_dimension: at\nentity: who\ndimensions: [plan]\nwatermark: whole_days\n"
    project.write("datasets", "visits", f"name: visits\nsource: visits\n{about}")
    project.kpi("people", "dataset: visits\nagg: count_distinct\nexpr: who\ngrains: [day, week, month]")
    opened = open_project(folder)
    assert not finished(sync(opened, now=NOW)).problems
    reader, catalogue = opened.reader(), opened.catalogue()
    assert [r.about["kind"] for r in reader.rollups().values() if r.relation] == ["people"]
    query, found = Query("people", grain="month", where=(Filter("plan", ("pro", "team")),)), {}
    for from_rows in (False, True):
        series = answer(query, catalogue, reader, from_facts=from_rows)
        found[series.level] = series.frame.dropna(subset="value")["value"].tolist()
    by_hand = rows[rows["plan"] != "free"].groupby(rows["at"].dt.month)["who"].nunique().tolist()
    assert found == {"rollup": by_hand, "facts": by_hand}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_rollups_of_an_application_s_ids_say_what_rows_say(postgres: str, kind: str, tmp_path: Path) -> None:
    from adbc_driver_postgresql import dbapi

    rows = visits()
    url = into_postgres(postgres, f"ids_{kind}", {"visits": table(rows)})
    with closing(dbapi.connect(postgres, autocommit=True)) as connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE ids_{kind}.visits ALTER COLUMN who TYPE {KINDS[kind]}")
    check(url, rows, tmp_path / "project")


@pytest.mark.parametrize("engine", ("postgres", "chdb", "sail")[: cases(fast=1, slow=1, full=3)])
def test_rollups_of_long_decimals_say_what_rows_say(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    rows = visits()
    ids = pa.array([Decimal(LONG + who) for who in rows["who"]], pa.decimal128(20, 0))
    tables = {"visits": table(rows).set_column(1, "who", ids)}
    with tables_by_url(engine, tables, tmp_path, partial(request.getfixturevalue, "postgres"), "long_ids") as url:
        check(url, rows, tmp_path / "project")
