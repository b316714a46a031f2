"""What pages show when something changes from outside: what was shown, whole, until the new is made; then that."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pandas as pd
import pytest

from jobs.project.as_of import AsOf
from jobs.project.project import open_project
from tests.conftest import NOW, Builder
from ui.shell import live as module
from ui.shell.live import Live, Shown


class World:
    """What a look finds, and what was made ready."""

    def __init__(self) -> None:
        self.now = Shown("a", "files")
        self.looks = 0
        self.made: list[tuple[str, str]] = []
        self.going = threading.Event()
        self.going.set()
        self.live = Live(self.look, self.ready)

    def look(self) -> Shown:
        self.looks += 1
        if self.now.mark == "broken":
            raise ZeroDivisionError
        return self.now

    def ready(self, old: Shown, new: Shown, until: float) -> None:
        self.made.append((old.mark, new.mark))
        assert self.going.wait(20)

    def stepping(self) -> threading.Thread:
        """A step of the watcher that is in the middle of making views."""
        step = threading.Thread(target=self.live.step)
        step.start()
        while not self.made:
            time.sleep(0.001)
        return step


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(module, "KNOWN", timedelta(hours=1))  # only the watcher looks
    return World()


def test_the_new_is_shown_when_its_views_are_made(world: World) -> None:
    assert world.live.shown().mark == "a"
    world.now = Shown("b", "files")
    assert world.live.shown().mark == "a" and world.made == []
    world.going.clear()
    step = world.stepping()
    assert world.live.shown().mark == "a", "the new is being made"
    world.going.set()
    step.join(20)
    assert world.live.shown().mark == "b" and world.made == [("a", "b")]
    world.live.step()
    assert world.made == [("a", "b")], "nothing is new"


def test_who_changed_something_sees_it_at_once(world: World) -> None:
    world.live.shown()
    world.now = Shown("b", "files")
    world.live.changed()
    assert world.live.shown().mark == "b" and world.made == []


def test_what_a_session_changed_while_views_were_made_stays(world: World) -> None:
    world.live.shown()
    world.now = Shown("b", "files")
    world.going.clear()
    step = world.stepping()
    world.now = Shown("c", "files")
    world.live.changed()
    assert world.live.shown().mark == "c"
    world.going.set()
    step.join(20)
    assert world.live.shown().mark == "c"


def test_an_edited_file_is_shown_at_once(world: World) -> None:
    world.live.shown()
    world.now = Shown("b", "other files")
    world.live.step()
    assert world.live.shown().mark == "b" and world.made == []


def test_views_that_take_too_long_keep_nobody_waiting(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    monkeypatch.setattr(module, "READY", timedelta(seconds=0.05))
    world.live.shown()
    world.now = Shown("b", "files")
    world.going.clear()
    step = world.stepping()
    time.sleep(0.06)
    assert world.live.shown().mark == "b"
    world.going.set()
    step.join(20)
    assert world.live.shown().mark == "b"


def test_where_nobody_asks_nobody_looks(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    world.live.step()
    assert world.looks == 0
    world.live.shown()
    monkeypatch.setattr(module, "ASKED", timedelta(0))
    world.live.step()
    assert world.looks == 1


def test_what_a_look_raises_is_told_to_who_asks_and_the_watcher_goes_on(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    monkeypatch.setattr(module, "EVERY", timedelta(seconds=0.001))
    monkeypatch.setattr(module, "KNOWN", timedelta(seconds=0.05))
    world.live.shown()
    world.live.watch()
    world.now = Shown("broken", "files")
    time.sleep(0.1)
    with pytest.raises(ZeroDivisionError):
        world.live.shown()
    world.now = Shown("b", "files")
    ends = time.monotonic() + 20
    while world.live._last.shown.mark != "b" and time.monotonic() < ends:
        time.sleep(0.001)
    assert world.live._last.shown.mark == "b", "the watcher found it"


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, project: Builder) -> Iterator[Builder]:
    """A project of one event that pages show."""
    from ui.shell import state

    project.rows("events", pd.DataFrame({"at": [pd.Timestamp("2026-11-20")]}))
    project.kpi("n", "dataset: events\nagg: count\ngrains: [day]")
    project.sync(now=NOW)
    opened = open_project(project.folder)
    monkeypatch.setattr(state, "served", lambda: opened)
    monkeypatch.setattr(state, "as_of", lambda: AsOf(opened))
    state.changed()
    yield project
    state.changed()


def publish(project: Builder, *, rows: int) -> None:
    frame = pd.DataFrame({"at": [pd.Timestamp("2026-11-20")] * rows})
    frame.to_parquet(project.folder / "files" / "events.parquet", index=False)
    project.sync(now=NOW + timedelta(hours=1))


def test_views_of_one_mark_are_of_one_generation(monkeypatch: pytest.MonkeyPatch, counted: Builder) -> None:
    from ui.shell import state

    monkeypatch.setattr(module, "KNOWN", timedelta(hours=1))
    made: list[str] = []

    @state.cached_view
    def rows(name: str) -> tuple[str, int, str]:
        made.append(name)
        reader = state.context().reader
        found = int(reader.frame("SELECT count(*) AS n FROM events")["n"][0])
        return name, found, state.context().catalogue.kpi("n").name

    assert rows("a") == ("a", 1, "n")
    publish(counted, rows=3)
    assert rows("b") == ("b", 1, "n"), "made after the publish, for those who see what was before it"
    assert state.project().reader().frame("SELECT count(*) AS n FROM events")["n"][0] == 3
    made.clear()
    state.live.step()
    assert made == ["b", "a"], "the latest first, before anybody asks"
    assert (rows("a"), rows("b"), made) == (("a", 3, "n"), ("b", 3, "n"), ["b", "a"])


def test_what_cannot_be_made_ready_is_told_to_who_asks(monkeypatch: pytest.MonkeyPatch, counted: Builder) -> None:
    from ui.shell import state

    monkeypatch.setattr(module, "KNOWN", timedelta(hours=1))
    broken = False

    @state.cached_view
    def view() -> str:
        if broken:
            raise ZeroDivisionError
        return "fine"

    assert view() == "fine"
    publish(counted, rows=2)
    broken = True
    assert view() == "fine"
    state.live.step()
    with pytest.raises(ZeroDivisionError):
        view()
