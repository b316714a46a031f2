"""The form of the page Data that adds a source: for editors, against an API, without a key on the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import NOW, Builder
from tests.fakes import posthog
from tests.fakes.histories import history
from tests.fakes.server import Fake, impatient
from tests.test_pages import run

pytestmark = [pytest.mark.breadth(1), pytest.mark.filterwarnings("default")]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    impatient(monkeypatch)
    with Fake(history("posthog", NOW).vendor.app) as fake:
        yield fake


def opened(monkeypatch: pytest.MonkeyPatch, project: Builder, editors: str) -> AppTest:
    project.settings(f"timezone: UTC\neditors: {editors}\n")
    return run(monkeypatch, project.folder, "data")


def filled(app: AppTest, served: Fake, variable: str) -> AppTest:
    app.selectbox(key="source_kind").select("posthog").run()
    answers = {"project_id": posthog.PROJECT, "api_key": variable, "start": "2026-10-01", "url": served.url}
    for option, answer in answers.items():
        app.text_input(key=f"source_posthog_{option}").input(answer)
    return app.button(key="add_source").click().run()


def test_an_editor_adds_a_product_and_its_kpis(monkeypatch: pytest.MonkeyPatch, project: Builder, served: Fake) -> None:
    monkeypatch.setenv("MY_POSTHOG", posthog.KEY)
    app = filled(opened(monkeypatch, project, "[everybody]"), served, "MY_POSTHOG")
    assert not app.exception and not app.error, [error.value for error in app.error]
    assert "with 7 KPIs" in app.success[0].value
    assert "${MY_POSTHOG}" in (project.folder / "sources.yml").read_text()
    assert posthog.KEY not in str(app.main) + (project.folder / "sources.yml").read_text()
    assert not project.sync(now=NOW).failed
    assert project.values("daily_active_users", grain="day")


def test_what_is_wrong_is_said_and_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch, project: Builder, served: Fake
) -> None:
    monkeypatch.delenv("POSTHOG_API_KEY", raising=False)
    app = filled(opened(monkeypatch, project, "[everybody]"), served, posthog.KEY)
    assert "no variable of the environment holds `api_key`" in app.error[0].value
    assert posthog.KEY not in app.error[0].value
    monkeypatch.setenv("MY_POSTHOG", "phx_of-somebody-else")
    app = filled(app, served, "MY_POSTHOG")
    assert "401" in app.error[0].value and "phx_of" not in app.error[0].value
    assert not (project.folder / "sources.yml").exists() and not list((project.folder / "kpis").iterdir())


@pytest.mark.parametrize("editors", ["[]", "[ana@example.com]"])
def test_who_is_no_editor_has_no_form(monkeypatch: pytest.MonkeyPatch, project: Builder, editors: str) -> None:
    monkeypatch.setenv("USER", "ana@example.com")  # of the server's process, not of the reader
    app = opened(monkeypatch, project, editors)
    assert not app.exception and not app.text_input and "kpi add source" in " ".join(m.value for m in app.markdown)
