"""A project whose rows are in PostgreSQL, end to end; and without its engine: what is stored is shown, told late."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from connectors.errors import SettingsError, SyncRunning
from connectors.warehouse.engines import reached
from jobs.project.project import Project, open_project
from jobs.sync import sync
from metrics.engine.answer import answer
from metrics.engine.query import Query
from metrics.kpi_views.overview import overview
from metrics.quality.data_page import data_page
from tests.conftest import NOW, Builder, finished, run_cli
from tests.engines.projects import elsewhere, interrupted, made_shop, same_values, stored, told
from tests.engines.servers import into_postgres
from tests.engines.worlds import arrow_tables
from tests.sampling import SEED, cases
from tests.test_pages import PAGES
from tests.test_pages import run as run_page

SECRET = "verysecret"
AD_HOC = ["query", "buyers", "--where", "platform=web", "--where", "platform=ios"]  # nothing stored answers it
DROPPED = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'shopper'"


class Shop:
    """A project as DuckDB has it, and the same in a schema of a server. run: SQL of the server's owner."""

    def __init__(self, built: Builder, server: str, url: str) -> None:
        self.built, self.url, self._server = built, url, server

    def run(self, *statements: str) -> None:
        from adbc_driver_postgresql import dbapi

        with dbapi.connect(self._server, autocommit=True) as connection, connection.cursor() as cursor:
            for statement in ("SET search_path = shop", *statements):
                cursor.execute(statement)

    def project(self, target: Path, url: str = "") -> Project:
        return elsewhere(self.built.folder, target, url or self.url)


@pytest.fixture(scope="module")
def _shop(tmp_path_factory: pytest.TempPathFactory, postgres: str) -> Shop:
    built = made_shop(tmp_path_factory.mktemp("shop") / "project")
    named = into_postgres(postgres, "shop", arrow_tables(built.open().reader()))
    shop = Shop(built, postgres, sa.make_url(named).set(username="shopper", password=SECRET).render_as_string(False))
    shop.run(
        *("CREATE ROLE shopper LOGIN", "GRANT USAGE ON SCHEMA shop TO shopper"),
        "GRANT SELECT ON ALL TABLES IN SCHEMA shop TO shopper",
    )
    return shop


@pytest.fixture
def shop(_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """The tables are put back by whoever changes them. An engine that is away is tried again, after no pause."""
    monkeypatch.setattr("connectors.warehouse.engines.warehouse.SYNC", reached.Patience(3, 0.01, float("inf")))
    yield _shop
    _shop.run("ALTER ROLE shopper LOGIN")


@pytest.fixture
def synced(shop: Shop, tmp_path: Path) -> Project:
    project = shop.project(tmp_path / "shop")
    result = finished(sync(project, now=NOW))
    assert result.published and not result.failed and not result.problems
    return project


@pytest.fixture
def nobody(_shop: Shop) -> Iterator[tuple[str, Callable[[], int]]]:
    """A URL that leads to a port where nobody speaks, and how often somebody knocked there."""
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        port.listen(50)
        port.setblocking(False)

        def knocked() -> int:
            count = 0
            while True:
                try:
                    port.accept()[0].close()
                except BlockingIOError:
                    return count
                count += 1

        yield f"postgresql://shopper:{SECRET}@127.0.0.1:{port.getsockname()[1]}/db?connect_timeout=1", knocked


def moved(project: Project, old: str, new: str) -> Project:
    """The same folder with another URL, as where the engine went."""
    settings = project.folder / "settings.yml"
    settings.write_text(settings.read_text().replace(old, new))
    return open_project(project.folder)


def test_it_stores_what_duckdb_stores(shop: Shop, synced: Project) -> None:
    same_values(stored(shop.built.open()), stored(synced))


@pytest.mark.slow
def test_every_verb_works_and_none_says_the_password(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_DB", shop.url)
    project = shop.project(tmp_path / "shop", "${SHOP_DB}")
    where = ["--project", str(project.folder)]
    texts = []
    for verb in (
        ["sync", "--json", "--explain"], ["status", "--json"], ["list"], ["validate"], ["alerts", "evaluate"], AD_HOC,
        ["query", "buyers", "--sql"], ["launch", "show", "search"], ["snapshot", "take"], ["doctor", "--json"],
    ):  # fmt: skip
        done = run_cli(*verb, *where)
        assert done.returncode == 0 or verb[0] == "doctor", (verb, done.stderr)
        texts += [done.stdout, done.stderr]
    run = json.loads(texts[0])["sources"]
    assert [(one["name"], one["status"]) for one in run] == [("warehouse", "loaded")] and run[0]["rows"] > 200
    assert json.loads(texts[2])["sources"][0]["name"] == "warehouse"
    assert "the engine answers, 1 table" in texts[-2]
    kept = [path.read_text(errors="ignore") for path in project.data.rglob("*") if path.is_file()]
    assert SECRET not in "".join(texts + kept)


def test_what_is_stored_is_shown_without_a_word_to_the_engine(
    shop: Shop, synced: Project, nobody: tuple[str, Callable[[], int]]
) -> None:
    url, knocked = nobody
    project = moved(synced, shop.url, url)
    context = project.context(NOW)
    assert not context.catalogue.problems
    assert overview(context).headline
    assert [(row.table, row.rows) for row in data_page(context).sources] == [("events", "319")]
    for verb in (
        ["status"], ["list"], ["query", "sales"], ["query", "late", "--by", "platform"],
        ["alerts", "evaluate"], ["launch", "list"], ["launch", "show", "search"], ["snapshot", "take"],
    ):  # fmt: skip
        run_cli(*verb, "--project", str(project.folder), check=True)
    assert knocked() == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", random.Random(SEED).sample(PAGES, cases(fast=1, slow=4, full=len(PAGES))))
def test_no_page_needs_the_engine(
    shop: Shop,
    synced: Project,
    nobody: tuple[str, Callable[[], int]],
    page: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, knocked = nobody
    app = run_page(monkeypatch, moved(synced, shop.url, url).folder, page)
    assert not app.exception and not app.error
    assert knocked() == 0


@pytest.mark.slow
def test_an_engine_that_is_away_is_told_as_a_source_that_failed(shop: Shop, synced: Project) -> None:
    live, away = synced.warehouse.live(), f"postgresql://shopper:{SECRET}@127.0.0.1:9/db"
    project = moved(synced, shop.url, away)
    done = run_cli("sync", "--project", str(project.folder))
    assert done.returncode == 1 and "the engine does not answer" in done.stderr and SECRET not in done.stderr
    assert project.warehouse.live() == live
    context = project.context(NOW)
    assert context.runs["warehouse"].last_success
    assert all("failed at the last sync" in row.why for row in data_page(context).datasets)
    assert json.loads(run_cli("status", "--json", "--project", str(project.folder)).stdout)["sources"][0]["error"]
    run_cli("query", "sales", "--project", str(project.folder), check=True)
    asked = run_cli(*AD_HOC, "--project", str(project.folder))
    assert asked.returncode != 0 and "the engine does not answer" in asked.stderr
    assert not finished(sync(moved(project, away, shop.url), now=NOW)).failed


def test_a_question_that_would_read_too_much_is_not_run_and_what_is_stored_is_shown(
    shop: Shop, synced: Project
) -> None:
    settings = synced.folder / "settings.yml"
    settings.write_text(f"{settings.read_text()}query_rows: 10\n")
    asked = run_cli(*AD_HOC, "--project", str(synced.folder))
    assert asked.returncode != 0 and "10 are allowed; it was not run" in asked.stderr and "query_rows" in asked.stderr
    run_cli("query", "sales", "--project", str(synced.folder), check=True)
    assert not finished(sync(open_project(synced.folder), now=NOW, full=True)).failed
    settings.write_text(settings.read_text().replace("query_rows: 10\n", ""))
    run_cli(*AD_HOC, "--project", str(synced.folder), check=True)


@pytest.mark.slow
@pytest.mark.parametrize("by", ["user_id", "event_id"])
def test_a_select_whose_joins_repeat_rows_is_told(shop: Shop, tmp_path: Path, by: str) -> None:
    project = shop.project(tmp_path / "shop")
    joined = (
        f"name: joined\nsql: SELECT e.* FROM events AS e LEFT JOIN events AS o ON e.{by} = o.{by}\ntime_dimension: at\n"
    )
    (project.folder / "datasets" / "joined.yml").write_text(joined)
    result = finished(sync(open_project(project.folder), now=NOW))
    told = [problem for problem in result.problems if problem.code == "multiplies"]
    assert [problem.message.startswith("its joins turn 319 rows of events into") for problem in told] == (
        [True] if by == "user_id" else []
    )


@pytest.mark.slow
def test_a_connection_that_is_dropped_in_the_middle_is_made_anew(shop: Shop, tmp_path: Path) -> None:
    project = shop.project(tmp_path / "shop")
    result = interrupted(project, "buyers", lambda: shop.run(DROPPED))
    assert result.published and not result.problems
    same_values(stored(shop.built.open()), stored(project))


@pytest.mark.slow
def test_an_engine_that_is_lost_in_the_middle_publishes_nothing(shop: Shop, synced: Project) -> None:
    live = synced.warehouse.live()
    error = told(interrupted(synced, "buyers", lambda: shop.run("ALTER ROLE shopper NOLOGIN", DROPPED)))
    assert "not permitted" in error and "What was published is as it was" in error
    assert synced.warehouse.live() == live
    shop.run("ALTER ROLE shopper LOGIN")
    assert finished(sync(synced, now=NOW)).published


@pytest.mark.slow
def test_a_table_that_changes_in_the_middle_publishes_nothing(shop: Shop, synced: Project) -> None:
    live = synced.warehouse.live()
    rename = "ALTER TABLE events RENAME amount TO price"
    error = told(interrupted(synced, "buyers", lambda: shop.run(rename)))
    shop.run("ALTER TABLE events RENAME price TO amount")
    assert "column 'amount' of table 'events'" in error and "Sync again" in error
    assert synced.warehouse.live() == live
    assert finished(sync(synced, now=NOW)).published


@pytest.mark.slow
def test_what_nobody_reads_may_change_in_the_middle(shop: Shop, tmp_path: Path) -> None:
    shop.run("CREATE TABLE notes (id BIGINT)", "GRANT SELECT ON notes TO shopper")
    result = interrupted(shop.project(tmp_path / "shop"), "buyers", lambda: shop.run("DROP TABLE notes"))
    assert result.published


@pytest.mark.slow
def test_the_engine_s_full_disk_publishes_nothing(shop: Shop, tmp_path: Path) -> None:
    project = shop.project(tmp_path / "shop")
    full = 'could not write to file "base/pgsql_tmp/1": No space left on device'
    shop.run(
        f"CREATE FUNCTION filled() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{full}'; END $$",
        "CREATE VIEW piles AS SELECT at, platform FROM events WHERE filled()",
        "GRANT SELECT ON piles TO shopper",
    )
    (project.folder / "datasets" / "piles.yml").write_text("name: piles\nsource: piles\ntime_dimension: at\n")
    (project.folder / "kpis" / "piles.yml").write_text("name: piles\ndataset: piles\nagg: count\n")
    try:
        error = told(finished(sync(open_project(project.folder), now=NOW)))
    finally:
        shop.run("DROP VIEW piles", "DROP FUNCTION filled")
    assert "the engine's disk is full" in error and "Make room where the engine runs" in error
    assert project.warehouse.live() is None


@pytest.mark.slow
def test_a_schema_without_tables_takes_nobody_s_values(shop: Shop, synced: Project) -> None:
    live, there = synced.warehouse.live(), "search_path%3Dshop"
    assert there in shop.url
    error = told(finished(sync(moved(synced, there, "search_path%3Dnowhere"), now=NOW)))
    assert "the engine shows no table" in error
    assert synced.warehouse.live() == live


@pytest.mark.slow
def test_only_one_refresh_runs_at_a_time(shop: Shop, synced: Project) -> None:
    def second() -> None:
        with pytest.raises(SyncRunning):
            finished(sync(open_project(synced.folder), now=NOW))

    assert interrupted(synced, "buyers", second).published


@pytest.mark.slow
def test_rows_that_come_and_change_are_in_the_next_sync(shop: Shop, synced: Project) -> None:
    shop.run("UPDATE events SET amount = amount + 1 WHERE event_id = 7")
    try:
        result = finished(sync(synced, now=NOW))
    finally:
        shop.run("UPDATE events SET amount = amount - 1 WHERE event_id = 7")
    assert result.published and 0 < result.written < 30
    day = str(pd.Timestamp("2026-10-01") + 7 * pd.Timedelta("4h"))[:10]
    reader = synced.reader()
    frame = answer(Query("sales", grain="day"), synced.catalogue(reader), reader).frame
    changed = frame[frame["period"] == day]["value"].item()
    there = answer(Query("sales", grain="day"), shop.built.open().catalogue(), shop.built.open().reader()).frame
    assert changed == pytest.approx(there[there["period"] == day]["value"].item() + 1)


def test_sources_beside_an_engine_are_an_error_with_its_place(shop: Shop, tmp_path: Path) -> None:
    project = shop.project(tmp_path / "shop")
    (project.folder / "sources.yml").write_text("# ours\n- {name: a, type: files, table: a, path: a.csv}\n")
    with pytest.raises(SettingsError, match=r"sources.yml:2: error: nothing is pulled where `warehouse`"):
        finished(sync(project, now=NOW))
    (project.folder / "sources.yml").write_text("# none\n")
    assert project.sources.all() == {}


def test_a_url_of_no_engine_is_an_error_with_its_place(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"settings.yml:\d+: error: there is no engine for 'mysql'") as error:
        shop.project(tmp_path / "shop", f"mysql://root:{SECRET}@host/db")
    assert SECRET not in str(error.value) and "postgresql://" in str(error.value)


@pytest.mark.slow
def test_whether_it_fits_another_engine_is_asked_where_rows_are_loaded(shop: Shop, synced: Project) -> None:
    done = run_cli("validate", "--engine", shop.url, "--project", str(synced.folder))
    assert done.returncode != 0 and "those of this one are in an engine" in done.stderr


@pytest.mark.slow
def test_rows_that_come_back_to_duckdb_are_counted_anew(shop: Shop, synced: Project) -> None:
    """What an engine's rows were says nothing of those that a source loads."""
    files, there = synced.folder / "files", shop.built.folder / "files" / "events.parquet"
    files.mkdir()
    rows = pd.read_parquet(there)
    rows.assign(amount=rows["amount"] * 2).to_parquet(files / "events.parquet", index=False)
    entry = "- {name: events, type: files, table: events, path: files/events.parquet}\n"
    (synced.folder / "sources.yml").write_text(entry)
    back = moved(synced, f"warehouse: '{shop.url}'", "warehouse: duckdb")
    assert finished(sync(back, now=NOW)).published
    key = ("sales", "day", "")
    before, after = (stored(one)[key].frame["value"] for one in (shop.built.open(), back))
    pd.testing.assert_series_equal(before * 2, after)

    # They stay here while an engine is asked, and are no news when they are counted again.
    (synced.folder / "sources.yml").rename(synced.folder / "sources.later")
    away = moved(back, "warehouse: duckdb", f"warehouse: '{shop.url}'")
    assert finished(sync(away, now=NOW)).published
    pd.testing.assert_series_equal(before, stored(away)[key].frame["value"])
    (synced.folder / "sources.later").rename(synced.folder / "sources.yml")
    home = moved(away, f"warehouse: '{shop.url}'", "warehouse: duckdb")
    assert finished(sync(home, now=NOW)).published
    pd.testing.assert_series_equal(after, stored(home)[key].frame["value"])
    assert not finished(sync(home, now=NOW)).published
