"""A rerun reads nothing: nothing reaches the engine, a worker or the state store; figures and files are made once."""

from __future__ import annotations

import gc
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import plotly.io
import pytest
from sqlalchemy import Engine, event

from connectors.cage.cage import Cage, Worker
from jobs.project.project import open_project
from tests.conftest import copied_demo
from tests.test_pages import PAGES, run
from ui.shell.once import _made, once
from ui.shell.plot import Plain
from ui.shell.views import MARKS, MOST, Key, Views

pytestmark = pytest.mark.breadth(5)

READS = (
    *("frame", "columns", "stored_values", "stored_series", "tables", "generations", "dataset_states"),
    *("published_files", "failures", "stored_definitions", "all_stored_definitions", "quarantine"),
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, own_demo: Path) -> Iterator[Counter[str]]:
    """What reaches the engine, its workers and the state store; it is answered all the same."""
    engines: type[Any] = type(open_project(own_demo).warehouse.reader())
    kinds: dict[type[Any], tuple[str, ...]] = {engines: READS, Worker: ("ask",), Cage: ("ask",)}
    calls: Counter[str] = Counter()

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def ask(*arguments: Any, **options: Any) -> Any:
            calls[name] += 1
            return function(*arguments, **options)

        return ask

    for kind, names in kinds.items():
        for name in names:
            monkeypatch.setattr(kind, name, counted(f"{kind.__name__}.{name}", getattr(kind, name)))

    def statement(_: Any, __: Any, text: str, *rest: Any) -> None:
        calls[f"state store: {text}"] += 1

    event.listen(Engine, "before_cursor_execute", statement)
    yield calls
    event.remove(Engine, "before_cursor_execute", statement)


@pytest.fixture(scope="module")
def own_demo(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo where nobody else writes to the state store."""
    return copied_demo(demo_folder, tmp_path_factory.mktemp("warm") / "demo")


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", [page for page in PAGES if page != "account"])  # which reads its tokens each time
def test_a_second_run_of_a_page_asks_nothing_and_draws_the_same(
    monkeypatch: pytest.MonkeyPatch, own_demo: Path, asked: Counter[str], page: str
) -> None:
    from ui.shell import state

    app = run(monkeypatch, own_demo, page)
    assert not app.exception and asked, "the first run reads, or this test sees nothing"
    gc.collect()  # SQLite writes to the store's file when a connection that an earlier page left behind is closed
    state.changed()
    app.run()
    first = [str(element.proto) for element in app.get("plotly_chart")]
    asked.clear()
    made = dict(_made)
    app.run()
    assert not app.exception and asked == {}
    assert _made.keys() == made.keys() and all(_made[key] is made[key] for key in made)
    assert [str(element.proto) for element in app.get("plotly_chart")] == first
    if page in ("kpi", "launch", "launches"):
        assert first and made


def test_a_plain_figure_is_sent_as_it_was() -> None:
    figure = go.Figure()
    figure.add_scatter(
        x=["2026-11-01", "2026-11-02", "2026-11-03"], y=[0.1 + 0.2, float("nan"), 1e-300], name="<a> & é"
    )
    figure.add_hline(y=3, line={"color": "red"}, annotation={"text": "limit"})
    figure.update_layout(height=380, legend={"title": None})
    plain = Plain(figure)
    assert plotly.io.to_json(plain.to_dict(), validate=False) == plotly.io.to_json(figure, validate=False)
    assert plain.to_dict() is plain.to_dict(), "nothing is copied"


@dataclass(frozen=True)
class View:
    """What a page would show."""

    words: str


def test_what_is_made_of_a_view_goes_with_it() -> None:
    made: list[str] = []
    view, other = View("a"), View("a")

    def make() -> str:
        made.append("once")
        return "figure"

    assert [once("figure", make, view) for _ in range(3)] == ["figure"] * 3 and len(made) == 1
    once("figure", make, view, other)
    once("figure", make, other)
    assert len(made) == 3, "equal is not the same: another view may say something else tomorrow"
    before = len(_made)
    del other
    gc.collect()
    assert len(_made) == before - 2
    with pytest.raises(ZeroDivisionError):
        once("broken", lambda: 1 / 0, view)
    assert once("broken", lambda: 1.0, view) == 1.0, "what failed is tried again"


def key(name: object) -> Key:
    return str(name), "everyone", (), ()


def test_views_of_older_marks_and_the_least_asked_ones_go() -> None:
    views, one = Views(), key("one")
    for mark in "abc":
        assert views.get(mark, one, mark.upper) == mark.upper()
    assert views.get("c", one, lambda: "anew") == "C" and views.get("b", one, lambda: "anew") == "B"
    assert views.get("a", one, lambda: "anew") == "anew" and MARKS == 2
    for number in range(MOST + 1):
        views.get("a", key(number), lambda: 0)
    assert views.get("a", key(MOST), lambda: 1) == 0 and views.get("a", key(0), lambda: 1) == 1
    with pytest.raises(ZeroDivisionError):
        views.get("a", key("broken"), lambda: 1 / 0)
    assert views.asked("a", within=60)[:2] == [key(0), key(MOST)], "what failed is no view"
    assert views.asked("a", within=-1) == views.asked("no such mark", within=60) == []
    assert views.get("a", key("broken"), lambda: 2) == 2


def test_who_asks_for_a_view_that_is_being_made_waits_and_nobody_else_does() -> None:
    views, going, made = Views(), threading.Event(), []

    def slow() -> str:
        made.append("slow")
        assert going.wait(20)
        return "done"

    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(views.get("m", key("slow"), slow))) for _ in range(4)]
    for thread in threads:
        thread.start()
    while not made:
        time.sleep(0.001)
    assert views.get("m", key("other"), lambda: "at once") == "at once" and found == []
    going.set()
    for thread in threads:
        thread.join(20)
    assert found == ["done"] * 4 and made == ["slow"]
