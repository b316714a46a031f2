"""The source `zendesk` against its API on loopback: the export of tickets, satisfaction ratings, faults."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.sources import zendesk
from jobs.sync import SyncResult
from tests.conftest import NOW, Builder
from tests.fakes.server import Fake, impatient
from tests.fakes.zendesk import EMAIL, OAUTH, TOKEN, Zendesk

pytestmark = pytest.mark.breadth(2)
START = int((NOW - timedelta(days=40)).timestamp())
SETTLED = 61  # seconds after which a change is in the export
RESOURCES = ("tickets", "satisfaction_ratings")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of milliseconds, so that a fault costs no time; small pages, so that there are many; short minutes."""
    impatient(monkeypatch)
    monkeypatch.setattr(zendesk, "TICKETS", 3)
    monkeypatch.setattr(zendesk, "PAGE", 3)
    monkeypatch.setattr(zendesk, "MINUTE", 0.001)


@pytest.fixture
def vendor() -> Zendesk:
    return Zendesk(START)


@pytest.fixture
def served(vendor: Zendesk) -> Iterator[Fake]:
    with Fake(vendor.app) as fake:
        yield fake


def source(served: Fake, resource: str, more: str = "", auth: str = f"email: {EMAIL}, token: {TOKEN}") -> str:
    own = f"resource: {resource}, table: {resource}, url: '{served.url}'"
    return f"- {{name: {resource}, type: zendesk, {own}, {auth}{more}}}"


def pulled(project: Builder, vendor: Zendesk, later: int = SETTLED) -> SyncResult:
    """A sync at Zendesk's moment."""
    vendor.now += later
    return project.sync(now=datetime.fromtimestamp(vendor.now, UTC))


def table(project: Builder, resource: str) -> dict[int, dict[str, Any]]:
    """id → row, what is empty as None."""
    frame = project.open().reader().frame(f"SELECT * FROM {resource}")
    return {int(row["id"]): {c: _plain(value) for c, value in row.items()} for row in frame.to_dict("records")}


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return None if value is None or value is pd.NaT or value != value else value


def same(project: Builder, vendor: Zendesk, resource: str) -> bool:
    """Whether the table says what Zendesk says, of the columns that change."""
    rows = table(project, resource)
    if resource == "satisfaction_ratings":
        return {
            k: {field: row[field] for field in vendor.ratings.get(k, row)} for k, row in rows.items()
        } == vendor.ratings
    fields = (
        "id",
        "status",
        "created_at",
        "updated_at",
        "subject",
        "first_reply_minutes",
        "first_reply_business_minutes",
    )
    found = {k: tuple(row[field] for field in (*fields, "replies")) for k, row in rows.items()}
    return found == {k: _wanted(ticket) for k, ticket in vendor.tickets.items()}


def _wanted(ticket: dict[str, Any]) -> tuple[Any, ...]:
    metrics = ticket.get("metric_set", {})
    reply = metrics.get("reply_time_in_minutes", {})
    own = tuple(ticket.get(field) for field in ("id", "status", "created_at", "updated_at", "subject"))
    return (*own, reply.get("calendar"), reply.get("business"), metrics.get("replies"))


def something(vendor: Zendesk, resource: str, chance: random.Random) -> None:
    """One thing happens: something new, an answer, a silent edit, a deletion, a rating or another."""
    vendor.now += chance.choice([0, 0, 1, 70, 4000])
    if resource == "satisfaction_ratings":
        if vendor.ratings and chance.random() < 0.4:
            vendor.rerate(chance.choice(list(vendor.ratings)), chance.choice(["good", "bad"]))
        else:
            vendor.rate(7, chance.choice(["offered", "good"]), comment=chance.choice([None, "fine"]))
        return
    there = [k for k, ticket in vendor.tickets.items() if ticket["status"] != "deleted"]
    key = chance.choice(there) if there and chance.random() < 0.6 else vendor.open(subject="é?")
    kinds: list[Callable[[], None]] = [
        lambda: vendor.reply(key, chance.randrange(900)),
        lambda: vendor.change(key, silent=True, status="closed"),
        lambda: vendor.change(key, subject=f"{chance.random()}"),
        lambda: vendor.delete(key),
    ]
    chance.choice(kinds)()


def answering(path: str, body: Any) -> Starlette:
    async def answer(_: Request) -> Response:
        return JSONResponse(body)

    return Starlette(routes=[Route(path, answer)])


def test_the_documented_ticket_is_read(project: Builder) -> None:
    documented = json.loads(
        """{"tickets": [{"url": "https://example.zendesk.com/api/v2/tickets/35436.json", "id": 35436,
        "external_id": "ahg35h3jh", "via": {"channel": "web", "source": {"from": {}, "to": {}, "rel": null}},
        "created_at": "2026-11-01T09:00:00Z", "updated_at": "2026-11-02T10:38:52Z", "type": "incident",
        "subject": "Help, my printer is on fire!", "raw_subject": "{{dc.printer_on_fire}}",
        "description": "The fire is very colorful.", "priority": "high", "status": "solved",
        "recipient": "support@example.com", "requester_id": 20978392, "submitter_id": 76872, "assignee_id": 235323,
        "organization_id": 509974, "group_id": 98738, "collaborator_ids": [35334, 234], "follower_ids": [],
        "problem_id": null, "has_incidents": false, "due_at": null, "tags": ["enterprise", "other_tag"],
        "custom_fields": [{"id": 27642, "value": "745"}, {"id": 27648, "value": true}],
        "satisfaction_rating": {"id": 1234, "score": "good", "comment": "Great support!"},
        "generated_timestamp": 1793702332,
        "metric_set": {"id": 33, "ticket_id": 35436, "created_at": "2026-11-01T09:00:00Z", "group_stations": 1,
          "assignee_stations": 1, "reopens": 0, "replies": 2, "assigned_at": "2026-11-01T09:10:00Z",
          "solved_at": "2026-11-02T10:38:52Z", "reply_time_in_minutes": {"calendar": 2391, "business": 737},
          "first_resolution_time_in_minutes": {"calendar": 1538, "business": 600},
          "full_resolution_time_in_minutes": {"calendar": 1540, "business": 601},
          "agent_wait_time_in_minutes": {"calendar": 11, "business": 12},
          "requester_wait_time_in_minutes": {"calendar": 13, "business": 14},
          "on_hold_time_in_minutes": {"calendar": 15, "business": 16}}}],
        "after_url": "https://example.zendesk.com/api/v2/incremental/tickets/cursor.json?cursor=MTU3NjYxMzUzOS4wfHw0Njd8",
        "after_cursor": "MTU3NjYxMzUzOS4wfHw0Njd8", "before_url": null, "before_cursor": null, "end_of_stream": true}"""
    )
    with Fake(answering("/api/v2/incremental/tickets/cursor.json", documented)) as fake:
        project.source(source(fake, "tickets", ", custom_fields: {printer: 27642, insured: '27648', none: 1}"))
        run = project.sync().sources[0]
        assert run.rows == 1 and not run.quarantined and run.cursor == {"after": "MTU3NjYxMzUzOS4wfHw0Njd8"}
    row = table(project, "tickets")[35436]
    assert json.loads(row.pop("tags")) == ["enterprise", "other_tag"]
    assert json.loads(row.pop("custom_fields")) == {"27642": "745", "27648": True}
    minutes = {c: value for c, value in row.items() if c.endswith("_minutes")}
    assert list(minutes.values()) == [2391, 737, 1538, 600, 1540, 601, 13, 14, 11, 12, 15, 16]
    assert {column: value for column, value in row.items() if value is not None and column not in minutes} == {
        "id": 35436,
        "created_at": "2026-11-01T09:00:00Z",
        "updated_at": "2026-11-02T10:38:52Z",
        "status": "solved",
        "priority": "high",
        "type": "incident",
        "subject": "Help, my printer is on fire!",
        "channel": "web",
        "requester_id": 20978392,
        "submitter_id": 76872,
        "assignee_id": 235323,
        "group_id": 98738,
        "organization_id": 509974,
        "external_id": "ahg35h3jh",
        "satisfaction_score": "good",
        "satisfaction_comment": "Great support!",
        "assigned_at": "2026-11-01T09:10:00Z",
        "solved_at": "2026-11-02T10:38:52Z",
        "replies": 2,
        "reopens": 0,
        "printer": "745",
        "insured": "true",
    }


def test_the_documented_rating_is_read(project: Builder) -> None:
    documented = json.loads(
        """{"satisfaction_ratings": [{"id": 62, "url": "https://example.zendesk.com/api/v2/satisfaction_ratings/62.json",
        "assignee_id": 135, "group_id": 44, "requester_id": 7881, "ticket_id": 208, "score": "bad",
        "created_at": "2026-11-01T22:17:47Z", "updated_at": "2026-11-02T22:17:47Z", "comment": "Slow",
        "reason": "Agent's response was unsatisfactory", "reason_code": 5, "reason_id": 1}],
        "meta": {"has_more": false, "after_cursor": "xx", "before_cursor": "yy"},
        "links": {"next": "https://example.zendesk.com/api/v2/satisfaction_ratings?page[after]=xx", "prev": null}}"""
    )
    with Fake(answering("/api/v2/satisfaction_ratings.json", documented)) as fake:
        project.source(source(fake, "satisfaction_ratings"))
        run = project.sync().sources[0]
        assert run.rows == 1 and run.cursor == {"value": "2026-11-02T22:17:47+00:00"} and len(fake.seen) == 1
    assert table(project, "satisfaction_ratings")[62] == {
        "id": 62,
        "created_at": "2026-11-01T22:17:47Z",
        "updated_at": "2026-11-02T22:17:47Z",
        "score": "bad",
        "comment": "Slow",
        "reason": "Agent's response was unsatisfactory",
        "reason_code": 5,
        "ticket_id": 208,
        "requester_id": 7881,
        "assignee_id": 135,
        "group_id": 44,
    }


def test_what_changed_within_the_last_minute_comes_next_time(project: Builder, vendor: Zendesk, served: Fake) -> None:
    for _ in range(4):
        vendor.open()
    vendor.now += 100
    vendor.reply(2, 40)
    project.source(source(served, "tickets"))
    assert not pulled(project, vendor, 30).failed and sorted(table(project, "tickets")) == [1, 3, 4]
    assert not pulled(project, vendor, 31).failed and same(project, vendor, "tickets")


def test_a_ticket_that_changes_between_two_pages_is_as_it_is_now(
    project: Builder, vendor: Zendesk, served: Fake
) -> None:
    for _ in range(8):
        vendor.open()
    changed: list[int] = []

    def meanwhile() -> None:
        if len(changed) < 2:
            changed.append(1)
            vendor.now += 10
            vendor.change(len(changed), subject="changed")
            vendor.now += SETTLED

    vendor.between = meanwhile
    project.source(source(served, "tickets"))
    assert not pulled(project, vendor).failed and same(project, vendor, "tickets")


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_pull_that_fails_leaves_everything_as_it_was(
    project: Builder, vendor: Zendesk, served: Fake, resource: str
) -> None:
    for _ in range(5):
        something(vendor, resource, random.Random(3))
    project.source(source(served, resource))
    cursor, before = pulled(project, vendor).sources[0].cursor, table(project, resource)
    for number in range(20):
        something(vendor, resource, random.Random(number))
    answered: list[int] = []

    def after_two_pages() -> None:
        answered.append(1)
        if len(answered) == 2:
            served.faults.next = ["500", "cut", "hang up", "503", "429", "html"]

    vendor.between = after_two_pages
    run = pulled(project, vendor)
    assert run.failed and run.sources[0].cursor == cursor and table(project, resource) == before
    vendor.between = None
    asked = {one.query for one in served.seen if not one.fault}
    served.seen.clear()
    assert not pulled(project, vendor).failed and same(project, vendor, resource)
    if resource == "tickets":  # pages that were whole waited
        assert served.seen and not asked & {one.query for one in served.seen}
        assert not (project.folder / "data" / "pulls" / "tickets").exists()


def test_a_long_first_pull_goes_on_where_it_stopped(project: Builder, vendor: Zendesk, served: Fake) -> None:
    for _ in range(20):
        vendor.open()
        vendor.now += 5
    project.source(source(served, "tickets"))
    vendor.between = lambda: served.faults.next.extend(["500"] * 6 if len(served.seen) == 4 else [])
    assert pulled(project, vendor).failed and len(served.seen) == 10
    vendor.between = None
    vendor.change(1, subject="meanwhile")
    served.seen.clear()
    assert not pulled(project, vendor).failed and same(project, vendor, "tickets")
    assert len(served.seen) == 3 and "start_time" not in served.seen[0].query


def test_a_revoked_token_is_told_and_is_nowhere(
    project: Builder, vendor: Zendesk, served: Fake, caplog: pytest.LogCaptureFixture
) -> None:
    vendor.open()
    project.source(source(served, "tickets"))
    first = pulled(project, vendor)
    vendor.revoked = True
    second = pulled(project, vendor)
    said = second.sources[0].error
    assert (
        "does not accept the key for /api/v2/incremental/tickets/cursor.json (HTTP 401): Couldn't authenticate" in said
    )
    assert "admins" in said and same(project, vendor, "tickets")
    vendor.revoked, vendor.agent = False, True
    assert "(HTTP 403): You do not have access" in pulled(project, vendor).sources[0].error
    written = [path.read_bytes() for path in (project.folder / "data").rglob("*") if path.is_file()]
    assert TOKEN not in f"{first} {second} {caplog.text}" and not any(TOKEN.encode() in text for text in written)


def test_an_oauth_token_signs_in(project: Builder, vendor: Zendesk, served: Fake) -> None:
    vendor.rate(1, "good")
    project.source(source(served, "satisfaction_ratings", auth=f"oauth_token: {OAUTH}"))
    assert not pulled(project, vendor).failed and same(project, vendor, "satisfaction_ratings")


def test_no_more_is_asked_than_zendesk_allows(
    project: Builder, vendor: Zendesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(20):
        vendor.open()
    monkeypatch.setattr(zendesk, "MINUTE", 0.3)
    with Fake(vendor.app, budget=((3, 0.25),)) as fake:
        project.source(source(fake, "tickets", ", per_minute: 3"))
        assert not pulled(project, vendor).failed and fake.too_many == 0 and len(fake.seen) == 7
    assert same(project, vendor, "tickets")


def test_from_a_day_on(project: Builder, vendor: Zendesk, served: Fake) -> None:
    for resource in RESOURCES:
        project.source(source(served, resource, f", start: {datetime.fromtimestamp(START + 200_000, UTC).date()}"))
    vendor.open()
    vendor.rate(1, "good")
    vendor.now += 300_000
    key, rating = vendor.open(), vendor.rate(2, "bad")
    pulled(project, vendor)
    assert list(table(project, "tickets")) == [key] and list(table(project, "satisfaction_ratings")) == [rating]


def test_a_rating_of_the_future_moves_no_cursor(project: Builder, vendor: Zendesk, served: Fake) -> None:
    vendor.rate(1, "good")
    vendor.rate(2, "good", updated_at="2040-01-01T00:00:00Z")
    project.source(source(served, "satisfaction_ratings", ", lookback: 1d"))
    assert pulled(project, vendor).sources[0].cursor["value"] == datetime.fromtimestamp(START, UTC).isoformat()
    vendor.now += 5 * 86_400
    vendor.rate(3, "bad")
    assert not pulled(project, vendor).failed and same(project, vendor, "satisfaction_ratings")


def test_a_new_field_changes_nothing(project: Builder, vendor: Zendesk, served: Fake) -> None:
    vendor.open()
    project.source(source(served, "tickets"))
    pulled(project, vendor)
    vendor.open(new_thing={"a": [1]}, custom_fields=[{"id": 5, "value": ["x"]}])
    run = pulled(project, vendor).sources[0]
    assert run.rows == 1 and not run.quarantined and same(project, vendor, "tickets")
    assert json.loads(table(project, "tickets")[2]["custom_fields"]) == {"5": ["x"]}


@pytest.mark.parametrize("resource", RESOURCES)
def test_the_connection_is_tried(project: Builder, vendor: Zendesk, served: Fake, resource: str) -> None:
    project.source(source(served, resource))
    assert f"answers; has no {resource.replace('_', ' ')}" in project.open().sources.all()[resource].probe()


@pytest.mark.parametrize(
    ("auth", "more", "words"),
    [
        ("email: a@example.com", "", "either `email` and `token`, or `oauth_token`"),
        ("email: a@example.com, token: x, oauth_token: y", "", "either `email` and `token`, or `oauth_token`"),
        ("oauth_token: y", ", load: append", "`load` is merge"),
        ("oauth_token: y", ", custom_fields: {status: 5}", "'status' is a column of every ticket"),
    ],
)
def test_options_that_do_not_fit_are_told(project: Builder, served: Fake, auth: str, more: str, words: str) -> None:
    project.source(source(served, "tickets", more, auth))
    problems = project.open().sources.read()[1]
    assert any(words in f"{p.message} {p.hint}" and p.line >= 1 for p in problems), problems
