"""The sql source, against a real PostgreSQL and SQLite: whole, incremental, streamed, and every way it fails."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from connectors.sources.sql import SqlOptions
from jobs.project.pace import Progress
from jobs.sync import SyncResult, sync
from tests.conftest import NOW, REQUIRED, Builder, run_cli

pytestmark = pytest.mark.breadth(8)

T0 = datetime(2026, 11, 1, 10)


@pytest.fixture(scope="session")
def mysql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a MariaDB: KPI_TEST_MYSQL, or one started from the machine's own binaries."""
    if given := os.environ.get("KPI_TEST_MYSQL"):
        yield given
        return
    install, daemon = (shutil.which(n) or shutil.which(n, path="/usr/sbin") for n in ("mariadb-install-db", "mariadbd"))
    if not (install and daemon):
        message = "no MariaDB found: apt-get install mariadb-server, or set KPI_TEST_MYSQL=mysql://…"
        (pytest.fail if REQUIRED else pytest.skip)(message)
    folder = tmp_path_factory.mktemp("mariadb")
    user = ["--user=root"] if os.geteuid() == 0 else []
    subprocess.run(
        [install, f"--datadir={folder}/data", "--auth-root-authentication-method=normal", *user],
        check=True,
        capture_output=True,
    )
    socket = folder / "s"
    process = subprocess.Popen(
        [
            daemon,
            "--no-defaults",
            f"--datadir={folder}/data",
            f"--socket={socket}",
            "--skip-networking",
            f"--pid-file={folder}/pid",
            *user,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"mysql://root@localhost/test?unix_socket={socket}"
    for _ in range(150):
        if socket.exists():
            break
        time.sleep(0.2)
    engine = sa.create_engine(url.replace("mysql:", "mysql+pymysql:").replace("/test?", "/mysql?"))
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE DATABASE IF NOT EXISTS test"))
    engine.dispose()
    yield url
    process.terminate()
    process.wait(20)


@pytest.fixture(params=["postgres", "sqlite", "mysql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, sa.Engine]]:
    """(address for sources.yml, engine for the test) of an empty database of each kind."""
    if request.param == "sqlite":
        sqlite3.connect(tmp_path / "app.db").close()
        url = f"sqlite:///{tmp_path}/app.db"
        engine = sa.create_engine(url)
    else:
        url = request.getfixturevalue(request.param)
        driver = {"postgres": "postgresql+psycopg:", "mysql": "mysql+pymysql:"}[request.param]
        engine = sa.create_engine(driver + url.partition(":")[2])
    yield url, engine
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS orders"))
    engine.dispose()


ORDERS = sa.Table(
    "orders",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.DateTime),
    sa.Column("updated_at", sa.DateTime),
    sa.Column("amount", sa.Numeric(12, 2)),
    sa.Column("country", sa.String(20)),
    sa.Column("paid", sa.Boolean),
    sa.Column("note", sa.Text),
)


def order(number: int, *, day: int = 0, updated: int | None = None, amount: float = 10.5) -> dict[str, object]:
    at = T0 + timedelta(days=day, minutes=number)
    changed = at if updated is None else T0 + timedelta(days=updated, minutes=number)
    return {"id": number, "at": at, "updated_at": changed, "amount": amount, "country": "Zürich", "paid": True}


def put(engine: sa.Engine, *rows: dict[str, object]) -> None:
    ORDERS.metadata.create_all(engine)
    with engine.begin() as connection:
        for row in rows:
            connection.execute(ORDERS.delete().where(ORDERS.c.id == row["id"]))
            connection.execute(ORDERS.insert().values(**row))


def start(project: Builder, url: str, extra: str = "primary_key: [id], cursor: updated_at, lookback: 2d") -> None:
    project.source(f"- {{name: app, type: sql, url: '{url}', table: orders, {extra}}}")
    project.write("datasets", "orders", "name: orders\nsource: orders\ntime_dimension: at\ndimensions: [country]\n")
    project.kpi("revenue", "dataset: orders\nagg: sum\nexpr: amount")


def run(project: Builder, **options: Any) -> tuple[str, int]:
    result = project.sync(**options)
    assert result.sources[0].error == ""
    return result.sources[0].status, result.sources[0].rows


@pytest.mark.breadth(2)
def test_types_arrive_as_they_are_and_what_is_new_is_read_on(project: Builder, database: tuple[str, sa.Engine]) -> None:
    url, engine = database
    put(engine, order(1), order(2, day=1))
    start(project, url)
    assert run(project) == ("loaded", 2)
    types = project.open().reader().tables()["orders"]
    kinds = {
        "id": {"BIGINT", "INTEGER"},
        "at": {"TIMESTAMP"},
        "amount": {"DOUBLE"},
        "country": {"VARCHAR"},
        "paid": {"BOOLEAN", "BIGINT"},
    }  # MySQL's booleans are numbers
    assert all(types[column] in allowed for column, allowed in kinds.items()), types
    assert project.values("revenue", grain="total") == {"total": 21.0}
    second = project.sync()
    assert (second.sources[0].status, second.sources[0].rows, second.published) == ("unchanged", 0, False)
    put(engine, order(3, day=3), order(1, day=0, updated=3, amount=100))
    assert run(project) == ("loaded", 2)  # the look-back read row 2 again and found it unchanged
    assert project.values("revenue", grain="total") == {"total": 121.0}


@pytest.mark.breadth(1)
def test_full_every_finds_deleted_rows(project: Builder, database: tuple[str, sa.Engine]) -> None:
    url, engine = database
    put(engine, order(1), order(2), order(3))
    start(project, url, "primary_key: [id], cursor: updated_at, full_every: 7d")
    run(project, now=NOW)
    with engine.begin() as connection:
        connection.execute(ORDERS.delete().where(ORDERS.c.id == 2))
    assert run(project, now=NOW + timedelta(days=6)) == ("unchanged", 0)
    assert run(project, now=NOW + timedelta(days=7))[0] == "loaded"
    assert project.values("revenue", grain="total") == {"total": 21.0}
    assert run(project, now=NOW + timedelta(days=8)) == ("unchanged", 0)


@pytest.mark.breadth(1)
def test_a_whole_table_without_a_key_is_replaced_and_an_empty_one_empties(
    project: Builder, database: tuple[str, sa.Engine]
) -> None:
    url, engine = database
    put(engine, order(1), order(2))
    start(project, url, "load: replace")
    assert run(project) == ("loaded", 2)
    assert run(project) == ("unchanged", 0)
    with engine.begin() as connection:
        connection.execute(ORDERS.delete())
    assert run(project)[0] == "loaded"
    assert int(project.open().reader().frame("SELECT count(*) AS n FROM orders")["n"].iloc[0]) == 0


@pytest.mark.breadth(1)
def test_append_reads_on_after_the_cursor(project: Builder, database: tuple[str, sa.Engine]) -> None:
    url, engine = database
    put(engine, order(1), order(2), order(9, day=9000))
    start(project, url, "cursor: id")
    assert run(project) == ("loaded", 3)
    put(engine, order(10, day=1))
    assert run(project) == ("loaded", 1)


@pytest.mark.breadth(1)
def test_a_query_is_read_like_a_table(project: Builder, database: tuple[str, sa.Engine]) -> None:
    url, engine = database
    put(engine, order(1), order(2, amount=0.5))
    query = "SELECT id, at, amount, ''12:30'' AS clock, country FROM orders WHERE amount > 1 AND country LIKE ''Z%'';"
    start(project, url, f"query: '{query}', primary_key: id")
    assert run(project) == ("loaded", 1)
    assert project.open().reader().frame("SELECT clock FROM orders")["clock"][0] == "12:30"


@pytest.mark.breadth(1)
def test_a_cursor_in_the_future_does_not_stop_the_source(project: Builder, database: tuple[str, sa.Engine]) -> None:
    url, engine = database
    put(engine, order(1), {**order(2), "updated_at": datetime(2099, 1, 1)})
    start(project, url)
    assert run(project) == ("loaded", 2)
    put(engine, order(3, day=20))
    assert run(project) == ("loaded", 1)


@pytest.mark.breadth(2)
@pytest.mark.parametrize(
    "database", ["sqlite", *(pytest.param(n, marks=pytest.mark.slow) for n in ("postgres", "mysql"))], indirect=True
)
def test_many_rows_come_in_batches_and_all_arrive(project: Builder, database: tuple[str, sa.Engine]) -> None:
    url, engine = database
    ORDERS.metadata.create_all(engine)
    rows = [{**order(n), "note": None if n < 110_000 else "late"} for n in range(1, 120_001)]
    with engine.begin() as connection:
        connection.execute(ORDERS.insert(), rows)
    start(project, url)
    steps = list(sync(project.open(), now=NOW))
    told = [s.text for s in steps if isinstance(s, Progress) and "rows" in s.text]
    assert told[-1] == "Pulling app: 120,000 rows"  # a long pull shows how far it is
    assert isinstance(steps[-1], SyncResult) and steps[-1].sources[0].rows == 120_000
    got = project.open().reader().frame("SELECT count(*) n, sum(id) s, count(note) c FROM orders").iloc[0]
    assert (got["n"], got["s"], got["c"]) == (120_000, 120_000 * 120_001 // 2, 10_001)


@pytest.mark.breadth(1)
def test_a_quiet_source_publishes_once_an_hour_because_its_watermark_moves(
    project: Builder, database: tuple[str, sa.Engine]
) -> None:
    """A source that answered with nothing is observed: silence is 0, not unknown. But not a generation a minute."""
    url, engine = database
    put(engine, order(1, day=20))
    start(project, url)
    assert project.sync(now=NOW).published
    assert not project.sync(now=NOW + timedelta(minutes=5)).published
    later = project.sync(now=NOW + timedelta(days=1))
    assert (later.published, later.sources[0].rows) == (True, 0)
    daily = project.values("revenue", grain="day")
    assert (daily["2026-11-21"], daily["2026-11-22"], daily["2026-11-23"]) == (10.5, 0.0, 0.0)


# ---- PostgreSQL


@pytest.fixture
def pg(postgres: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(postgres.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text("DROP SCHEMA IF EXISTS app CASCADE; CREATE SCHEMA app"))
        yield connection
    engine.dispose()


@pytest.mark.parametrize("arrow", [True, False])
def test_postgres_types(
    project: Builder, postgres: str, pg: sa.Connection, arrow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same through ADBC and through psycopg."""
    if not arrow:
        monkeypatch.setitem(__import__("sys").modules, "adbc_driver_postgresql", None)
    pg.execute(
        sa.text(
            "CREATE TABLE app.things (id uuid, at timestamptz, day date, price numeric(10,2), units numeric(9,0), "
            "big numeric(30,0), doc jsonb, tags text[], ok boolean, nothing integer, free numeric);"
            "INSERT INTO app.things VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2026-03-29 01:30+01', "
            "'2026-03-29', 19.99, 7, 123456789012345678901234567890, '{\"a\": 1}', '{x,y}', true, NULL, 0.1)"
        )
    )
    start(project, postgres, "remote_table: app.things")
    assert run(project) == ("loaded", 1)
    reader = project.open().reader()
    assert reader.tables()["orders"] == {
        "id": "VARCHAR",
        "at": "TIMESTAMP WITH TIME ZONE",
        "day": "DATE",
        "price": "DOUBLE",
        "units": "BIGINT",
        "big": "VARCHAR",
        "doc": "VARCHAR",
        "tags": "VARCHAR",
        "ok": "BOOLEAN",
        "nothing": "INTEGER" if arrow else "VARCHAR",
        "free": "DOUBLE",
    }
    row = reader.frame('SELECT * REPLACE (CAST("at" AS VARCHAR) AS "at") FROM orders').iloc[0]
    assert row["at"] == "2026-03-29 00:30:00+00" and row["big"] == "123456789012345678901234567890"
    assert (row["price"], row["units"], row["tags"], row["free"]) == (19.99, 7, "{x,y}", 0.1)


def test_a_missing_table_names_the_nearest(project: Builder, postgres: str, pg: sa.Connection) -> None:
    pg.execute(sa.text("CREATE TABLE app.orders (id int)"))
    start(project, postgres, "remote_table: app.ordrs")
    error = project.sync().sources[0].error
    assert "no table 'app.ordrs'" in error and "Did you mean 'orders'" in error


def test_a_wrong_password_is_never_printed(project: Builder, postgres: str, pg: sa.Connection) -> None:
    pg.execute(sa.text("DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN PASSWORD 'right'"))
    folder = postgres.partition("host=")[2]
    for address in (
        f"postgresql://guest:s3cr3t-pass@/nowhere?host={folder}",
        "postgresql://guest:s3cr3t-pass@127.0.0.1:1/app",
    ):
        start(project, address, "remote_table: app.things")
        project._sources.clear()
        result = project.sync()
        assert result.failed and "s3cr3t" not in result.sources[0].error and "***" in result.sources[0].error
    warned = run_cli("validate", "--project", str(project.folder))
    assert "[secret]" in warned.stdout and "s3cr3t" not in warned.stdout + warned.stderr
    examined = run_cli("doctor", "--project", str(project.folder))
    assert examined.returncode == 1 and "s3cr3t" not in examined.stdout + examined.stderr
    everything = "".join(p.read_text(errors="replace") for p in (project.folder / "data").glob("*.json"))
    assert "s3cr3t" not in everything and "***@127.0.0.1:1/app" in everything


def test_a_server_that_goes_in_mid_pull_leaves_everything_as_it_was(
    project: Builder, postgres: str, pg: sa.Connection
) -> None:
    pg.execute(
        sa.text(
            "CREATE TABLE app.things AS SELECT i AS id, timestamp '2026-11-01' + i * interval '1 second' AS at, "
            "1.0 AS amount FROM generate_series(1, 1000) i"
        )
    )
    start(project, postgres, "remote_table: app.things, primary_key: id")
    run(project)
    # Reading on, the query ends its own connection once it has sent the first half.
    project._sources.clear()
    query = (
        "SELECT id, at, amount FROM app.things UNION ALL SELECT i, timestamp '2026-11-02', "
        "CASE WHEN i = 500000 AND pg_terminate_backend(pg_backend_pid()) THEN 1 ELSE 2 END "
        "FROM generate_series(2000, 1000000) i"
    )
    start(project, postgres, f'query: "{query}", primary_key: id')
    result = project.sync()
    assert result.failed and "Nothing of this pull was loaded" in result.sources[0].error
    assert int(project.open().reader().frame("SELECT count(*) AS n FROM orders")["n"].iloc[0]) == 1000


def test_a_column_that_left_the_database_is_told_and_full_accepts_it(
    project: Builder, postgres: str, pg: sa.Connection
) -> None:
    pg.execute(
        sa.text("CREATE TABLE app.things AS SELECT 1 AS id, timestamp '2026-11-01' AS at, 1.0 AS amount, 2 AS b")
    )
    start(project, postgres, "remote_table: app.things, primary_key: id")
    run(project)
    pg.execute(sa.text("ALTER TABLE app.things DROP COLUMN b"))
    result = project.sync()
    assert "'b' of the table is no longer in the source" in result.sources[0].error
    assert run(project, full=True) == ("loaded", 1)
    assert "b" not in project.open().reader().tables()["orders"]


def test_the_segment_preset_keeps_each_id_once(project: Builder, postgres: str, pg: sa.Connection) -> None:
    """Four clocks: what the device said, when it was sent, received, and loaded; `timestamp` is the mended first."""
    pg.execute(
        sa.text(
            "CREATE TABLE app.tracks (id text, user_id text, event text, original_timestamp timestamptz, "
            'sent_at timestamptz, received_at timestamptz, "timestamp" timestamptz, uuid_ts timestamptz);'
            "INSERT INTO app.tracks SELECT v.id, 'u1', 'opened', t, t, t, t, t + interval '1 hour' + v.again FROM "
            "(VALUES ('m1', interval '0'), ('m2', interval '0'), ('m1', interval '5 min')) v(id, again), "
            "(SELECT timestamptz '2026-11-20 12:00+00' AS t) c"
        )
    )
    project.source(
        f"- {{name: tracks, type: sql, preset: segment, url: '{postgres}', table: tracks, remote_table: app.tracks}}"
    )
    assert run(project) == ("loaded", 2)
    pg.execute(
        sa.text(
            "INSERT INTO app.tracks SELECT 'm2', user_id, event, original_timestamp, sent_at, received_at, "
            "\"timestamp\", uuid_ts + interval '2 hours' FROM app.tracks WHERE id = 'm2'"
        )
    )
    assert run(project) == ("loaded", 1)
    assert int(project.open().reader().frame("SELECT count(*) AS n FROM tracks")["n"].iloc[0]) == 2


# ---- SQLite, options


def sqlite(project: Builder, statements: str) -> str:
    with sqlite3.connect(project.folder / "app.db") as connection:
        connection.executescript(statements)
    connection.close()
    return "sqlite:///app.db"


def test_sqlite_texts_become_times_and_misfits_go_to_quarantine(project: Builder) -> None:
    rows = ",".join(f"({n}, '2026-11-0{n % 9 + 1} 10:00:00', {n})" for n in range(1, 40))
    url = sqlite(
        project,
        f"CREATE TABLE orders (id INTEGER PRIMARY KEY, at DATETIME, amount INTEGER);"
        f"INSERT INTO orders VALUES {rows}, (90, '2026-11-01', 'many'), (91, 'soon', 1)",
    )
    start(project, url, "primary_key: id, cursor: at, lookback: 1d")
    result = project.sync()
    assert (result.sources[0].rows, result.sources[0].quarantined) == (39, 2)
    kept = project.open().reader().quarantine()
    assert set(kept["reason"]) == {"'amount' is not BIGINT", "'at' is not TIMESTAMP"} and "soon" in "".join(kept["raw"])
    again = project.sync()
    assert (again.sources[0].status, again.published) == ("unchanged", False)


def test_a_missing_sqlite_file_is_not_made(project: Builder) -> None:
    start(project, "sqlite:///none.db")
    assert "no file none.db" in project.sync().sources[0].error and not (project.folder / "none.db").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"query": "SELECT 1", "remote_table": "a"}, "either `query` or `remote_table`"),
        ({"lookback": "2d"}, "needs `cursor` and `primary_key`"),
        ({"cursor": "id", "load": "replace"}, "`cursor` has no use"),
        ({"url": "nonsense"}, "no database address"),
        ({"lookback": "soon", "cursor": "a", "primary_key": "b"}, "is not a duration"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(options: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SqlOptions(**{"name": "a", "type": "sql", "table": "t", "url": "sqlite:///a.db", **options})


def test_a_lookback_on_a_number_is_told(project: Builder) -> None:
    url = sqlite(
        project,
        "CREATE TABLE orders (id INTEGER, at DATETIME); INSERT INTO orders VALUES (1, '2026-11-01')",
    )
    start(project, url, "primary_key: id, cursor: id, lookback: 1d")
    project.sync()
    assert "holds int" in project.sync().sources[0].error


def test_an_unknown_driver_says_what_to_install(project: Builder) -> None:
    start(project, "oracle://u:p@h/x")
    result: SyncResult = project.sync()
    assert "no driver for oracle" in result.sources[0].error


def test_texts_become_what_types_says(project: Builder) -> None:
    url = sqlite(
        project,
        "CREATE TABLE orders (id INTEGER, at TEXT, amount REAL, country TEXT);"
        "INSERT INTO orders VALUES (1, '2026-11-01 09:00', 1.5, 'DE')",
    )
    start(project, url, "types: {at: timestamp}")
    assert run(project) == ("loaded", 1)
    assert project.values("revenue", grain="total") == {"total": 1.5}


def test_a_number_that_is_not_whole_is_put_aside_where_whole_ones_are_stated(project: Builder) -> None:
    """The engine would round it."""
    whole = [float(n) for n in range(-20, 20)] + [1e15, 9007199254740991.0]
    values = [*whole, 2.5, -0.5, 0.49]
    rows = ",".join(f"({n}, '2026-11-01 10:00', {value!r}, 'DE')" for n, value in enumerate(values))
    url = sqlite(
        project,
        f"CREATE TABLE orders (id INTEGER, at TEXT, amount REAL, country TEXT); INSERT INTO orders VALUES {rows}",
    )
    start(project, url, "types: {at: timestamp, amount: bigint}")
    loaded = project.sync().sources[0]
    assert (loaded.status, loaded.rows, loaded.quarantined) == ("loaded", len(whole), 3)
    assert any("'amount' is not BIGINT" in note for note in loaded.notes), loaded.notes
    reader = project.open().reader()
    assert reader.tables()["orders"]["amount"] == "BIGINT"
    assert sorted(reader.frame("SELECT amount FROM orders")["amount"]) == sorted(int(value) for value in whole)


@pytest.mark.parametrize(
    ("dialect", "package"), [("snowflake", "snowflake-sqlalchemy"), ("trino", "trino[sqlalchemy]")]
)
def test_a_warehouse_whose_driver_is_not_installed_is_told_with_its_package(
    project: Builder, dialect: str, package: str
) -> None:
    project.source(f"- {{name: t, type: sql, table: t, url: '{dialect}://reader@host/db'}}")
    error = project.sync().sources[0].error
    assert f"no driver for {dialect}" in error and package in error
