"""The SQL of every KPI type for other engines: golden files to be read in review, and PostgreSQL runs its own.

Renew the files with `make golden`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest
import sqlglot
from sqlalchemy import create_engine, text

from metrics.engine.sql import trees
from metrics.engine.sql.dialects import SESSION, render, unsupported
from tests.conftest import Builder
from tests.engine.followed import KPIS as FOLLOWED
from tests.engine.followed import draw

pytestmark = pytest.mark.breadth(30)

RUN = ("postgres", "spark", "clickhouse")  # tests/engines runs them
WRITTEN = ("trino", "snowflake", "bigquery", "databricks")  # no engine was asked
ZONE = "Europe/Berlin"
KPIS = {
    **{
        name: FOLLOWED[name]
        for name in (
            "convert",
            "buys_again",
            "pay",
            "credit",
            "funnel",
            "attempts",
            "strict",
            "to_pay",
            "day_3",
            "own_week_1",
            "again",
            "stays",
            "life",
            "sticky",
            "nps",
            "balance",
            "typical",
        )
    },
    "count": "dataset: events\nagg: count\nfilter: kind = 'buy'",
    "people": "dataset: events\nagg: count_distinct\nexpr: user_id\nwindow: 7 days",
    "median": "dataset: events\nagg: median\nexpr: amount\ngrain: week",
    "share": "type: ratio\nnumerator: {dataset: events, agg: sum, expr: amount}\n"
    "denominator: {dataset: answers, agg: count}",
    "running": "type: cumulative\nmeasure: {dataset: events, agg: count_distinct, expr: user_id}\ngrain_to_date: month",
    "borrowed": "dataset: orders\nagg: count",
    "own": "type: sql\ndataset: events\nsql: |\n"
    "  SELECT date_trunc('day', \"at\") AS period, platform, count(*) AS value\n"
    "  FROM events GROUP BY date_trunc('day', \"at\"), platform",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    project = Builder(tmp_path_factory.mktemp("dialects") / "project")
    project.settings(f"timezone: {ZONE}\n")
    for name, frame in tables().items():
        dims = {} if name == "payments" else {"dimensions": "[platform]"}
        project.rows(name, frame, entity="user_id", primary_key="event_id", **dims)
    people = pd.DataFrame({"person_id": range(1, 45), "plan": ["pro", "free"] * 22, "at": pd.Timestamp("2026-09-20")})
    project.rows("people", people, primary_key="person_id", dimensions="[plan]")
    project.write(
        "datasets",
        "orders",
        "name: orders\nsource: events\ntime_dimension: at\nentity: user_id\njoin: [{dataset: people, by: user_id}]\n",
    )
    project.sync()  # of the rows alone: the questions here are answered from them
    for name, body in KPIS.items():
        project.kpi(name, body + ("\ngrains: [day, week]" if name in ("count",) else ""))
    return project


def tables() -> dict[str, pd.DataFrame]:
    frames = {name: pd.DataFrame(rows) for name, rows in draw(7).items()}
    frames["payments"]["at"] = frames["payments"]["at"].dt.date
    for frame in frames.values():
        frame["user_id"] = frame["user_id"].astype("Int64")
    return frames


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Any, pd.DataFrame]]]:
    """Every tree that is run, with the rows that DuckDB gave."""
    seen: list[tuple[Any, pd.DataFrame]] = []
    real = trees.run

    def run(tree: Any, scope: Any) -> pd.DataFrame:
        rows = real(tree, scope)
        seen.append((tree, rows.copy()))
        return rows

    monkeypatch.setattr(trees, "run", run)
    yield seen


def ask(project: Builder, name: str) -> None:
    by = "plan" if name == "borrowed" else "platform" if name != "own" else None
    if name in ("share",):
        by = "platform"
    project.ask(name, facts=True, by=by, start=pd.Timestamp("2026-10-01").date(), end=pd.Timestamp("2026-11-05").date())


@pytest.mark.parametrize("dialect", (*RUN, *WRITTEN))
@pytest.mark.parametrize("name", sorted(KPIS))
def test_text_for_other_engines(
    project: Builder, compiled: list[Any], golden: Callable[[str, str], None], name: str, dialect: str
) -> None:
    ask(project, name)
    if lacking := sorted({line for tree, _ in compiled for line in unsupported(tree, dialect)}):
        assert dialect in WRITTEN
        golden(f"dialects/{name}.{dialect}.sql", "\n".join(f"-- not written: {line}" for line in lacking) + "\n")
        return
    texts = [render(tree, dialect) for tree, _ in compiled]
    assert texts
    golden(f"dialects/{name}.{dialect}.sql", ";\n\n".join(texts) + "\n")
    for statement in texts:
        assert isinstance(sqlglot.parse_one(statement, dialect=dialect), sqlglot.exp.Query)
        assert "QUANTILE_CONT" not in statement and "* INTERVAL" not in statement.upper()


@pytest.fixture(scope="module")
def loaded(postgres: str) -> Iterator[Any]:
    engine = create_engine(postgres.replace("postgresql://", "postgresql+psycopg://"))
    people = pd.DataFrame({"person_id": range(1, 45), "plan": ["pro", "free"] * 22, "at": pd.Timestamp("2026-09-20")})
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS dialects"))
    for name, frame in {**tables(), "people": people}.items():
        frame.to_sql(name, engine, schema="dialects", index=False, if_exists="replace")
    yield engine
    engine.dispose()


@pytest.mark.parametrize("name", sorted(KPIS))
def test_postgresql_gives_the_same_rows(project: Builder, compiled: list[Any], loaded: Any, name: str) -> None:
    ask(project, name)
    with loaded.connect() as connection:
        connection.execute(text("SET search_path TO dialects"))
        for statement in SESSION["postgres"]:
            connection.execute(text(statement))
        assert any(len(rows) >= 5 for _, rows in compiled)
        for tree, rows in compiled:
            found = pd.DataFrame(
                connection.exec_driver_sql(render(tree, "postgres").replace("%", "%%")).mappings().all()
            )
            assert comparable(found, list(rows.columns)) == comparable(rows, list(rows.columns))


def comparable(frame: pd.DataFrame, columns: list[str]) -> list[tuple[Any, ...]]:
    if frame.empty:
        return []

    def plain(value: Any) -> Any:
        if value is None or (not isinstance(value, str) and pd.isna(value)):
            return "-"
        if hasattr(value, "isoformat"):
            return f"{pd.Timestamp(value):%Y-%m-%d %H:%M:%S}"
        return value if isinstance(value, str) else f"{float(value):.6f}"

    rows = [tuple(plain(v) for v in row) for row in frame[columns].itertuples(index=False)]
    return sorted(rows)


def test_what_aggregates_is_no_group_under_the_name_that_an_engine_has_for_it() -> None:
    tree = sqlglot.parse_one("SELECT median(amount) AS middle, kind FROM events GROUP BY ALL", dialect="duckdb")
    assert isinstance(tree, sqlglot.exp.Query)
    for dialect in ("spark", "postgres", "databricks", "snowflake"):
        assert render(tree, dialect).split()[-3:] == ["GROUP", "BY", "2"]


@pytest.mark.parametrize("text", ["median(amount)", "quantile_cont(amount, 0.9)"])
def test_an_estimate_stands_for_no_exact_median(text: str) -> None:
    tree = sqlglot.parse_one(f"SELECT {text} AS middle FROM events", dialect="duckdb")
    assert isinstance(tree, sqlglot.exp.Query)
    for dialect in ("trino", "bigquery"):
        assert "no exact median" in unsupported(tree, dialect)[0]
    assert not unsupported(tree, "snowflake")
