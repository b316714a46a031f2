"""What people write: limits that the store itself holds, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st
from sqlalchemy import Connection

from connectors.errors import KpiError, StateError
from connectors.settings import Settings
from connectors.state import alerts, launches, snapshots
from connectors.state.limits import LIMITS, Limit
from jobs.alerts import incidents as job
from jobs.launches.registry import add
from jobs.project.undo import Scope, undoable
from tests.conftest import NOW, Builder
from tests.jobs.conftest import GOOD, LOW, day, make
from ui.shell import acts, state

Write = Callable[[Connection, int, str], None]


def launch(connection: Connection, number: int, text: str = "x") -> None:
    launches.put_launch(connection, launches.LaunchRow(f"l{number}", text, "ana", NOW, NOW))


def decision(connection: Connection, number: int, text: str = "x") -> None:
    launches.add_decision(connection, launches.Decision(f"l{number}", "keep", text, "ana", NOW))


def note(connection: Connection, number: int, text: str = "x") -> None:
    snapshots.add_note(connection, snapshots.NoteRow("weekly", f"w{number}", text, "ana", NOW))


def silence(connection: Connection, number: int, text: str = "x") -> None:
    alerts.add_silence(connection, alerts.Silence(f"k.r{number}", None, NOW + timedelta(1), text, NOW))


KINDS: dict[str, Write] = {
    "launches": launch, "launch_decisions": decision, "snapshot_notes": note, "alert_silences": silence,
}  # fmt: skip


@pytest.mark.parametrize("table", list(KINDS))
def test_the_store_itself_refuses_what_is_too_much(
    project: Builder, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    write, limit, store = KINDS[table], LIMITS[table], project.open().state

    def limited(**values: Any) -> Limit:
        made = replace(limit, **values)
        monkeypatch.setitem(LIMITS, table, made)
        return made

    with pytest.raises(StateError, match=f"{limit.letters:,} are the most"), store.writing() as connection:
        write(connection, 0, "x" * (limit.letters + 1))
    with store.writing() as connection:
        write(connection, 0, "x" * limit.letters)
    limited(a_minute=3)
    with pytest.raises(StateError, match=f"3 {limit.what} were written within a minute"), store.writing() as connection:
        for number in range(1, 5):
            write(connection, number, "x")
    limited(rows=3)
    with store.writing() as connection:
        write(connection, 1, "x")
        write(connection, 2, "x")
    with pytest.raises(StateError, match=f"there are 3 {limit.what}"), store.writing() as connection:
        write(connection, 3, "x")
    if table in ("launch_decisions", "snapshot_notes"):
        limited(each=1 + 1)
        with pytest.raises(StateError, match="of it"), store.writing() as connection:
            for _ in range(3):
                write(connection, 9, "x")
    if table in ("launches", "alert_silences"):  # what replaces another takes no more room
        with store.writing() as connection:
            write(connection, 1, "y")


def dump(project: Builder) -> dict[str, Any]:
    with project.open().state.reading() as connection:
        tables = (
            "alert_incidents",
            "alert_silences",
            "alert_normals",
            "alert_standings",
            "launches",
            "launch_decisions",
        )
        return {n: sorted(map(tuple, connection.exec_driver_sql(f"SELECT * FROM {n}"))) for n in tables}


def test_each_act_can_be_undone(project: Builder) -> None:
    make(project, {**GOOD, 5: 10}, LOW)
    project.sync(day(6))
    opened, at = project.open(), day(6)
    incident = Scope("alert_incidents", (("id", 1),))
    place = (("rule_key", "k.low"), ("segment", ""))
    silenced = Scope("alert_silences", (("rule_key", "k.low"), ("segment", None)))
    row, said = Scope("launches", (("name", "big"),)), Scope("launch_decisions", (("launch", "big"),))
    text = "name: big\nkind: note\non: 2026-11-03\n"

    def decided() -> None:
        with opened.state.writing() as connection:
            launches.add_decision(connection, launches.Decision("big", "keep", "why", "ana", at))

    done: list[tuple[list[Scope], Callable[[], object]]] = [
        ([incident], lambda: job.acknowledge(opened, 1, by="ana", now=at)),
        ([incident], lambda: job.mark(opened, 1, "noise", by="ana", now=at)),
        ([silenced], lambda: job.silence(opened, "k.low", at + timedelta(1), by="ana", now=at)),
        ([incident, Scope("alert_standings", place), Scope("alert_normals", place)],
         lambda: job.new_normal(opened, 1, by="ana", now=at)),
        ([row], lambda: add(opened, text, by="ana", now=at)),
        ([said], decided),
    ]  # fmt: skip
    for scopes, act in done:
        before = dump(project)
        undo = undoable(opened, "done", scopes, act)
        assert dump(project) != before
        undo.apply(opened, by="ana", now=at)
        assert dump(project) == before
        act()  # the next one begins where an act was


def test_what_somebody_else_changed_is_not_undone(project: Builder) -> None:
    make(project, {**GOOD, 5: 10}, LOW)
    project.sync(day(6))
    opened, at = project.open(), day(6)
    scope = Scope("alert_silences", (("rule_key", "k.low"), ("segment", None)))
    undo = undoable(opened, "x", [scope], lambda: job.silence(opened, "k.low", at + timedelta(1), by="a", now=at))
    job.silence(opened, "k.low", at + timedelta(2), by="b", now=at)
    before = dump(project)
    with pytest.raises(StateError, match="changed again meanwhile"):
        undo.apply(opened, by="ana", now=at)
    assert dump(project) == before


def test_a_session_and_all_of_them_are_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions: dict[str, Any] = {}
    monkeypatch.setattr(st, "session_state", sessions)
    monkeypatch.setattr(state, "served", lambda: SimpleNamespace(settings=Settings()))
    acts._all.clear()
    for _ in range(acts.A_MINUTE):
        acts.admit("decide", 1000.0)
    with pytest.raises(KpiError, match=f"you did {acts.A_MINUTE} things within a minute"):
        acts.admit("decide", 1030.0)
    acts.admit("decide", 1061.0)
    with pytest.raises(KpiError, match=f"all readers did {acts.ALL_A_MINUTE} things"):
        for _ in range(20):
            sessions.clear()
            for _ in range(acts.A_MINUTE - 1):
                acts.admit("decide", 1062.0)
    acts._all.clear()
