"""Every page runs headless on the demo and on a project without data; a new file in pages/ is tested at once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from connectors.clock import set_clock, utc_now
from tests.conftest import NOW, ROOT, Builder

pytestmark = pytest.mark.breadth(8)

PAGES = sorted(p.stem for p in (ROOT / "pages").glob("*.py"))


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, page: str) -> AppTest:
    import streamlit as st

    from ui.shell import state

    state.changed()  # one server shows one project; this process shows many
    st.cache_resource.clear()
    st.cache_data.clear()
    monkeypatch.setenv("KPI_PROJECT", str(folder))
    monkeypatch.chdir(ROOT)
    app = AppTest.from_file(str(ROOT / "ui" / "main.py"), default_timeout=60).run()
    return app if page == "overview" else app.switch_page(f"../pages/{page}.py").run()


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs_on_the_demo(monkeypatch: pytest.MonkeyPatch, demo_folder: Path, page: str) -> None:
    app = run(monkeypatch, demo_folder, page)
    assert not app.exception and not app.error
    headings = [element.proto.body for element in app.get("html") if "<h1>" in element.proto.body]
    assert len(app.title) + len(headings) == 1, "one heading of the first level"


@pytest.mark.filterwarnings("default")
def test_a_demo_of_last_week_says_how_to_tell_it_anew(monkeypatch: pytest.MonkeyPatch, demo_folder: Path) -> None:
    def told() -> str:
        return " ".join(str(element.proto) for element in run(monkeypatch, demo_folder, "overview").get("html"))

    assert "This demo" not in told()
    set_clock(NOW + timedelta(days=7))
    assert f"story ends on 22 Nov 2026, so its data is late: `kpi demo {demo_folder}`" in told()


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", PAGES)
def test_a_page_without_data_teaches_the_next_step(
    monkeypatch: pytest.MonkeyPatch, project: Builder, page: str
) -> None:
    app = run(monkeypatch, project.folder, page)
    if page in ("account", "audit"):  # who asks, and what was done, is the same with data and without
        assert not app.exception and app.title[0].value == page.capitalize()
        return
    assert not app.exception and app.title[0].value == "No data yet"
    assert any("kpi init" in code.value for code in app.code)


@pytest.mark.filterwarnings("default")
def test_a_broken_definition_shows_its_place_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch, project: Builder
) -> None:
    (project.folder / "files" / "a.csv").write_text("at,x\n2026-11-02,1\n2026-11-03,1\n")
    project.source("- {name: t, type: files, table: t, path: files/a.csv}")
    project.write("datasets", "t", "name: t\nsource: t\ntime_dimension: at\n")
    project.kpi("good", "dataset: t\nagg: count")
    project.sync()
    project.kpi("bad", "dataset: t\nagg: cuont")
    app = run(monkeypatch, project.folder, "data")
    assert not app.exception and any("kpis/bad.yml:3" in e.value for e in app.error)
    overview = run(monkeypatch, project.folder, "overview")
    assert not overview.exception and overview.title[0].value == "1 of 2 with a definition error; Bad"


@pytest.mark.filterwarnings("default")
def test_a_held_definition_and_a_missed_sync_have_their_banners(
    monkeypatch: pytest.MonkeyPatch, project: Builder
) -> None:
    (project.folder / "files" / "a.csv").write_text("at,x\n2026-11-02,1\n2026-11-03,1\n")
    project.source("- {name: t, type: files, table: t, path: files/a.csv}")
    project.write("datasets", "t", "name: t\nsource: t\ntime_dimension: at\n")
    project.kpi("good", "dataset: t\nagg: count")
    project.kpi("hidden", "dataset: t\nagg: count\nstatus: draft")
    project.sync(now=utc_now() - timedelta(days=3))
    project.kpi("good", "dataset: t\nagg: count\nlable: Good")

    def shown(page: str) -> str:
        app = run(monkeypatch, project.folder, page)
        assert not app.exception
        return " ".join(str(element.proto) for element in app.get("html"))

    overview = shown("overview")
    assert "No sync since" in overview and "one is due every day" in overview
    assert "Good: the definition has an error, so the version published last is shown." in overview
    assert "Hidden" not in overview
    kpi = shown("kpi")
    assert "Its definition has an error" in kpi and "unknown key" in kpi
    assert "Draft" in shown("kpis") and "No sync since" in shown("data")
