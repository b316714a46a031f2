"""What a role does not see is on no way out: pages, files, snapshots, alerts' messages, other sessions' views."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from connectors.errors import UnknownName, Withheld
from connectors.state.alerts import deliveries
from jobs.access.audience import part_of
from jobs.access.person import Person
from jobs.alerts.board import board, firing_of, unattended
from jobs.alerts.incidents import read_state
from jobs.launches.board import scorecard_dict, shown
from jobs.project.project import Project, open_project
from jobs.snapshots.archived import document_of, rows_of
from jobs.snapshots.render import MIMES, render
from jobs.snapshots.restatements import restated_since
from jobs.snapshots.send import send
from jobs.snapshots.take import take_by_hand
from metrics.engine.answer import answer
from metrics.engine.query import Query
from metrics.kpi_views.card import card
from metrics.kpi_views.kpi_page import kpi_page
from metrics.presentation import export
from tests.conftest import NOW, ROOT, Builder
from tests.jobs.conftest import Web, serving
from tests.snapshots.test_forms import pdf_text
from tests.test_pages import run

# Days and weeks of all rows, and a KPI that the role has not; not a piece of an identifier.
FOREIGN = re.compile(r"(?<![\w.])(77[.,]?[78]|544[.,]?[34])[\d.,]*[kM]?(?!\w)|Margin")
SETTINGS = """
timezone: UTC
sign_in: true
sign_in_proxy: {addresses: [127.0.0.2]}
roles:
  - {name: boss, members: ["group:boss"], base: admin}
  - {name: de, members: ["group:de"], base: editor, row_filters: {country: DE}, hidden_kpis: [margin]}
  - {name: looking, members: ["group:looking"], base: viewer, exports: false, pages: [kpis]}
contact_points:
  - {name: all, url: "%(url)s"}
  - {name: team, url: "%(url)s", role: de}
"""
KPIS = {
    "orders": "dataset: orders\nagg: sum\nexpr: qty\nowner: ana\ntargets: [{value: 20}]\nalerts:\n"
    '  - {name: much, thresholds: {critical: "> 70000"}, notify: [all, team]}\n'
    '  - {name: each, thresholds: {critical: "> 5"}, by: [country], notify: [all, team]}',
    "buyers": "dataset: orders\nagg: count_distinct\nexpr: user_id",
    "margin": "label: Margin\ndataset: orders\nagg: sum\nexpr: qty * 0.2",
    "visits": "label: Visits\ndataset: visits\nagg: count",
}
LAUNCH = "label: New shop\non: 2026-10-26\nsuccess: [{kpi: orders}, {kpi: margin}]\nowner: all\n"


@dataclass(frozen=True)
class World:
    folder: Path
    web: Web

    def open(self) -> Project:
        return open_project(self.folder)

    def part(self) -> Project:
        return part_of(self.open(), "de")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with serving() as web:
        yield made(Builder(tmp_path_factory.mktemp("ways") / "project"), web)


def made(project: Builder, web: Web) -> World:
    days = pd.date_range("2026-10-01", "2026-11-22", freq="D") + pd.Timedelta(hours=9)
    small = pd.DataFrame({"at": days, "country": "DE", "user_id": range(1, len(days) + 1), "qty": 13})
    large = pd.DataFrame({"at": days, "country": "FR", "user_id": range(100, 100 + len(days)), "qty": 77_760})
    project.settings(SETTINGS % {"url": web.url})
    rows = pd.concat([small, large], ignore_index=True)
    project.rows("orders", rows, entity="user_id", dimensions="[country]")
    project.rows("visits", pd.concat([rows[["at"]]] * 3, ignore_index=True))
    for name, text in KPIS.items():
        project.kpi(name, text)
    project.write("launches", "shop", f"name: shop\n{LAUNCH}")
    (project.folder / "snapshots").mkdir()
    for name, more in (("all_of_it", ""), ("german", "role: de\nrecipients: [team]\n")):
        text = f"name: {name}\ntitle: {name}\nschedule: {{wait: 0d}}\n{more}"
        (project.folder / "snapshots" / f"{name}.yml").write_text(text)
    project.sync(NOW)
    return World(project.folder, web)


def clean(text: str) -> None:
    found = FOREIGN.search(text)
    assert found is None, text[max(0, found.start() - 200) : found.end() + 100]


@pytest.fixture
def as_role(monkeypatch: pytest.MonkeyPatch, world: World) -> Iterator[Callable[[str, str], AppTest]]:
    """A page as somebody of a group sees it. The door and the cookie have tests of their own (tests/web)."""

    def opened(group: str, page: str) -> AppTest:
        who = f"{group}@example.com"
        someone = Person(who, who, who, frozenset([group]), who)
        monkeypatch.setattr("ui.shell.signed.person", lambda *_: someone)
        return run(monkeypatch, world.folder, page)

    yield opened
    st.cache_resource.clear()  # whoever acts next in this process is nobody of these


def told(app: AppTest) -> str:
    """Everything that a browser is sent."""

    def each(node: Any) -> Iterator[str]:
        proto = getattr(node, "proto", None)
        if proto is not None:
            yield str(proto)
        value = getattr(node, "value", None)
        if isinstance(value, pd.DataFrame):
            yield value.to_csv()
        for child in getattr(node, "children", {}).values():
            yield from each(child)

    return " ".join(each(app._tree))


@pytest.mark.breadth(3, whole=True)
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", ["overview", "kpis", "kpi", "launches", "launch", "alerts", "snapshots", "account"])
def test_a_page_has_nothing_of_other_rows(as_role: Callable[[str, str], AppTest], page: str) -> None:
    whole = told(as_role("boss", page))
    assert page == "account" or FOREIGN.search(whole), "the test would see it"
    app = as_role("de", page)
    assert not app.exception and not app.error
    clean(told(app))


@pytest.mark.filterwarnings("default")
def test_pages_that_a_role_has_not_are_not_there(as_role: Callable[[str, str], AppTest]) -> None:
    with pytest.raises(ValueError, match="navigation page"):
        as_role("de", "data")
    with pytest.raises(ValueError, match="navigation page"):
        as_role("looking", "alerts")
    assert as_role("boss", "data").title[0].value and not as_role("looking", "kpis").exception
    app = as_role("nobody", "overview")
    assert "may not see this dashboard" in app.error[0].value and len(app.title) == 1


@pytest.mark.filterwarnings("default")
def test_views_of_one_session_are_not_those_of_another(
    monkeypatch: pytest.MonkeyPatch, as_role: Callable[[str, str], AppTest], world: World
) -> None:
    """Without the caches cleared in between: one server, two people, in both orders."""
    first = as_role("boss", "overview")
    for group, foreign in (("de", False), ("boss", True), ("de", False)):
        someone = Person(group, group, f"{group}@example.com", frozenset([group]))
        monkeypatch.setattr("ui.shell.signed.person", lambda *_, who=someone: who)
        found = told(AppTest.from_file(str(ROOT / "ui" / "main.py"), default_timeout=60).run())
        assert bool(FOREIGN.search(found)) is foreign
    assert not first.exception


@pytest.mark.filterwarnings("default")
def test_a_kpi_without_values_says_why(monkeypatch: pytest.MonkeyPatch, as_role: Callable[[str, str], AppTest]) -> None:
    app = as_role("de", "overview")
    app.query_params["kpi"] = "visits"
    found = app.switch_page("../pages/kpi.py").run()
    assert found.title[0].value == "Visits" and not found.error
    assert "has no dimension" in told(found) and "by which your rows are chosen" in told(found)


def test_values_and_their_files_are_of_the_rows(world: World) -> None:
    context = world.part().context(NOW)
    page = kpi_page(context, "orders")
    for text in (page.csv, page.card.value, json.dumps(export.as_dict(page.series), default=str)):
        clean(text)
    assert page.card.value == "13"
    assert card(context, "visits").status.label == "Not shown"
    for name, error in (("margin", UnknownName), ("visits", Withheld)):
        with pytest.raises(error):
            answer(Query(name), context.catalogue, context.reader)


def test_a_launch_is_read_of_the_rows(world: World) -> None:
    part = world.part()
    for text in (shown(part, "shop", now=NOW, html=True), shown(part, "shop", now=NOW, html=False)):
        clean(text)
    card = scorecard_dict(part, "shop", now=NOW)
    assert [row["kpi"] for row in card["kpis"]] == ["orders"] and card["kpis"][0]["readings"] == []
    assert scorecard_dict(world.open(), "shop", now=NOW)["kpis"][0]["readings"], "published of all rows"


def test_incidents_are_those_of_the_rows(world: World) -> None:
    state, whole = read_state(world.part(), now=NOW), read_state(world.open(), now=NOW)
    assert {row.segment for row in state.standings} == {"DE"} and not (state.open or state.history or state.contacts)
    assert {row.segment for row in whole.standings} == {"", "DE", "FR"} and whole.open and whole.history
    (item,) = board(world.part(), now=NOW).firing  # although the incident that stands for it is of all rows
    assert (item.segment, item.value, item.incident) == ("DE", "13", 0)
    assert [i.segment for i in unattended(world.part(), now=NOW)] == ["DE"]
    assert [i.segment for i in firing_of(world.part(), "orders", now=NOW)] == ["DE"]


def test_messages_tell_a_contact_what_its_role_sees(world: World) -> None:
    with world.open().state.reading() as connection:
        sent = {m.contact: f"{m.title} {m.body}" for m in deliveries(connection)}
    assert FOREIGN.search(sent["all"])
    clean(sent["team"])
    assert "DE" in sent["team"]


def test_a_snapshot_for_a_role_has_its_rows_and_no_other_reaches_it(world: World) -> None:
    part, whole = world.part(), world.open()
    assert {row.name for row in rows_of(part)} == {"german"} and {row.name for row in rows_of(whole)} > {"german"}
    document = document_of(part, "german")
    assert document.role == "de" and {line.kpi for line in document.lines} == {"orders", "buyers", "visits"}
    for form in sorted({*MIMES} - {"pdf", "png"}):
        clean(render(part, document, form, now=NOW).decode())
        clean(render(whole, document, form, now=NOW).decode())
    assert not restated_since(whole, document, now=NOW), "held against the same rows"
    assert {line.status for line in document.lines if line.kpi == "visits"} == {"withheld"}
    assert render(part, document, "png", now=NOW)
    clean(pdf_text(render(part, document, "pdf", now=NOW)))
    assert FOREIGN.search(pdf_text(render(whole, document_of(whole, "all_of_it"), "pdf", now=NOW))), "it would be seen"
    with pytest.raises(UnknownName):
        document_of(part, "all_of_it")
    with pytest.raises(Withheld, match="may not see this snapshot"):
        send(whole, document_of(whole, "all_of_it"), ["team"], by="me")
    again = take_by_hand(whole, "german", "", by="me", now=NOW + timedelta(hours=1))
    clean(json.dumps(again.as_dict()))
