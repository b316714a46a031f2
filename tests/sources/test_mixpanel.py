"""Mixpanel's export against a fake of it: days and zones, duplicates, late events, exports that break off, budgets."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from connectors.sources import mixpanel
from connectors.sources.rest import budget
from connectors.warehouse.names import quoted
from tests.conftest import KPI, NOW, Builder
from tests.fakes.mixpanel import PASSWORD, PROJECT, SECRET, USER, Event, Mixpanel
from tests.fakes.server import Fake, impatient

pytestmark = pytest.mark.breadth(2)
DAY = timedelta(days=1)
EXAMPLE = """\
{"event":"Signed Up","properties":{"time":1794045661,"distinct_id":"u-77","$insert_id":"aB3","mp_processing_time_ms":\
1794045671234,"$user_id":"77","$device_id":"d-1","plan":"pro","seats":3,"tags":["a","b"]}}
{"event":"Viewed Report","properties":{"time":1794045700,"distinct_id":"$device:d-2","$insert_id":"cD4",\
"mp_processing_time_ms":1794045702000,"$device_id":"d-2"}}
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of milliseconds, and no budget but where it is what is tested."""
    impatient(monkeypatch)
    monkeypatch.setattr(mixpanel, "LIMITS", ((100_000, 1.0),))


@pytest.fixture
def vendor() -> Mixpanel:
    return Mixpanel(NOW)


@pytest.fixture
def served(vendor: Mixpanel) -> Iterator[Fake]:
    with Fake(vendor.app) as fake:
        yield fake


def source(served: Fake, more: str = "", *, start: str = "2026-11-05") -> str:
    lines = [
        "- name: product\n  type: mixpanel\n  table: events",
        f"  url: {served.url}\n  start: {start}",
        f"  user: {USER}\n  password: {PASSWORD}\n  project_id: {PROJECT}" if "secret:" not in more else "",
        more,
    ]
    return "\n".join(line for line in lines if line)


def event(number: int, at: datetime, **more: Any) -> Event:
    return Event(f"did {number % 3}", at.replace(microsecond=0), f"u{number % 7}", f"k{number}", more)


def table(project: Builder, *columns: str) -> list[tuple[Any, ...]]:
    names = ", ".join(map(quoted, columns or ("event", "distinct_id", "time", "insert_id", "properties")))
    frame = project.open().reader().frame(f"SELECT {names} FROM events")
    return sorted(map(tuple, frame.astype(object).where(frame.notna(), None).itertuples(index=False)), key=str)


def held(project: Builder) -> list[tuple[Any, ...]]:
    """The rows without what Mixpanel says twice."""
    said = ("time", "distinct_id", "$insert_id", "mp_processing_time_ms")
    found = []
    for name, user, at, insert_id, properties in table(project):
        more = {k: v for k, v in json.loads(properties).items() if k not in said}
        found.append((name, user, f"{at:%Y-%m-%d %H:%M:%S}", insert_id or "", json.dumps(more, sort_keys=True)))
    return sorted(found)


def truth(vendor: Mixpanel) -> list[tuple[Any, ...]]:
    last = {one.key if one.insert_id else (one.key, n): one for n, one in enumerate(vendor.received)}
    until = vendor.now.astimezone(vendor.zone).date()
    return sorted(
        (
            *(one.event, one.distinct_id, f"{one.at:%Y-%m-%d %H:%M:%S}", one.insert_id),
            json.dumps(one.more, sort_keys=True),
        )
        for one in last.values()
        if one.at.astimezone(vendor.zone).date() <= until
    )


def asked(served: Fake, since: int = 0) -> list[tuple[str, str]]:
    """Days of the requests that were answered."""
    queries = [parse_qs(one.query) for one in served.seen[since:] if not one.fault]
    return [(query["from_date"][0], query["to_date"][0]) for query in queries]


def test_the_documented_answer_is_read(project: Builder) -> None:
    with Fake(Starlette(routes=[Route("/api/2.0/export", lambda _: PlainTextResponse(EXAMPLE))])) as served:
        project.source(
            source(served, "  properties: {plan: plan, seats: {path: seats, type: INTEGER}}", start="2026-11-22")
        )
        assert not project.sync().failed
    first, second = table(project, "event", "time", "insert_id", "user_id", "plan", "seats", "processed_at")
    assert first[0] == "Signed Up" and str(first[1]) == "2026-11-07 10:01:01" and first[2:5] == ("aB3", "77", "pro")
    assert first[5] == 3 and str(first[6]) == "2026-11-07 10:01:11.234000"
    assert second[0] == "Viewed Report" and second[2:6] == ("cD4", None, None, None)
    read = project.open().reader().frame("SELECT properties ->> 'plan' AS plan FROM events ORDER BY \"time\"")
    assert read["plan"][0] == "pro"


def test_nothing_new_asks_once_and_publishes_nothing(project: Builder, vendor: Mixpanel, served: Fake) -> None:
    vendor.received = [event(n, NOW - n * timedelta(hours=7)) for n in range(40)]
    project.source(source(served))
    assert project.sync().published and held(project) == truth(vendor)
    before = len(served.seen)
    again = project.sync(now=NOW + timedelta(minutes=5))
    assert not again.published and not again.failed and again.sources[0].rows == 0
    assert asked(served, before) == [("2026-11-18", "2026-11-23")]


def test_a_pull_that_fails_goes_on_where_it_stopped(project: Builder, vendor: Mixpanel, served: Fake) -> None:
    vendor.received = [event(n, NOW - n * timedelta(hours=11)) for n in range(130)]
    vendor.now = NOW - timedelta(days=40)
    project.source(source(served, start="2026-09-20"))
    first = project.sync(now=vendor.now)
    rows, vendor.now = held(project), NOW
    served.faults.next = ["", "", ""] + ["500"] * 60
    before = len(served.seen)
    failed = project.sync()
    assert failed.failed and held(project) == rows and failed.sources[0].cursor == first.sources[0].cursor
    done, before = asked(served, before), len(served.seen)
    assert len(done) == 3
    served.faults.next = []
    assert not project.sync().failed and held(project) == truth(vendor)
    assert not set(done) & set(asked(served, before))
    assert not list((project.folder / "data" / "pulls").glob("*"))


def test_days_that_may_still_fill_do_not_wait(project: Builder, vendor: Mixpanel, served: Fake) -> None:
    """What came late between an attempt that failed and the next one is there, however much later that is."""
    vendor.received = [event(n, NOW - n * timedelta(hours=11)) for n in range(25)]
    project.source(source(served, "  window: 1d", start="2026-11-10"))
    served.faults.next = [""] * 10 + ["500"] * 60
    assert project.sync().failed and ("2026-11-18", "2026-11-18") in asked(served)
    served.faults.next, vendor.now = [], NOW + 6 * DAY
    vendor.received.append(event(99, NOW - 4.5 * DAY))
    assert not project.sync(now=vendor.now).failed and held(project) == truth(vendor)


@pytest.mark.slow
def test_a_pull_that_is_killed_goes_on_where_it_stopped(project: Builder, vendor: Mixpanel, served: Fake) -> None:
    vendor.received = [event(n, NOW - n * timedelta(hours=11)) for n in range(110)]
    project.source(source(served, start="2026-10-01"))
    command = [*KPI, "sync", "--project", str(project.folder)]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    waiting = project.folder / "data" / "pulls"
    while len(list(waiting.rglob("*.jsonl"))) < 3:
        assert killed.poll() is None
        time.sleep(0.005)
    killed.kill()
    killed.wait()
    there, before = {path.stem for path in waiting.rglob("*.jsonl")}, len(served.seen)
    assert not project.sync().failed and held(project) == truth(vendor)
    for first, last in asked(served, before):
        end = f"{datetime.fromisoformat(last) + DAY:%Y%m%dT%H%M%S}"
        assert f"{first.replace('-', '')}T000000-{end}" not in there


def test_a_revoked_key_is_told_in_words_and_is_nowhere(project: Builder, vendor: Mixpanel, served: Fake) -> None:
    project.source(source(served))
    vendor.received = [event(1, NOW - DAY)]
    project.sync()
    vendor.revoked = True
    failed = project.sync()
    said = failed.sources[0].error
    assert "does not accept the key for /api/2.0/export (HTTP 401): Unable to authenticate request" in said
    assert "a role in the project" in said
    for path in (p for p in (project.folder / "data").rglob("*") if p.is_file()):
        assert PASSWORD.encode() not in path.read_bytes(), path
    assert PASSWORD not in f"{failed} {failed.sources}"
    assert held(project) == truth(vendor)


def test_the_secret_of_a_project_is_a_key_too(project: Builder, vendor: Mixpanel, served: Fake) -> None:
    vendor.received = [event(1, NOW - DAY)]
    project.source(source(served, f"  secret: {SECRET}"))
    assert not project.sync().failed and held(project) == truth(vendor)
    assert project.open().sources.all()["product"].probe() == "answers, and accepts the key"


def test_no_more_is_asked_than_mixpanel_allows(
    project: Builder, vendor: Mixpanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixpanel, "LIMITS", ((5, 0.5),))
    vendor.received = [event(n, NOW - n * DAY) for n in range(15)]
    with Fake(vendor.app, budget=((5, 0.4),)) as fake:
        project.source(source(fake, "  window: 1d"))
        assert not project.sync().failed and fake.too_many == 0 and len(fake.seen) == 19
    assert held(project) == truth(vendor)


def test_a_first_pull_beyond_the_hours_budget_goes_on_later(
    project: Builder, vendor: Mixpanel, served: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixpanel, "LIMITS", ((10, 3600.0),))
    vendor.received = [event(n, NOW - n * DAY) for n in range(15)]
    project.source(source(served, "  window: 1d"))
    said = project.sync().sources[0].error
    assert "budget of requests is used up" in said and "goes on where this one stopped" in said
    assert project.sync().failed and len(served.seen) == 10, "the same hour"
    monkeypatch.setattr(budget, "_shared", {})  # an hour later
    assert not project.sync().failed and held(project) == truth(vendor) and len(served.seen) == 19


def test_an_export_that_breaks_off_is_asked_for_again(project: Builder, vendor: Mixpanel, served: Fake) -> None:
    vendor.received = [event(n, NOW - n * timedelta(hours=3)) for n in range(20)]
    project.source(source(served))
    vendor.early = 3
    assert not project.sync().failed and held(project) == truth(vendor)
    vendor.early = 1000
    said = project.sync(now=NOW + timedelta(hours=1)).sources[0].error
    assert "an export that is not whole; it ends with: export terminated early" in said


def test_times_count_by_the_clock_of_the_project(project: Builder, vendor: Mixpanel, served: Fake) -> None:
    """Summer, winter, and an event on each side of midnight; days are those of the project."""
    vendor.zone = ZoneInfo("America/Los_Angeles")
    moments = [(7, 1, 12), (11, 23, 2), (11, 22, 8), (11, 22, 7), (11, 10, 0)]
    vendor.received = [event(n, datetime(2026, *at, tzinfo=UTC)) for n, at in enumerate(moments)]
    project.source(source(served, "  timezone: America/Los_Angeles", start="2026-07-01"))
    assert not project.sync().failed and held(project) == truth(vendor)
    assert asked(served)[-1][1] == "2026-11-22", "it is still the 22nd there"
    wrong = Builder(project.folder.parent / "wrong")
    wrong.source(source(served, "  timezone: UTC", start="2026-07-01"))
    assert "to_date cannot be later than today" in wrong.sync().sources[0].error


def test_kpis_read_its_columns_and_properties(project: Builder, vendor: Mixpanel, served: Fake) -> None:
    vendor.received = [event(n, NOW - n * timedelta(hours=5), plan="pro" if n % 3 else "free") for n in range(40)]
    vendor.received += vendor.received[:9]
    project.source(source(served, start="2026-11-14"))
    project.write(
        "datasets",
        "events",
        "name: events\nsource: events\ntime_dimension: time\nentity: distinct_id\n"
        "dimensions: {plan: \"properties ->> 'plan'\"}",
    )
    project.kpi("actives", "type: simple\nlabel: Actives\ndataset: events\nagg: count_distinct\nexpr: distinct_id")
    assert not project.sync().problems
    wanted: dict[tuple[str, str], set[str]] = {}
    for one in vendor.received:
        wanted.setdefault((one.more["plan"], f"{one.at:%Y-%m-%d}"), set()).add(one.distinct_id)
    values = {key: value for key, value in project.values("actives", by="plan", grain="day").items() if value}
    assert values == {key: len(users) for key, users in wanted.items()}


def test_some_events_only_and_a_property_that_comes_later(project: Builder, vendor: Mixpanel, served: Fake) -> None:
    vendor.received = [event(n, NOW - DAY) for n in range(6)]
    project.source(source(served, "  events: [did 1]\n  properties: {tier: {path: plan.name}}"))
    project.sync()
    assert [row[0] for row in held(project)] == ["did 1", "did 1"]
    vendor.received.append(event(7, NOW, **{"plan.name": "gold"}))
    project.sync(now=NOW + timedelta(minutes=1))
    assert {row[0] for row in table(project, "tier")} == {None, "gold"}


def test_an_answer_without_events_is_told(project: Builder) -> None:
    app = Starlette(routes=[Route("/api/2.0/export", lambda _: PlainTextResponse('{"status": 1, "error": "busy"}'))])
    with Fake(app) as served:
        project.source(source(served))
        assert 'it ends with: {"status": 1, "error": "busy"}' in project.sync().sources[0].error


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("user: me", "`user`, `password` and `project_id`"),
        ("secret: abc\n  timezone: Mars/Olympus", "'Mars/Olympus' is no time zone"),
        ("secret: abc\n  lookback: 6h", "Mixpanel exports whole days"),
        ("secret: abc\n  load: append", "merged by `primary_key`"),
        ("secret: abc\n  properties: [event]", "'event' is a column already"),
        ("secret: abc\n  properties: {a: 7}", "a property is its name"),
    ],
)
def test_options_that_do_not_fit_are_told_with_their_line(project: Builder, line: str, words: str) -> None:
    project.source(f"- name: a\n  type: mixpanel\n  table: a\n  start: 2026-01-01\n  {line}\n")
    problems = project.open().sources.read()[1]
    assert any(words in f"{p.message} {p.hint}" and p.line >= 1 for p in problems), problems
