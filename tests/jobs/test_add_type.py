"""`kpi add source TYPE`: what is asked for, what is refused, what is written. Values: tests/sources/test_set_up.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from connectors.errors import KpiError, ProjectError
from connectors.sources.contract import Question
from jobs.authoring.add_type import add_type, starters
from tests.conftest import NOW, Builder
from tests.fakes import ga4, posthog, stripe, zendesk
from tests.fakes.histories import history
from tests.fakes.server import Fake, impatient

pytestmark = pytest.mark.breadth(2)
SET = {"project_id": posthog.PROJECT, "start": "2026-10-01"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)
    monkeypatch.setenv("POSTHOG_API_KEY", posthog.KEY)
    monkeypatch.setenv("STRIPE_KEY", stripe.KEY)
    monkeypatch.setenv("ZENDESK_TOKEN", zendesk.TOKEN)


def vendor(kind: str) -> Fake:
    return Fake(history(kind, NOW).vendor.app)


def added(project: Builder, url: str) -> list[str]:
    return list(add_type(project.open(), "posthog", {**SET, "url": url}, None))


def entries(project: Builder) -> dict[str, dict[str, object]]:
    """Name → entry of sources.yml."""
    return {entry["name"]: entry for entry in YAML(typ="safe").load(project.folder / "sources.yml")}


def test_what_is_pulled_from_a_day_on_is_whole_from_then_on(project: Builder) -> None:
    with vendor("posthog") as fake:
        said = added(project, fake.url)
        entry = entries(project)["posthog"]
        assert entry["start"] == entry["since"] and f"{entry['since']}" == "2026-10-01"
        assert said[0].startswith("posthog answers") and any("7 KPIs" in line for line in said)
        given = {**SET, "url": fake.url, "since": "2026-11-01", "api_key": "POSTHOG_API_KEY"}
        list(add_type(project.open(), "posthog", given, None, "later"))
    assert f"{entries(project)['later']['since']}" == "2026-11-01"


def test_a_key_that_is_a_file_is_named_by_its_path(project: Builder) -> None:
    with vendor("ga4") as fake:
        (project.folder / "mine.json").write_text(ga4.key_file(fake.url))
        given = {"property_id": "123456789", "key_file": "mine.json", "start": "2026-10-01", "url": fake.url}
        list(add_type(project.open(), "ga4", given, None))
        with pytest.raises(KpiError, match="cannot be used: FileNotFoundError"):
            list(add_type(project.open(), "ga4", {**given, "key_file": "other.json"}, None, "other"))
    made = entries(project)
    assert sorted(made) == ["ga4_channels", "ga4_users"]
    assert made["ga4_users"]["auth"] == {"type": "google_service_account", "key_file": "mine.json"}


def test_a_key_without_the_right_to_a_later_table_writes_nothing(project: Builder) -> None:
    made = history("stripe", NOW).vendor
    made.forbidden = "charges"
    with Fake(made.app) as fake, pytest.raises(KpiError, match="does not have the required permissions"):
        list(add_type(project.open(), "stripe", {"url": fake.url}, None))
    assert not (project.folder / "sources.yml").exists()


def test_a_dataset_of_that_name_is_not_overwritten(project: Builder) -> None:
    mine: Path = project.folder / "datasets" / "stripe_months.yml"
    mine.write_text("name: stripe_months\nsource: mine\ntime_dimension: at\n")
    with pytest.raises(ProjectError, match="'stripe_months' already exists"):
        list(add_type(project.open(), "stripe", {}, None))


def test_what_is_missing_is_asked_for(project: Builder) -> None:
    asked: list[tuple[str, str]] = []

    def ask(question: Question, proposal: str) -> str:
        asked.append((question.option, proposal))
        return {"project_id": posthog.PROJECT, "start": "2026-10-01"}.get(question.option, proposal)

    with vendor("posthog") as fake:
        list(add_type(project.open(), "posthog", {"url": fake.url}, ask))
    assert asked == [("project_id", ""), ("api_key", "POSTHOG_API_KEY"), ("start", "")]
    assert 'api_key: "${POSTHOG_API_KEY}"' in (project.folder / "sources.yml").read_text()


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        ("posthog", {"start": "2026-10-01"}, "posthog needs `project_id`"),
        ("posthog", {"project_id": "1", "api_key": "phx_a_real_key_123", "start": "2026-10-01"}, "no variable"),
        ("posthog", {"project_id": "1", "start": "soon"}, "start"),
        ("posthog", {"project": "1"}, "posthog has no option 'project'"),
        ("files", {}, "is not set up by questions"),
        ("zendesk", {"email": "a@b.c", "url": "http://127.0.0.1:9"}, "does not answer"),
    ],
)
def test_what_does_not_work_writes_nothing(project: Builder, kind: str, given: dict[str, str], words: str) -> None:
    before = sorted(p.name for p in project.folder.rglob("*.yml"))
    with pytest.raises(KpiError, match=words) as error:
        list(add_type(project.open(), kind, given, None))
    assert "phx_a_real_key_123" not in str(error.value)
    assert sorted(p.name for p in project.folder.rglob("*.yml")) == before


def test_a_second_one_needs_a_name(project: Builder) -> None:
    with vendor("posthog") as fake:
        added(project, fake.url)
        with pytest.raises(ProjectError, match="already exists"):
            added(project, fake.url)
        variables = {**SET, "url": fake.url, "api_key": "POSTHOG_API_KEY"}
        list(add_type(project.open(), "posthog", variables, None, "staging"))
    assert {"daily_active_users", "staging_daily_active_users"} <= {p.stem for p in (project.folder / "kpis").glob("*")}
    assert len(starters()) >= 7


@pytest.mark.parametrize(
    "variable", ["STATE_URL", "OTHERS_KEY", "KPI_AUDIT_KEY", "AWS_SECRET_ACCESS_KEY", "${STATE_URL}"]
)
def test_a_page_sends_no_key_of_others_to_an_address_of_its_choice(
    project: Builder, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable.strip("${}"), "a key of somebody else")
    project.settings("timezone: UTC\nwarehouse: duckdb\n# state: ${STATE_URL}\n")
    project.source("- {name: other, type: sql, table: t, url: '${OTHERS_KEY}', query: SELECT 1}")
    kept = (project.folder / "sources.yml").read_text()
    with vendor("posthog") as fake:
        given = {**SET, "url": fake.url, "api_key": variable}
        with pytest.raises(ProjectError, match="is not this source's"):
            list(add_type(project.open(), "posthog", given, None, by="eve"))
        assert not fake.counted()
    assert (project.folder / "sources.yml").read_text() == kept
