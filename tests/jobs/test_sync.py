"""Generations: readers keep theirs, a failed source changes nothing, what was published stays."""

from __future__ import annotations

import multiprocessing
import sqlite3
from datetime import timedelta
from multiprocessing.synchronize import Event

import pandas as pd
import pytest

from connectors.errors import NoData, SyncRunning, UnknownName
from jobs.project.project import open_project
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine import types
from metrics.engine.query import Scope
from tests.conftest import NOW, Builder

pytestmark = pytest.mark.breadth(4)


def frame(days: int) -> pd.DataFrame:
    return pd.DataFrame({"at": pd.date_range("2026-11-01", periods=days, freq="D"), "amount": range(days)})


@pytest.fixture
def small(project: Builder) -> Builder:
    project.rows("events", frame(5))
    project.kpi("n", "dataset: events\nagg: count")
    project.sync()
    return project


def test_a_reader_keeps_its_generation_until_it_asks_again(small: Builder) -> None:
    project = small.open()
    old = project.reader()
    frame(9).to_parquet(small.folder / "files" / "events.parquet", index=False)
    small.sync()
    assert int(old.frame("SELECT count(*) AS n FROM events")["n"].iloc[0]) == 5
    assert int(project.reader().frame("SELECT count(*) AS n FROM events")["n"].iloc[0]) == 9


def test_a_failed_source_leaves_its_table_and_the_others_go_on(small: Builder) -> None:
    small.rows("more", frame(3))
    (small.folder / "files" / "events.parquet").write_text("this is no Parquet file")
    result = small.sync()
    assert result.failed and {r.name: r.status for r in result.sources} == {"events": "failed", "more": "loaded"}
    reader = small.open().reader()
    assert int(reader.frame("SELECT count(*) AS n FROM events")["n"].iloc[0]) == 5
    assert int(reader.frame("SELECT count(*) AS n FROM more")["n"].iloc[0]) == 3


def test_a_dry_run_publishes_nothing(small: Builder) -> None:
    before = small.open().warehouse.live()
    frame(9).to_parquet(small.folder / "files" / "events.parquet", index=False)
    result = small.sync(dry_run=True)
    assert result.sources[0].rows == 9 and not result.published
    assert small.open().warehouse.live() == before


def test_full_pulls_everything_again_without_doubling(small: Builder) -> None:
    assert small.sync(full=True).sources[0].rows == 5
    assert small.values("n", grain="total") == {"total": 5}


def test_full_finds_the_types_anew(small: Builder) -> None:
    text = frame(5).assign(amount=["a", "b", "c", "d", "e"])
    text.to_parquet(small.folder / "files" / "events.parquet", index=False)
    assert "VARCHAR in the source and BIGINT in the table" in small.sync().sources[0].error
    assert not small.sync(full=True).failed
    assert small.open().reader().tables()["events"]["amount"] == "VARCHAR"


def _hold(folder: str, held: Event, done: Event) -> None:
    with open_project(folder).warehouse.staging(NOW):
        held.set()
        done.wait(300)


def test_a_second_sync_is_told_that_one_is_running(small: Builder) -> None:
    context = multiprocessing.get_context("spawn")
    held, done = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(str(small.folder), held, done))
    other.start()
    assert held.wait(300), "the other process did not begin"
    try:
        with pytest.raises(SyncRunning, match="another sync is running"):
            small.sync()
    finally:
        done.set()
        other.join()


def test_a_changed_definition_alone_publishes_and_unknown_names_are_told(small: Builder) -> None:
    small.kpi("n", "dataset: events\nagg: count\nfilter: amount > 1")
    assert small.sync().published and small.values("n", grain="total") == {"total": 3}
    with pytest.raises(UnknownName, match="Did you mean 'events'"):
        small.sync(names=["evnts"])


def test_stored_values_of_a_removed_kpi_end_and_can_still_be_read_as_of(small: Builder) -> None:
    reader = small.open().reader()
    (small.folder / "kpis" / "n.yml").unlink()
    small.kpi("m", "dataset: events\nagg: count")
    small.sync()
    now = small.open().reader()
    assert now.stored_values("n", "day", "", now.generation.sequence) is None
    assert now.stored_values("n", "day", "", reader.generation.sequence) is not None


def test_before_the_first_sync_there_is_no_data(project: Builder) -> None:
    with pytest.raises(NoData, match="Run `kpi sync`"):
        project.open().reader()


def test_rows_of_a_new_table_are_seen_by_every_aggregate(small: Builder) -> None:
    """DuckDB 2.0.0 answers 0 here if the table was made by AS SELECT … LIMIT 0 (docs/decisions/0003-duckdb.md)."""
    small.rows("wide", pd.DataFrame({"at": pd.date_range("2026-01-01", periods=200_000, freq="min")}))
    small.sync()
    state = small.open().reader().dataset_states(2)["wide"]
    assert state.rows == 200_000 and state.first_at is not None


def test_a_kpi_without_a_value_does_not_make_every_sync_publish(small: Builder) -> None:
    small.kpi("later", "type: cumulative\nmeasure: {dataset: events, agg: median, expr: amount}")
    assert small.sync().published and not small.sync().published
    small.kpi("later", "type: cumulative\nmeasure: {dataset: events, agg: count}")
    assert small.sync().published


def test_a_sync_that_died_after_it_published_moves_no_watermark_back(project: Builder) -> None:
    """What it pulled stands in the generation, not only in last_sync.json, which it did not come to write."""
    with sqlite3.connect(project.folder / "app.db") as connection:
        connection.executescript(
            "CREATE TABLE a (at DATETIME); INSERT INTO a VALUES ('2026-11-01');CREATE TABLE b AS SELECT * FROM a"
        )
    connection.close()
    for name in ("a", "b"):
        project.source(
            f"- {{name: {name}, type: sql, url: 'sqlite:///app.db', table: {name}, types: {{at: timestamp}}}}"
        )
        project.write("datasets", name, f"name: {name}\nsource: {name}\ntime_dimension: at\n")
        project.kpi(f"n_{name}", f"dataset: {name}\nagg: count")
    project.sync()
    (project.folder / "data" / "last_sync.json").unlink()
    assert project.sync(names=["a"], now=NOW + timedelta(days=1)).published
    reader = project.open().reader()
    states = reader.dataset_states(reader.generation.sequence)
    assert (states["a"].watermark, states["b"].watermark) == (NOW + timedelta(days=1), NOW)


def test_a_source_that_is_not_pulled_reached_no_more_than_the_generation_that_is_left(project: Builder) -> None:
    """The live generation is lost and another source alone is pulled: nobody takes the lost rows for read."""
    for name in ("a", "b"):
        (project.folder / "files" / name).mkdir()
        project.source(f"- {{name: {name}, type: files, table: {name}, path: 'files/{name}/*.csv', load: append}}")
        project.write("datasets", name, f"name: {name}\nsource: {name}\ntime_dimension: at\nwatermark: sync\n")
        project.kpi(f"n_{name}", f"dataset: {name}\nagg: count")
    for day in (1, 2):
        for name in ("a", "b"):
            (project.folder / "files" / name / f"{day}.csv").write_text(f"at,x\n2026-11-{day:02} 10:00:00,1\n")
        project.sync(NOW + timedelta(hours=day))
    lost = project.folder / "data" / "generations" / f"{project.open().warehouse.live()}.duckdb"
    lost.write_bytes(lost.read_bytes()[:10_000])
    assert project.sync(NOW + timedelta(hours=3), names=["a"]).published
    reader = project.open().reader()
    assert reader.dataset_states(reader.generation.sequence)["b"].watermark == NOW + timedelta(hours=1)
    result = project.sync(NOW + timedelta(hours=4))
    assert {run.name: run.rows for run in result.sources} == {"a": 0, "b": 1}
    assert project.values("n_b", grain="total") == {"total": 2}


def test_a_fault_of_ours_in_one_kpi_harms_no_other(
    small: Builder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    small.kpi("other", "dataset: events\nagg: max\nexpr: amount")
    real = types.facts

    def broken(kpi: KpiCommon, scope: Scope) -> pd.DataFrame:
        if kpi.name == "other":
            raise TypeError("secret")
        return real(kpi, scope)

    monkeypatch.setattr(types, "facts", broken)
    result = small.sync()
    assert result.published and small.values("n", grain="total") == {"total": 5}
    (problem,) = [p for p in result.problems if p.level == "error"]
    assert (
        "kpis/other.yml" in problem.file and "unexpected TypeError" in problem.message and "secret" not in str(problem)
    )
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    "where",
    [
        "CAST(a AS INTEGER) > 0",
        "length(array_to_string(range(1000000000), ',')) > id",
        "error(a) IS NULL",
    ],
)
@pytest.mark.parametrize("stated", [False, True])
def test_a_dataset_whose_select_fails_is_its_kpis_end_and_no_other(project: Builder, where: str, stated: bool) -> None:
    """Not even where nothing of it is needed to know when it was observed."""
    project.settings("timezone: UTC\nquery_timeout: 3s\nquery_memory: 1GB\n")
    at = pd.date_range("2026-11-01", periods=10, freq="D")
    project.rows("t", pd.DataFrame({"at": at, "id": range(10), "a": "x"}))
    mark = "watermark: sync\n" if stated else ""
    project.write("datasets", "bad", f"name: bad\ntime_dimension: at\n{mark}sql: SELECT * FROM t WHERE {where}\n")
    project.kpi("good", "dataset: t\nagg: count")
    project.kpi("failing", "dataset: bad\nagg: count")
    result = project.sync()
    assert result.published and not result.failed
    assert project.values("good", grain="total") == {"total": 10}
    told = [p for p in result.problems if p.level == "error"]
    assert len(told) == 1 and "failing" in told[0].file, told
    states = {s.name: s for s in project.open().reader().dataset_states(1).values()}
    assert states["bad"].watermark is None and states["t"].rows == 10
    assert not project.sync(now=NOW + timedelta(days=1)).failed, "and again"
    mended = pd.DataFrame({"at": at, "id": range(10), "a": "1"})
    mended.to_parquet(project.folder / "files" / "t.parquet", index=False)
    project.write(
        "datasets", "bad", f"name: bad\ntime_dimension: at\n{mark}sql: SELECT * FROM t WHERE a::INTEGER > 0\n"
    )
    project.sync(now=NOW + timedelta(days=2))
    assert project.values("failing", grain="total") == {"total": 10}
