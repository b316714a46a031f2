"""The page Audit, files that are taken from pages, and sessions: who may see it, and what is recorded of them."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from connectors.errors import StateError
from connectors.state.audit import Act
from jobs.access.person import Person
from jobs.audit.listing import Search, listed
from jobs.audit.record import record_alone
from tests.audit.logs import Attacker
from tests.conftest import NOW, Builder
from tests.test_pages import run
from ui.audit.download import recorded
from ui.shell import sessions, state

OPEN = "timezone: UTC\neditors: [everybody]\n"


def written(project: Builder, settings: str, count: int = 3) -> Builder:
    project.settings(settings)
    opened = project.open()
    for number in range(count):
        who = "ana@example.com" if number % 2 else "<b>bob</b>"
        record_alone(opened.state, Act("exported", f"kpi:k{number}", who), NOW)
    return project


def shown(app: AppTest) -> str:
    assert not app.exception
    return " ".join(element.proto.body for element in app.get("html"))


def subjects(app: AppTest) -> list[str]:
    return [part.split("<")[0] for part in shown(app).split("<td>") if part.startswith("kpi:")]


@pytest.mark.filterwarnings("default")
def test_who_may_sees_what_is_recorded_and_searches_it(monkeypatch: pytest.MonkeyPatch, project: Builder) -> None:
    written(project, OPEN, 103)
    app = run(monkeypatch, project.folder, "audit")
    assert "103 entries, as they were written." in shown(app)
    assert "&lt;b&gt;bob&lt;/b&gt;" in shown(app) and "<b>bob</b>" not in shown(app)
    assert subjects(app)[0] == "kpi:k102" and len(subjects(app)) == 100
    app.button(key="audit_older").click().run()
    assert subjects(app) == ["kpi:k2", "kpi:k1", "kpi:k0"]
    app.text_input(key="audit_who").set_value("ANA").run()
    assert subjects(app)[0] == "kpi:k101", "another search begins at its latest"
    app.text_input(key="audit_subject").set_value("k51").run()
    assert subjects(app) == ["kpi:k51"]
    app.text_input(key="audit_from").set_value("soon").run()
    assert "'soon' is no day or time" in app.error[0].value
    app.text_input(key="audit_from").set_value("2026-11-24").run()
    assert "Nothing is recorded that fits." in shown(app)


@pytest.mark.filterwarnings("default")
def test_who_may_not_sees_nothing_of_it(monkeypatch: pytest.MonkeyPatch, project: Builder) -> None:
    app = run(monkeypatch, written(project, "timezone: UTC\n").folder, "audit")
    assert "It is for those whom settings.yml names under editors, or whose role may read it." in shown(app)
    assert subjects(app) == [] and not app.text_input and not app.get("download_button")


@pytest.mark.filterwarnings("default")
def test_the_page_says_what_was_changed(monkeypatch: pytest.MonkeyPatch, project: Builder) -> None:
    written(project, OPEN)
    attacker = Attacker(project.open().data, random.Random(1))
    attacker.rows[1][2] = "eve"
    attacker.keep(attacker.rows[:])
    told = shown(run(monkeypatch, project.folder, "audit"))
    assert "The audit is not what was written: 1 finding." in told and "entry 2 is not what was written" in told


def test_a_file_is_recorded_before_it_is_handed_out(monkeypatch: pytest.MonkeyPatch, project: Builder) -> None:
    written(project, "timezone: UTC\n", 1)
    opened = project.open()
    monkeypatch.setattr(state, "project", lambda: opened)
    monkeypatch.setattr(state, "who", lambda: "ana@example.com")
    take = recorded("kpi:k", "csv", lambda: "period,value\n")
    assert len(listed(opened.state, Search()).entries) == 1, "a button that is only drawn is no file"
    assert take() == "period,value\n"
    entry = listed(opened.state, Search()).entries[0]
    assert (entry.what, entry.subject, entry.who) == ("exported", "kpi:k", "ana@example.com")
    assert json.loads(entry.details) == {"form": "csv"}
    opened.state.keys.file.write_text("short")  # type: ignore[union-attr]
    with pytest.raises(StateError):
        recorded("kpi:k", "csv", lambda: pytest.fail("made without an entry"))()


class Context:
    """What a browser sends."""

    def __init__(self, **cookies: str) -> None:
        self.cookies: Mapping[str, str] = cookies
        self.headers: Mapping[str, str] = {}


def test_a_session_is_recorded_once_also_by_the_next_server(monkeypatch: pytest.MonkeyPatch, project: Builder) -> None:
    project.settings("timezone: UTC\nsign_in: true\nsign_in_domains: [example.com]\n")
    opened, ana = project.open(), Person("ana@example.com", "ana@example.com", "ana@example.com")
    eve = Person("eve@evil.example", "eve@evil.example", "eve@evil.example")

    def visit(person: Person, why: str, **cookies: str) -> None:
        monkeypatch.setattr(st, "context", Context(**cookies))
        sessions.note_session(opened, person, why)

    cookie: dict[str, Any] = {"_streamlit_user": "secret-of-ana", "theme": "dark"}
    for _ in range(3):
        visit(ana, "", **cookie)
    visit(ana, "", **cookie | {"theme": "light"})
    sessions._known.clear()  # another process
    visit(ana, "", **cookie)
    visit(ana, "", _streamlit_user="of another day")
    for _ in range(2):
        visit(eve, "it is for others.", _streamlit_user="of eve")
    found = [*listed(opened.state, Search()).entries][::-1]
    assert [(e.what, e.who) for e in found] == [
        ("signed_in", "ana@example.com"),
        ("signed_in", "ana@example.com"),
        ("sign_in_refused", "eve@evil.example"),
    ]
    assert "secret-of-ana" not in str(found) and {e.via for e in found} == {"page"}


def test_a_proxy_s_people_are_recorded_once_a_day(monkeypatch: pytest.MonkeyPatch, project: Builder) -> None:
    project.settings("timezone: UTC\nsign_in: true\nsign_in_proxy: {addresses: [10.0.0.7]}\n")
    opened, ana = project.open(), Person("ana@example.com", "ana@example.com", "ana@example.com")
    monkeypatch.setattr(st, "context", Context())
    for _ in range(2):
        sessions._known.clear()
        sessions.note_session(opened, ana, "")
    assert [e.what for e in listed(opened.state, Search()).entries] == ["signed_in"]


def test_a_damaged_store_lets_people_see_the_pages(monkeypatch: pytest.MonkeyPatch, project: Builder) -> None:
    project.settings("timezone: UTC\nsign_in: true\n")
    opened = project.open()
    opened.data.mkdir()
    (opened.data / "state.sqlite").write_text("this is no database")
    monkeypatch.setattr(st, "context", Context(_streamlit_user="x"))
    sessions.note_session(opened, Person("ana", "ana"), "")
    assert (opened.data / "state.sqlite").read_text() == "this is no database"
