"""Reading once: how many statements a view takes, whatever the number of KPIs; and views made once a generation."""

from __future__ import annotations

import dataclasses
import gc
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from connectors.clock import set_clock
from connectors.warehouse.remembering import RememberingReader
from jobs.project.as_of import AsOf
from jobs.project.project import open_project
from metrics.engine.data_context import DataContext
from metrics.kpi_views.overview import overview
from metrics.snapshots import week as weeks
from metrics.snapshots.inputs import WeekInputs
from metrics.snapshots.taking import Circumstances, missing, take, unpublished
from tests.conftest import NOW, Builder, copied_demo
from tests.test_pages import PAGES, run

pytestmark = pytest.mark.breadth(5)


class Counting:
    """A reader that counts the statements that reach the engine."""

    def __init__(self, reader: Any) -> None:
        self._reader, self.statements = reader, Counter[str]()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._reader, name)
        if not callable(found):
            return found

        def asked(*arguments: Any) -> Any:
            self.statements[name] += 1
            return found(*arguments)

        return asked


def counted(folder: Path) -> tuple[DataContext, Counter[str]]:
    """A fresh world over a reader that counts."""
    project = open_project(folder)
    context = project.context(NOW)
    reader = Counting(context.reader._reader)  # type: ignore[attr-defined]
    return dataclasses.replace(context, reader=RememberingReader(reader)), reader.statements


def test_the_overview_takes_five_statements_at_most(demo_folder: Path) -> None:
    context, statements = counted(demo_folder)
    first = overview(context)
    assert len(first.cards) == 14 and 0 < statements.total() <= 5, statements
    asked = statements.total()
    assert overview(context) == first and statements.total() == asked


def test_two_hundred_kpis_take_no_more_than_fourteen(project: Builder) -> None:
    rows = [(pd.Timestamp("2026-11-01") + pd.Timedelta(days=n), n % 3) for n in range(22)]
    project.rows("events", pd.DataFrame(rows, columns=["at", "x"]), dimensions="{}")
    for number in range(60):
        project.kpi(f"k{number}", "dataset: events\nagg: count\ngrains: [day]")
    project.sync()
    context, statements = counted(project.folder)
    assert len(overview(context).cards) == 60 and statements.total() <= 5, statements


def test_a_snapshot_takes_sixteen_statements_at_most(demo_folder: Path) -> None:
    context, statements = counted(demo_folder)
    inputs, catalogue = WeekInputs(context), context.catalogue
    snapshot, week = catalogue.snapshots[0], weeks.last_over(NOW, catalogue.timezone, catalogue.week_start_days)
    assert unpublished(inputs, snapshot) == () and missing(inputs, snapshot, week) is not None
    made = take(inputs, snapshot, week, Circumstances("Larkspur", "ana", NOW))
    assert made.sections and 0 < statements.total() <= 16, statements


def test_a_series_that_was_let_go_is_read_again(demo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.warehouse.remembering.MOST_SERIES", 1)
    context, statements = counted(demo_folder)
    reader, sequence = context.reader, context.reader.generation.sequence
    first = reader.stored_values("sign_ups", "day", "", sequence)
    assert first is not None and reader.stored_values("activation", "week", "", sequence) is not None
    again = reader.stored_values("sign_ups", "day", "", sequence)
    assert again is not None and again.definition == first.definition
    pd.testing.assert_frame_equal(again.frame, first.frame)
    assert statements["stored_series"] == 3
    assert reader.stored_values("no_such_kpi", "day", "", sequence) is None


@pytest.fixture(scope="module")
def own_demo(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo where no other worker closes the state store, by which SQLite writes to its file."""
    return copied_demo(demo_folder, tmp_path_factory.mktemp("own") / "demo")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """How often each view of a page is computed."""
    from ui.shell import state

    calls: Counter[str] = Counter()
    original = state.cached_view

    def counting(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def computed(*arguments: Any, **options: Any) -> Any:
            calls[f"{Path(function.__code__.co_filename).stem}.{function.__qualname__}{arguments}"] += 1
            return function(*arguments, **options)

        return original(computed)

    monkeypatch.setattr(state, "cached_view", counting)
    yield calls
    state.changed()


@pytest.mark.breadth(3)
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", [p for p in PAGES if p != "launch"])
def test_a_view_is_made_once_a_generation(
    monkeypatch: pytest.MonkeyPatch, own_demo: Path, made: Counter[str], page: str
) -> None:
    from ui.shell import state

    app = run(monkeypatch, own_demo, page)
    assert not app.exception and made
    gc.collect()  # SQLite writes to the store's file when a connection that an earlier page left behind is closed
    state.changed()
    app.run()
    first = Counter(made)
    for minutes in (3, 30, 300):
        set_clock(NOW + timedelta(minutes=minutes))
        state.changed()  # as if the second had passed within which nothing is looked at again
        assert not app.run().exception
    assert made == first, "made again, although neither data nor arguments changed"


def test_time_changes_a_view_when_it_changes_what_is_true(demo_folder: Path) -> None:
    as_of = AsOf(open_project(demo_folder))
    assert as_of(NOW) == as_of(NOW + timedelta(hours=5)), "nothing is late yet, and it is the same day"
    assert as_of(NOW) != as_of(NOW + timedelta(days=1)), "a launch is one day older"
    late = as_of(NOW + timedelta(days=9))
    assert late[2] != as_of(NOW)[2] and late[3], "data is late, and a sync overdue"


@pytest.mark.filterwarnings("default")
def test_an_age_on_a_page_goes_on_although_its_view_is_kept(
    monkeypatch: pytest.MonkeyPatch, demo_folder: Path, made: Counter[str]
) -> None:
    app = run(monkeypatch, demo_folder, "overview")

    def line() -> str:
        return str(next(e.proto.body for e in app.get("html") if "loaded" in e.proto.body))

    before = line()
    set_clock(NOW + timedelta(hours=2))
    app.run()
    assert "loaded just now" in before and "loaded 2 h ago" in line()


def test_a_store_that_cannot_be_read_leaves_pages_that_need_none(project: Builder) -> None:
    project.rows("events", pd.DataFrame({"at": [pd.Timestamp("2026-11-20")]}))
    project.kpi("n", "dataset: events\nagg: count\ngrains: [day]")
    project.sync(now=NOW)
    (project.folder / "data" / "state.sqlite").write_bytes(b"no database" * 100)
    assert AsOf(project.open())(NOW)[0] == NOW.date()


def test_an_edit_of_any_file_reaches_views(monkeypatch: pytest.MonkeyPatch, project: Builder) -> None:
    from ui.shell import state

    project.rows("events", pd.DataFrame({"at": [pd.Timestamp("2026-11-20")]}))
    project.kpi("n", "dataset: events\nagg: count\ngrains: [day]")
    opened = open_project(project.folder)
    monkeypatch.setattr(state, "served", lambda: opened)
    monkeypatch.setattr(state, "as_of", lambda: AsOf(opened))
    for path in (project.folder / "sources.yml", project.folder / "kpis" / "n.yml"):
        state.changed()
        before = state.shown().mark
        assert state.shown().mark == before
        path.write_text(path.read_text() + "# more\n")
        state.changed()
        assert state.shown().mark != before, path.name
    state.changed()


def test_a_look_that_a_sync_overtook_is_not_kept(monkeypatch: pytest.MonkeyPatch, project: Builder) -> None:
    from ui.shell import state

    opened = open_project(project.folder)
    monkeypatch.setattr(state, "served", lambda: opened)

    def overtaken() -> Callable[[Any], tuple[object, ...]]:
        state.changed()  # another session has synced while this one looks
        return lambda now: ("before", now)

    monkeypatch.setattr(state, "as_of", overtaken)
    state.changed()
    assert "before" in state.shown().mark
    monkeypatch.setattr(state, "as_of", lambda: lambda now: ("after", now))
    assert "after" in state.shown().mark
    state.changed()
