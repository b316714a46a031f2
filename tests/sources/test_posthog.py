"""PostHog's query endpoint against a fake of it: pages by key, late events, zones, persons that are merged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from connectors.sources import posthog
from connectors.sources.rest import budget
from connectors.warehouse.names import quoted
from tests.conftest import NOW, Builder
from tests.fakes.posthog import KEY, PROJECT, Event, Posthog
from tests.fakes.server import Fake, impatient

pytestmark = pytest.mark.breadth(2)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EXAMPLE = {
    "cache_key": "cache_1",
    "columns": ["uuid", "event", "timestamp", "created_at", "distinct_id", "person_id", "$session_id", "properties"],
    "error": None,
    "hasMore": False,
    "hogql": "SELECT uuid …",
    "is_cached": False,
    "limit": 10000,
    "offset": 0,
    "results": [
        [
            "0193-a",
            "$pageview",
            "2026-11-22T09:00:00.120000+01:00",
            "2026-11-22T08:00:02.000000Z",
            "u1",
            "018f-p",
            "0193-s",
            '{"$current_url":"https://example.com/","plan":"pro","price":9.5,"nested":{"a":[1,2]}}',
        ]
    ],
    "types": [["uuid", "UUID"], ["timestamp", "DateTime64(6, 'Europe/Berlin')"]],
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of milliseconds, and no budget but where it is what is tested."""
    impatient(monkeypatch)
    monkeypatch.setattr(posthog, "A_MINUTE", 100_000)


@pytest.fixture
def vendor() -> Posthog:
    return Posthog()


@pytest.fixture
def served(vendor: Posthog) -> Iterator[Fake]:
    with Fake(vendor.app) as fake:
        yield fake


def source(served: Fake, more: str = "", *, start: str = "2026-11-15", resource: str = "events") -> str:
    begins = f"\n  start: {start}" if resource == "events" else ""
    return (
        f"- name: {resource}\n  type: posthog\n  table: {resource}\n  url: {served.url}\n  project_id: {PROJECT}\n"
        f"  api_key: {KEY}\n  resource: {resource}{begins}\n{more}"
    )


def event(number: int, at: Any, **more: Any) -> Event:
    return Event(f"{number * 7919 % 9973:04d}-uuid", at, distinct_id=f"d{number % 7}", **more)


def table(project: Builder, name: str, *columns: str) -> list[tuple[Any, ...]]:
    frame = project.open().reader().frame(f"SELECT {', '.join(map(quoted, columns))} FROM {name}")
    return sorted(map(tuple, frame.astype(object).where(frame.notna(), None).itertuples(index=False)), key=str)


def held(project: Builder) -> list[tuple[Any, ...]]:
    rows = table(project, "events", "uuid", "event", "timestamp", "distinct_id", "person_id", "properties")
    return [(*row[:2], f"{row[2]:%Y-%m-%d %H:%M:%S.%f}", *row[3:5], json.loads(row[5])) for row in rows]


def truth(vendor: Posthog, now: Any = NOW) -> list[tuple[Any, ...]]:
    found = [
        (e.uuid, e.event, f"{e.at:%Y-%m-%d %H:%M:%S.%f}", e.distinct_id, e.person_id, e.properties)
        for e in {e.uuid: e for e in vendor.events}.values()
        if e.at < now.replace(microsecond=0)
    ]
    return sorted(found, key=str)


def test_the_documented_answer_is_read(project: Builder) -> None:
    app = Starlette(routes=[Route("/api/projects/42/query/", lambda _: JSONResponse(EXAMPLE), methods=["POST"])])
    with Fake(app) as served:
        more = "  properties: {plan: plan, price: {path: price, type: DOUBLE}, a: {path: [nested, a]}}\n"
        project.source(source(served, more, start="2026-11-22"))
        assert not project.sync().failed
    columns = (
        "uuid",
        "event",
        "timestamp",
        "created_at",
        "distinct_id",
        "person_id",
        "session_id",
        "plan",
        "price",
        "a",
    )
    (row,) = table(project, "events", *columns)
    assert row[:2] == ("0193-a", "$pageview") and row[4:] == ("u1", "018f-p", "0193-s", "pro", 9.5, "[1,2]")
    assert (str(row[2]), str(row[3])) == ("2026-11-22 08:00:00.120000", "2026-11-22 08:00:02")
    read = project.open().reader().frame("SELECT properties ->> '$.\"$current_url\"' AS url FROM events")
    assert read["url"][0] == "https://example.com/"


def test_nothing_new_asks_once_and_publishes_nothing(project: Builder, vendor: Posthog, served: Fake) -> None:
    vendor.events = [event(n, NOW - n * 5 * HOUR - HOUR) for n in range(30)]
    vendor.persons = {f"p{n}": {"plan": "pro"} for n in range(5)}
    project.source(source(served))
    project.source(source(served, resource="persons"))
    assert project.sync().published and held(project) == truth(vendor)
    before = len(served.seen)
    again = project.sync(now=NOW + timedelta(minutes=5))
    assert not again.published and not again.failed and [one.rows for one in again.sources] == [0, 0]
    assert len(served.seen) - before == 2, "one for each"


def test_events_that_come_between_two_pages(project: Builder, vendor: Posthog, served: Fake) -> None:
    """Of those before the page's end the next sync tells, by its look-back; none is there twice or lost."""
    vendor.events = [event(n, NOW - n * HOUR - HOUR) for n in range(20)]
    project.source(source(served, "  page: 4\n", start="2026-11-22"))
    first = truth(vendor)
    more = iter([event(100 + n, NOW - n * 2 * HOUR - timedelta(minutes=90)) for n in range(10)])
    vendor.between = lambda: vendor.events.extend([e for e in [next(more, None)] if e])
    assert not project.sync().failed
    assert {row[0] for row in first} <= {row[0] for row in held(project)}
    vendor.between = None
    later = NOW + timedelta(minutes=1)
    assert not project.sync(now=later).failed and held(project) == truth(vendor, later)


def test_a_pull_that_fails_goes_on_where_it_stopped(project: Builder, vendor: Posthog, served: Fake) -> None:
    vendor.events = [event(n, NOW - n * 9 * HOUR - HOUR) for n in range(42)]
    project.source(source(served, start="2026-11-05"))
    early = NOW - 12 * DAY
    first = project.sync(now=early)
    rows = held(project)
    served.faults.next = [""] * 4 + ["500"] * 60
    before = len(served.seen)
    failed = project.sync()
    assert failed.failed and held(project) == rows and failed.sources[0].cursor == first.sources[0].cursor
    done = sum(not one.fault for one in served.seen[before:])
    before, served.faults.next = len(served.seen), []
    assert not project.sync().failed and held(project) == truth(vendor)
    assert done == 4 and len(served.seen) - before == 13 - done, "a day each, and what is looked back at"
    assert not list((project.folder / "data" / "pulls").glob("*"))


def test_persons_are_whole_at_each_sync(project: Builder, vendor: Posthog, served: Fake) -> None:
    vendor.persons = {f"p{n}": {"email": f"{n}@example.com"} for n in range(7)}
    vendor.ids = {f"d'{n}\\": f"p{n}" for n in range(7)}
    project.source(source(served, "  page: 3\n  properties: [email]\n", resource="persons"))
    project.source(source(served, "  page: 2\n", resource="distinct_ids"))
    assert not project.sync().failed
    assert table(project, "persons", "id", "email") == [(f"p{n}", f"{n}@example.com") for n in range(7)]
    del vendor.persons["p3"]  # merged into p2
    vendor.persons["p2"] = {"email": "new@example.com"}
    vendor.ids |= {"d'3\\": "p2"}
    result = project.sync(now=NOW + HOUR)
    assert result.published and dict(table(project, "distinct_ids", "distinct_id", "person_id")) == vendor.ids
    assert table(project, "persons", "id", "email") == [(k, v["email"]) for k, v in sorted(vendor.persons.items())]
    served.faults.next = [""] + ["500"] * 6
    failed = project.sync(now=NOW + 2 * HOUR)
    assert failed.failed and len(table(project, "persons", "id")) == 6


def test_a_revoked_key_is_told_in_words_and_is_nowhere(project: Builder, vendor: Posthog, served: Fake) -> None:
    project.source(source(served))
    vendor.events = [event(1, NOW - DAY)]
    project.sync()
    vendor.revoked = True
    failed = project.sync()
    said = failed.sources[0].error
    assert "does not accept the key for /api/projects/42/query/ (HTTP 401): Invalid personal API key" in said
    assert "Query Read" in said
    for path in (p for p in (project.folder / "data").rglob("*") if p.is_file()):
        assert KEY.encode() not in path.read_bytes(), path
    assert KEY not in f"{failed} {failed.sources}" and held(project) == truth(vendor)


def test_no_more_is_asked_than_posthog_allows(
    project: Builder, vendor: Posthog, served: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor.events = [event(n, NOW - n * 9 * HOUR - HOUR) for n in range(30)]
    project.source(source(served, "  hourly: 5\n  page: 7\n", start="2026-11-11"))
    assert "budget of requests is used up" in project.sync().sources[0].error and len(served.seen) == 5
    monkeypatch.setattr(budget, "_shared", {})  # an hour later
    assert "budget of requests is used up" in project.sync().sources[0].error and len(served.seen) == 10
    monkeypatch.setattr(budget, "_shared", {})
    assert not project.sync().failed and held(project) == truth(vendor)


def test_some_events_only_and_a_probe(project: Builder, vendor: Posthog, served: Fake) -> None:
    vendor.events = [event(n, NOW - n * HOUR - HOUR, event=f"it's {n % 3}") for n in range(9)]
    project.source(source(served, "  events: [it's 1]\n"))
    assert "there are rows" in project.open().sources.all()["events"].probe()
    assert not project.sync().failed and {row[1] for row in held(project)} == {"it's 1"} and len(held(project)) == 3


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("project_id: 1", "api_key"),
        ("project_id: 1\n  api_key: abc", "events need `start`"),
        ("project_id: 1\n  api_key: abc\n  resource: persons\n  start: 2026-01-01", "persons come whole"),
        ("project_id: 1\n  api_key: abc\n  resource: people", "events"),
        ("project_id: 1\n  api_key: abc\n  start: 2026-01-01\n  page: 60000", "50000"),
        ("project_id: 1\n  api_key: abc\n  start: 2026-01-01\n  load: append", "merged by `primary_key`"),
    ],
)
def test_options_that_do_not_fit_are_told_with_their_line(project: Builder, line: str, words: str) -> None:
    project.source(f"- name: a\n  type: posthog\n  table: a\n  {line}\n")
    problems = project.open().sources.read()[1]
    assert any(words in f"{p.message} {p.hint}" and p.line >= 1 for p in problems), problems
