"""The state store: migrations, SQLite and PostgreSQL alike, what is told when it fails."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import uuid
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, text

from connectors.errors import StateError
from connectors.state import alerts
from connectors.state.store import HEAD, MIGRATIONS, StateStore
from connectors.state.tables import Choice, metadata
from jobs.alerts.incidents import acknowledge, read_state
from jobs.launches.scorecards import DECISIONS
from metrics.alerts.board import ENDS, STATES
from metrics.alerts.expected_range import Phase
from metrics.alerts.levels import SEVERITIES
from metrics.alerts.machine import State
from tests.conftest import NOW, ROOT, Builder, evaluate


def differences(connection: Connection) -> list[Any]:
    """Between the database and what the dataclasses declare: tables, columns, types, NULL, indexes, then keys."""
    for path in MIGRATIONS.parent.glob("[a-z]*.py"):
        import_module(f"connectors.state.{path.stem}")
    keys = {name: list(found.primary_key.columns.keys()) for name, found in metadata.tables.items()}
    made = {name: inspect(connection).get_pk_constraint(name)["constrained_columns"] for name in keys}
    odd = [(name, made[name], key) for name, key in keys.items() if made[name] != key]
    differences: list[Any] = compare_metadata(MigrationContext.configure(connection), metadata)
    return differences + odd


def test_migrations_make_what_the_dataclasses_say_and_the_newest_is_known(tmp_path: Path) -> None:
    store = StateStore(f"sqlite:///{tmp_path / 'state.sqlite'}")
    with store.reading() as connection:
        assert differences(connection) == []
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [HEAD]


def test_the_words_of_columns_are_all_that_is_written() -> None:
    def words(table: str, column: str) -> frozenset[str]:
        kind = metadata.tables[table].c[column].type
        assert isinstance(kind, Choice)
        return kind.words

    assert words("alert_standings", "state") == set(State) == set(STATES)
    assert words("alert_standings", "phase") == set(Phase)
    assert words("alert_incidents", "severity") == set(SEVERITIES)
    assert words("alert_incidents", "closed_why") == set(ENDS)
    assert words("launch_decisions", "decision") == set(DECISIONS)


def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    with StateStore(f"sqlite:///{path}").reading():
        pass
    with sqlite3.connect(path) as plain:
        plain.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StateError, match="newer version"), StateStore(f"sqlite:///{path}").reading():
        pass


def test_a_writer_that_fails_keeps_nothing(tmp_path: Path) -> None:
    store = StateStore(f"sqlite:///{tmp_path / 'state.sqlite'}")
    with pytest.raises(ZeroDivisionError), store.writing() as connection:
        alerts.add_silence(connection, alerts.Silence("k.low", None, NOW, "ana", NOW))
        raise ZeroDivisionError
    with store.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM alert_silences")).scalar() == 0


def test_processes_that_open_a_new_store_at_once_make_it_once(tmp_path: Path) -> None:
    code = (
        "import sys; from connectors.state.store import StateStore; from connectors.state import alerts\n"
        f"with StateStore('sqlite:///{tmp_path}/state.sqlite').writing() as c: print(len(alerts.standings(c)))"
    )
    command, pipe = [sys.executable, "-c", code], subprocess.PIPE
    all_of_them = [subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe) for _ in range(4)]
    assert [p.communicate()[1] for p in all_of_them] == [b""] * 4
    assert [p.returncode for p in all_of_them] == [0] * 4


@pytest.mark.parametrize("url", ["nothing://x", "sqlite:////no/such/folder/for/us\0/x"])
def test_an_address_that_cannot_be_used_is_told(url: str) -> None:
    with pytest.raises((StateError, ValueError, OSError)), StateStore(url).reading():
        pass


def fired(project: Builder, state: str) -> None:
    project.settings(f"name: Shop\nstate: '{state}'\n" if state else "name: Shop\n")
    days = pd.date_range("2026-11-01", periods=10) + pd.Timedelta(hours=12)
    project.rows("t", pd.DataFrame({"at": days, "v": [10.0] * 9 + [1.0]}), watermark="whole_days")
    project.kpi("k", 'dataset: t\nagg: sum\nexpr: v\nthresholds: {critical: "< 5"}')
    project.sync()


def facts(project: Builder) -> list[Any]:
    state = read_state(project.open(), now=NOW)
    return [
        [(i.rule_key, i.severity, i.peak_value, i.ack_by) for i in state.history],
        [(s.rule_key, s.state, s.value, s.threshold) for s in state.standings],
    ]


def test_postgresql_keeps_what_sqlite_keeps(project: Builder, tmp_path: Path, postgres: str) -> None:
    name = f"state_{uuid.uuid4().hex[:8]}"
    admin = create_engine(postgres, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    url = postgres.replace("/postgres?", f"/{name}?", 1)
    other = Builder(tmp_path / "other")
    for one, state in ((project, url), (other, "")):
        fired(one, state)
        evaluate(one.open(), now=NOW)
        acknowledge(one.open(), read_state(one.open(), now=NOW).open[0].id, by="ana", now=NOW)
    assert facts(project) == facts(other)
    assert facts(project)[0] == [("k.thresholds", "critical", 1.0, "ana")]
    assert not list(project.open().data.glob("state.sqlite*"))
    with project.open().state.reading() as connection:
        assert differences(connection) == []
    admin.dispose()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_was_in_the_outbox_before_webhooks_is_to_people(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'state.sqlite'}"
    if kind == "postgresql":
        name, server = f"state_{uuid.uuid4().hex[:8]}", request.getfixturevalue("postgres")
        admin = create_engine(server, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        admin.dispose()
        url = server.replace("/postgres?", f"/{name}?", 1)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    engine = create_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0006")
        connection.execute(
            text(
                "INSERT INTO alert_deliveries (contact, title, body, status, attempts, unknowns, created_at, next_at, "
                "host, error) VALUES ('team', 't', 'b', 'pending', 0, 0, '2026-11-23', '2026-11-23', '', '')"
            )
        )
    engine.dispose()
    store = StateStore(url)
    with store.writing() as connection:
        alerts.add_event(connection, "program", "incident.opened", "incident:1", "{}", NOW)
    with store.reading() as connection:
        assert differences(connection) == []
        found = alerts.due(connection, NOW + timedelta(days=1))
        assert [(m.contact, m.event, m.about) for m in found] == [
            ("team", "", ""),
            ("program", "incident.opened", "incident:1"),
        ]
        assert alerts.last_told(connection, "program", "incident.opened", "incident:1") == "{}"


def test_a_broken_store_never_fails_a_sync(project: Builder) -> None:
    fired(project, "")
    for path in project.open().data.glob("state.sqlite*"):
        path.unlink()
    (project.open().data / "state.sqlite").write_text("this is no database")
    result = project.sync(full=True)
    assert result.published and "alerts were not evaluated" in result.alerts[0]
    assert not result.failed


@pytest.mark.parametrize("place", [b"CREATE TABLE alembic_version", b"tablealert_silences", b"k.low"])
def test_damage_in_a_text_is_told_as_damage(tmp_path: Path, place: bytes) -> None:
    path = tmp_path / "state.sqlite"
    store = StateStore(f"sqlite:///{path}")
    with store.writing() as connection:
        alerts.add_silence(connection, alerts.Silence("k.low", None, NOW + timedelta(days=1), "ana", NOW))
    with store.reading() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    content = path.read_bytes()
    assert place in content
    path.write_bytes(content.replace(place, place[:-3] + b"\xff\xfe\xfd"))
    damaged = StateStore(f"sqlite:///{path}")
    with pytest.raises(StateError) as told, damaged.reading() as connection:
        alerts.silences(connection, NOW)
    assert "Nothing was overwritten" in told.value.hint
