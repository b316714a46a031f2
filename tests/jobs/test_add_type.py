"""From `kpi add source TYPE` to filled KPIs in four typed lines, against the fakes; values against plain pandas."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from connectors.errors import KpiError, ProjectError
from connectors.sources import amplitude as amplitude_source
from connectors.sources import mixpanel as mixpanel_source
from connectors.sources.contract import Question
from jobs.authoring.add_type import add_type, starters
from tests.conftest import NOW, Builder, run_cli
from tests.fakes import amplitude, mixpanel, posthog, zendesk
from tests.fakes.server import Fake, impatient
from tests.sampling import SEED

pytestmark = pytest.mark.breadth(2)
DAYS = 40
KEYS = {
    "posthog": {"POSTHOG_API_KEY": posthog.KEY},
    "mixpanel": {"MIXPANEL_PASSWORD": mixpanel.PASSWORD},
    "amplitude": {"AMPLITUDE_API_KEY": amplitude.API_KEY, "AMPLITUDE_SECRET_KEY": amplitude.SECRET_KEY},
    "zendesk": {"ZENDESK_TOKEN": zendesk.TOKEN},
}
SET = {
    "posthog": {"project_id": posthog.PROJECT, "start": "2026-10-01"},
    "mixpanel": {"user": mixpanel.USER, "project_id": mixpanel.PROJECT, "start": "2026-10-01"},
    "amplitude": {"start": "2026-10-01"},
    "zendesk": {"email": zendesk.EMAIL},
}
EVENTS = ("posthog", "mixpanel", "amplitude")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)
    for source in (mixpanel_source, amplitude_source):
        monkeypatch.setattr(source, "LIMITS", ((100_000, 1.0),))
    for variables in KEYS.values():
        for name, value in variables.items():
            monkeypatch.setenv(name, value)


def happened() -> pd.DataFrame:
    """Moments and people of forty days, whole days before NOW."""
    chance = random.Random(f"{SEED} events")
    rows = []
    for back in range(DAYS, 0, -1):
        for person in range(30):
            for _ in range(chance.choice([0, 0, 0, 1, 2])):
                at = NOW.replace(hour=0, minute=0) - timedelta(days=back) + timedelta(seconds=chance.randrange(86_400))
                rows.append((at, f"p{person}", chance.choice(["opened", "saved"])))
    return pd.DataFrame(rows, columns=["at", "who", "event"])


@contextmanager
def vendor(kind: str) -> Iterator[Fake]:
    """A fake that holds what happened."""
    made: Any
    frame = happened()
    if kind == "posthog":
        made = posthog.Posthog()
        made.events = [
            posthog.Event(f"0193-{n:04}", r.at.to_pydatetime(), r.event, f"d-{r.who}", r.who)
            for n, r in enumerate(frame.itertuples())
        ]
    elif kind == "mixpanel":
        made = mixpanel.Mixpanel(NOW)
        made.received = [
            mixpanel.Event(r.event, r.at.to_pydatetime(), r.who, f"k{n}") for n, r in enumerate(frame.itertuples())
        ]
    elif kind == "amplitude":
        made = amplitude.Amplitude(NOW)
        made.events = [
            amplitude.Event(f"0193-{n:04}", r.at.to_pydatetime(), r.at.to_pydatetime(), r.event, r.who)
            for n, r in enumerate(frame.itertuples())
        ]
    else:
        made = tickets()
    with Fake(made.app) as fake:
        yield fake


def tickets() -> zendesk.Zendesk:
    chance = random.Random(f"{SEED} tickets")
    made = zendesk.Zendesk(int(NOW.timestamp()) - 30 * 86_400)
    for number in range(60):
        key = made.open(requester_id=chance.randrange(20), priority="normal")
        if chance.random() < 0.8:
            made.reply(key, chance.randrange(1, 600))
        if chance.random() < 0.5:
            made.rate(key, chance.choice(["good", "bad", "offered"]), requester_id=number)
        made.now += 40_000
    made.delete(7)
    made.now = int(NOW.timestamp())
    return made


def added(project: Builder, kind: str, url: str) -> list[str]:
    return list(add_type(project.open(), kind, {**SET[kind], "url": url}, None))


def weekly(frame: pd.DataFrame) -> dict[str, int]:
    weeks = frame["at"].dt.tz_localize(None).dt.to_period("W").dt.start_time
    return {f"{week:%Y-%m-%d}": int(n) for week, n in frame.groupby(weeks)["who"].nunique().items()}


@pytest.mark.parametrize("kind", EVENTS)
def test_values_of_events_equal_a_count_by_pandas(project: Builder, kind: str) -> None:
    frame = happened()
    with vendor(kind) as fake:
        said = added(project, kind, fake.url)
        assert not project.sync(now=NOW).failed
    opened = project.open()
    catalogue = opened.catalogue(opened.reader())
    assert catalogue.problems == () and len(catalogue.kpis) == 7, catalogue.problems
    days = frame.groupby(frame["at"].dt.strftime("%Y-%m-%d"))["who"].nunique().to_dict()
    assert {d: v for d, v in project.values("daily_active_users").items() if v} == days
    found = {d: v for d, v in project.values("weekly_active_users").items() if v}
    assert found == {d: n for d, n in weekly(frame).items() if d in found} and len(found) >= 5
    count = frame.groupby(frame["at"].dt.tz_localize(None).dt.to_period("W").dt.start_time)["who"].size()
    for week, value in project.values("events_per_user").items():
        if value:
            assert value == pytest.approx(count[pd.Timestamp(week)] / weekly(frame)[week])
    for kpi in ("stickiness", "week_1_retention", "quick_ratio", "monthly_active_users"):
        assert any(value is not None for value in project.values(kpi).values()), kpi
    assert said[0].startswith(kind) and any("7 KPIs" in line for line in said)


def test_values_of_tickets_equal_a_count_by_pandas(project: Builder) -> None:
    made = tickets()
    with vendor("zendesk") as fake:
        added(project, "zendesk", fake.url)
        assert not project.sync(now=NOW).failed
    opened = project.open()
    assert opened.catalogue(opened.reader()).problems == ()
    known = pd.DataFrame([t for t in made.tickets.values() if t["status"] != "deleted"])
    at = pd.to_datetime(known["created_at"]).dt.tz_localize(None)
    assert sum(v for v in project.values("new_tickets").values() if v) == len(known) == 59
    weeks = at.dt.to_period("W").dt.start_time
    minutes = known["metric_set"].map(lambda m: m.get("reply_time_in_minutes", {}).get("calendar"))
    for week, value in project.values("first_reply_minutes").items():
        if value is not None:
            assert value == minutes[weeks == pd.Timestamp(week)].dropna().astype(float).median()
    scores = [r["score"] for r in made.ratings.values()]
    total = project.values("csat", grain="total")["total"]
    assert total == pytest.approx(scores.count("good") / (scores.count("good") + scores.count("bad")))


@pytest.mark.parametrize("kind", KEYS)
def test_four_typed_lines_fill_the_overview(
    project: Builder, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, kind: str
) -> None:
    folder = str(tmp_path / "new")
    monkeypatch.setenv("KPI_NOW", NOW.isoformat())
    with vendor(kind) as fake:
        given = {**SET[kind], "url": fake.url}.items()
        answers = [part for key, value in given for part in ("--set", f"{key}={value}")]
        lines = [  # after:  export POSTHOG_API_KEY=…
            ["init", folder],
            ["add", "source", kind, *answers, "--project", folder],
            ["sync", "--project", folder],
        ]
        for line in lines:
            done = run_cli(*line)
            assert done.returncode == 0, done.stderr
    listed = run_cli("list", "--json", "--project", folder)
    assert listed.returncode == 0 and listed.stdout.count('"name"') >= 5
    written = "".join(p.read_text() for p in (tmp_path / "new").rglob("*.yml"))
    assert not [value for value in KEYS[kind].values() if value in written], "no key is in a file"


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
        added(project, "posthog", fake.url)
        with pytest.raises(ProjectError, match="already exists"):
            added(project, "posthog", fake.url)
        variables = {**SET["posthog"], "url": fake.url, "api_key": "POSTHOG_API_KEY"}
        list(add_type(project.open(), "posthog", variables, None, "staging"))
    assert {"daily_active_users", "staging_daily_active_users"} <= {p.stem for p in (project.folder / "kpis").glob("*")}
    assert len(starters()) >= 4
