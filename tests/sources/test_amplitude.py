"""Amplitude's export against a fake of it: hours of upload, archives, empty hours, exports that are too large."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from connectors.sources import amplitude
from connectors.warehouse.names import quoted
from tests.conftest import NOW, Builder
from tests.fakes.amplitude import API_KEY, SECRET_KEY, Amplitude, Event
from tests.fakes.server import Fake, impatient

pytestmark = pytest.mark.breadth(2)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EXAMPLE = {
    "server_received_time": "2026-11-22 11:02:02.500000",
    "app": 123456,
    "device_carrier": None,
    "city": "Lyon",
    "user_id": "u-77",
    "uuid": "5f1c0d2e-0000-11f1-8000-0242ac110002",
    "event_time": "2026-11-22 09:00:00.123000",
    "platform": "iOS",
    "os_version": "19.1",
    "amplitude_id": 123456789012,
    "version_name": "4.2.0",
    "user_properties": {"plan": "pro"},
    "event_type": "signup",
    "$insert_id": "k1",
    "client_event_time": "2026-11-22 09:00:00.000000",
    "client_upload_time": "2026-11-22 11:02:01.000000",
    "server_upload_time": "2026-11-22 11:02:03.000000",
    "session_id": 1795338000000,
    "event_properties": {"price": 9.5, "item": {"name": "a"}},
    "device_id": "d1",
    "country": "France",
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of milliseconds, and no budget but where it is what is tested."""
    impatient(monkeypatch)
    monkeypatch.setattr(amplitude, "LIMITS", ((100_000, 1.0),))


@pytest.fixture
def vendor() -> Amplitude:
    return Amplitude(NOW)


@pytest.fixture
def served(vendor: Amplitude) -> Iterator[Fake]:
    with Fake(vendor.app) as fake:
        yield fake


def source(served: Fake, more: str = "", *, start: str = "2026-11-15") -> str:
    return (
        f"- name: product\n  type: amplitude\n  table: events\n  url: {served.url}\n  start: {start}\n"
        f"  api_key: {API_KEY}\n  secret_key: {SECRET_KEY}\n{more}"
    )


def event(number: int, uploaded: datetime, late: timedelta = HOUR, **more: Any) -> Event:
    return Event(f"uuid-{number}", uploaded - late, uploaded, user_id=f"u{number % 7}", **more)


def table(project: Builder, *columns: str) -> list[tuple[Any, ...]]:
    names = ", ".join(map(quoted, columns))
    frame = project.open().reader().frame(f"SELECT {names} FROM events")
    return sorted(map(tuple, frame.astype(object).where(frame.notna(), None).itertuples(index=False)), key=str)


def held(project: Builder) -> list[tuple[Any, ...]]:
    columns = ("uuid", "event_type", "user_id", "event_time", "server_upload_time", "properties")
    return [
        (*row[:3], f"{row[3]:%Y-%m-%d %H:%M:%S.%f}", f"{row[4]:%Y-%m-%d %H:%M:%S.%f}", json.loads(row[5]))
        for row in table(project, *columns)
    ]


def truth(vendor: Amplitude) -> list[tuple[Any, ...]]:
    ready = (vendor.now - 2 * HOUR).replace(minute=0, second=0, microsecond=0)
    found = [
        (
            *(one.uuid, one.event_type, one.user_id),
            *(f"{at:%Y-%m-%d %H:%M:%S.%f}" for at in (one.at, one.uploaded)),
            one.properties,
        )
        for one in {one.uuid: one for one in vendor.events}.values()
        if one.uploaded < ready
    ]
    return sorted(found, key=str)


def asked(served: Fake, since: int = 0) -> list[tuple[str, str]]:
    """Hours of the requests that were answered."""
    queries = [parse_qs(one.query) for one in served.seen[since:] if not one.fault]
    return [(query["start"][0], query["end"][0]) for query in queries]


def test_the_documented_answer_is_read(project: Builder) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("123456/123456_2026-11-22_11#0.json.gz", gzip.compress(json.dumps(EXAMPLE).encode()))
    app = Starlette(routes=[Route("/api/2/export", lambda _: Response(made.getvalue(), media_type="application/zip"))])
    more = "  properties: {price: {path: price, type: DOUBLE}, item: {path: [item, name]}}\n  user_columns: [plan]\n"
    with Fake(app) as served:
        project.source(source(served, more, start="2026-11-22"))
        assert not project.sync().failed
    columns = ("uuid", "insert_id", "event_type", "event_time", "server_upload_time", "amplitude_id", "session_id")
    (row,) = table(project, *columns, "price", "item", "plan", "country", "properties")
    assert row[:3] == ("5f1c0d2e-0000-11f1-8000-0242ac110002", "k1", "signup")
    assert (str(row[3]), str(row[4])) == ("2026-11-22 09:00:00.123000", "2026-11-22 11:02:03")
    assert row[5:11] == (123456789012, 1795338000000, 9.5, "a", "pro", "France")
    assert json.loads(row[11]) == EXAMPLE["event_properties"]


def test_nothing_new_asks_nothing_and_publishes_nothing(project: Builder, vendor: Amplitude, served: Fake) -> None:
    vendor.events = [event(n, NOW - n * 5 * HOUR) for n in range(20)]
    project.source(source(served))
    assert project.sync().published and held(project) == truth(vendor)
    before = len(served.seen)
    again = project.sync(now=NOW + timedelta(minutes=5))
    assert not again.published and not again.failed and again.sources[0].rows == 0
    assert len(served.seen) == before, "no other hour is ready"
    vendor.now = NOW + HOUR
    again = project.sync(now=vendor.now)
    assert not again.failed and asked(served, before) == [
        ("20261122T22", "20261122T22"),
        ("20261122T23", "20261123T00"),
    ]
    assert again.sources[0].rows == 0 and held(project) == truth(vendor)


def test_a_pull_that_fails_goes_on_where_it_stopped(project: Builder, vendor: Amplitude, served: Fake) -> None:
    vendor.events = [event(n, NOW - n * 7 * HOUR) for n in range(60)]
    vendor.now = NOW - 15 * DAY
    project.source(source(served, start="2026-11-03"))
    first = project.sync(now=vendor.now)
    rows, vendor.now, before = held(project), NOW, len(served.seen)
    served.faults.next = ["", "", ""] + ["500"] * 60
    failed = project.sync()
    assert failed.failed and held(project) == rows and failed.sources[0].cursor == first.sources[0].cursor
    done, before, served.faults.next = asked(served, before), len(served.seen), []
    assert len(done) == 3
    assert not project.sync().failed and held(project) == truth(vendor)
    assert not set(done) & set(asked(served, before))
    assert not list((project.folder / "data" / "pulls").glob("*"))


def test_a_revoked_key_is_told_in_words_and_is_nowhere(project: Builder, vendor: Amplitude, served: Fake) -> None:
    project.source(source(served))
    vendor.events = [event(1, NOW - DAY)]
    project.sync()
    vendor.revoked = True
    failed = project.sync(now=NOW + DAY)
    said = failed.sources[0].error
    assert "does not accept the key for /api/2/export (HTTP 401): invalid API key" in said and "secret key" in said
    for path in (p for p in (project.folder / "data").rglob("*") if p.is_file()):
        assert SECRET_KEY.encode() not in path.read_bytes(), path
    assert SECRET_KEY not in f"{failed} {failed.sources}" and held(project) == truth(vendor)


def test_no_more_is_asked_than_the_budget(project: Builder, vendor: Amplitude, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amplitude, "LIMITS", ((5, 0.5),))
    vendor.events = [event(n, NOW - n * 8 * HOUR) for n in range(15)]
    with Fake(vendor.app, budget=((5, 0.4),)) as fake:
        project.source(source(fake, start="2026-11-18"))
        assert not project.sync().failed and fake.too_many == 0 and len(fake.seen) == 6
    assert held(project) == truth(vendor)


def test_what_is_too_large_is_asked_for_in_halves(project: Builder, vendor: Amplitude, served: Fake) -> None:
    vendor.events = [event(n, NOW - n * HOUR) for n in range(3, 100)]
    vendor.most, vendor.slow = 10, 40
    project.source(source(served, "  window: 7d\n"))
    assert not project.sync().failed and held(project) == truth(vendor)
    vendor.events += [event(1000 + n, NOW - HOUR) for n in range(20)]
    vendor.now = NOW + 4 * HOUR
    said = project.sync(now=vendor.now).sources[0].error
    assert "the hour from 2026-11-23 01:00 UTC cannot be exported" in said and "S3" in said


def test_an_address_that_is_none_is_no_empty_hour(project: Builder) -> None:
    with Fake(Starlette()) as served:
        project.source(source(served))
        assert "has no /api/2/export (HTTP 404)" in project.sync().sources[0].error


def test_an_answer_that_is_no_archive_is_told(project: Builder) -> None:
    app = Starlette(routes=[Route("/api/2/export", lambda _: PlainTextResponse("busy"))])
    with Fake(app) as served:
        project.source(source(served))
        assert "no archive" in project.sync().sources[0].error


def test_a_probe_exports_one_hour(project: Builder, vendor: Amplitude, served: Fake) -> None:
    project.source(source(served))
    assert "has exported the hour from 23:00 UTC" in project.open().sources.all()["product"].probe()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("api_key: abc", "secret_key"),
        ("api_key: abc\n  secret_key: def\n  window: 30min", "whole hours"),
        ("api_key: abc\n  secret_key: def\n  window: 400d", "of a year at most"),
        ("api_key: abc\n  secret_key: def\n  user_columns: [country]", "'country' is a column already"),
    ],
)
def test_options_that_do_not_fit_are_told_with_their_line(project: Builder, line: str, words: str) -> None:
    project.source(f"- name: a\n  type: amplitude\n  table: a\n  start: 2026-01-01\n  {line}\n")
    problems = project.open().sources.read()[1]
    assert any(words in f"{p.message} {p.hint}" and p.line >= 1 for p in problems), problems


def test_a_day_is_complete_when_its_last_hour_can_be_exported(
    project: Builder, vendor: Amplitude, served: Fake
) -> None:
    vendor.events = [event(n, NOW - n * 5 * HOUR) for n in range(20)]
    project.source(source(served))
    project.write("datasets", "events", "name: events\nsource: events\ntime_dimension: event_time")
    project.kpi("signups", "type: simple\nlabel: Signups\ndataset: events\nagg: count")

    def complete(now: datetime) -> bool:
        vendor.now = now
        assert not project.sync(now=now).failed
        project.settings("timezone: UTC\n")  # the next question opens it anew
        frame = project.ask("signups", grain="day").frame
        return bool(frame[frame["period"] == "2026-11-22"]["complete"].iloc[0])

    assert not complete(NOW), "what came from 23:00 on cannot be asked for before 2:00, nor is that sure"
    assert complete(NOW + HOUR)
