"""The source `intercom`: what changes between pages, days of a zone, HTML, the documented answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.sources import intercom
from connectors.sources.intercom import plain
from tests.conftest import Builder
from tests.fakes.intercom import TOKEN
from tests.fakes.server import Fake, impatient
from tests.sources.second_tier import Contacts, Conversations, Vendor, pulled, table

pytestmark = pytest.mark.breadth(3)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)
    monkeypatch.setattr(intercom, "PAGE", 3)


@pytest.fixture(params=[Conversations, Contacts])
def vendor(request: pytest.FixtureRequest) -> Vendor:
    made: Vendor = request.param()
    return made


@pytest.fixture
def served(vendor: Vendor, project: Builder) -> Iterator[Fake]:
    with Fake(vendor.app) as fake:
        project.source(vendor.entry(fake.url, project.folder))
        yield fake


def test_what_changes_between_pages_is_not_lost(project: Builder, vendor: Vendor, served: Fake) -> None:
    """Those that were read change, so that those behind them move to a page that was read."""
    vendor.begin()
    changed: list[int] = []

    def meanwhile() -> None:
        if len(changed) < 3:
            changed.append(1)
            vendor.fake.now += 1
            if isinstance(vendor, Conversations):
                vendor.fake.change(str(len(changed)), state="snoozed")
            else:
                vendor.fake.contact(f"c{11 - len(changed)}", name="changed")

    vendor.fake.between = meanwhile
    assert not pulled(project, vendor, 0).failed and len(changed) == 3
    assert sorted(table(project, vendor)) == sorted(vendor.truth()), "nobody is lost"
    vendor.fake.between = None
    assert not pulled(project, vendor).failed and table(project, vendor) == vendor.truth()


@pytest.mark.parametrize("inclusive", [False, True])
def test_more_of_one_second_than_a_page_holds(project: Builder, inclusive: bool) -> None:
    vendor = Conversations()
    vendor.fake.inclusive = inclusive
    for _ in range(10):
        vendor.fake.open()
    vendor.fake.now += 1
    vendor.fake.open()
    with Fake(vendor.app) as fake:
        project.source(vendor.entry(fake.url, project.folder))
        assert not pulled(project, vendor).failed and table(project, vendor) == vendor.truth()
        assert len(fake.seen) < 12


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles", "UTC"])
def test_contacts_are_found_whatever_day_it_is_at_the_workspace(project: Builder, zone: str) -> None:
    vendor = Contacts()
    vendor.fake.zone = zone
    vendor.begin()
    with Fake(vendor.app) as fake:
        project.source(vendor.entry(fake.url, project.folder))
        assert not pulled(project, vendor).failed
        for hour in range(0, 30, 5):
            vendor.fake.contact(f"late{hour}")
            assert not pulled(project, vendor, 5 * 3600).failed and table(project, vendor) == vendor.truth()


def test_a_change_of_the_future_moves_no_cursor(project: Builder) -> None:
    vendor = Conversations()
    vendor.begin()
    vendor.fake.change("1", updated_at=0)
    vendor.fake.conversations["1"]["updated_at"] = vendor.fake.now + 40 * 86_400
    with Fake(vendor.app) as fake:
        project.source(vendor.entry(fake.url, project.folder))
        assert int(pulled(project, vendor).sources[0].cursor["conversations"]) <= vendor.fake.now
        vendor.go_on()
        assert not pulled(project, vendor).failed and table(project, vendor) == vendor.truth()


def test_another_resource_begins_the_table_anew(project: Builder) -> None:
    vendor = Conversations()
    vendor.begin()
    vendor.fake.contact("c1")
    with Fake(vendor.app) as fake:
        project.source(vendor.entry(fake.url, project.folder))
        pulled(project, vendor)
        project._sources.clear()
        project.source(Contacts().entry(fake.url, project.folder))
        said = pulled(project, vendor)
    assert "kpi sync it --full" in said.sources[0].error, "columns are gone: that is told"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>this is the message body</p>", "this is the message body"),
        ("<p>a</p>\n<p>b &amp; <b>c</b>&nbsp;d</p>", "a\nb & c d"),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("<ul><li>Tea</li><li>Milk</li></ul><style>p {}</style>", "Tea\nMilk"),
        ("1 < 2 & 3 > 2", "1 < 2 & 3 > 2"),
        ("", ""),
        (None, None),
    ],
)
def test_html_is_plain_text(html: str | None, text: str | None) -> None:
    assert plain(html) == text


# ---- documented answers, their values made up


CONVERSATION = {
    "type": "conversation",
    "id": "1295",
    "title": "Conversation Title",
    "created_at": 1734537546,
    "updated_at": 1734537560,
    "waiting_since": None,
    "snoozed_until": None,
    "source": {
        "type": "conversation",
        "id": "403918346",
        "delivered_as": "admin_initiated",
        "subject": "",
        "body": "<p>this is the message body</p>",
        "author": {"type": "admin", "id": "991267691", "name": "Ciaran Lee", "email": "admin210@email.com"},
        "attachments": [],
        "url": None,
        "redacted": False,
    },
    "contacts": {
        "type": "contact.list",
        "contacts": [{"type": "contact", "id": "6762f14a1bb69f9f2193bbb3", "external_id": "70"}],
    },
    "first_contact_reply": None,
    "admin_assignee_id": 991267715,
    "team_assignee_id": 5017691,
    "open": False,
    "state": "closed",
    "read": False,
    "tags": {"type": "tag.list", "tags": [{"type": "tag", "id": "123456", "name": "Test tag"}]},
    "priority": "not_priority",
    "sla_applied": None,
    "statistics": {
        "type": "conversation_statistics",
        "time_to_assignment": 2310,
        "time_to_admin_reply": 2311,
        "time_to_first_close": 2312,
        "time_to_last_close": 2313,
        "median_time_to_reply": 2314,
        "first_contact_reply_at": 1663597233,
        "first_admin_reply_at": 1663597234,
        "first_close_at": 1663597235,
        "last_close_at": 1663597236,
        "count_reopens": 1,
        "count_assignments": 2,
        "count_conversation_parts": 3,
    },
    "conversation_rating": {
        "rating": 5,
        "remark": "fine",
        "created_at": 1671028894,
        "updated_at": 1671028895,
        "contact": {"type": "contact", "id": "5ba682d23d7cf92bef87bfd4", "external_id": "f3b87a2e09d514c6c2e79b9a"},
        "teammate": {"type": "admin", "id": "1a2b3c"},
    },
    "teammates": None,
    "custom_attributes": {"issue_type": "Billing"},
    "topics": {},
    "ticket": None,
    "linked_objects": {"type": "list", "data": [], "total_count": 0, "has_more": False},
    "ai_agent": {"source_type": "essentials_plan_setup", "resolution_state": "assumed_resolution", "rating": 4},
    "ai_agent_participated": True,
}
CONTACT = {
    "type": "contact",
    "id": "6762f0dd1bb69f9f2193bb83",
    "workspace_id": "this_is_an_id303",
    "external_id": None,
    "role": "user",
    "email": "joebloggs@intercom.io",
    "phone": None,
    "name": None,
    "owner_id": 123,
    "has_hard_bounced": False,
    "unsubscribed_from_emails": False,
    "created_at": 1734537437,
    "updated_at": 1734537438,
    "signed_up_at": None,
    "last_seen_at": 1734537439,
    "location": {"type": "location", "country": "Ireland", "region": None, "city": None},
    "browser": "chrome",
    "browser_language": "en",
    "os": "mac",
    "custom_attributes": {},
    "tags": {"type": "list", "data": [], "url": "/contacts/6762f0dd1bb69f9f2193bb83/tags", "total_count": 0},
}
PAGES = {"type": "pages", "page": 1, "per_page": 5, "total_pages": 1}


def answering(path: str, body: Any) -> Starlette:
    async def answer(_: Request) -> Response:
        return JSONResponse(body)

    return Starlette(routes=[Route(path, answer, methods=["POST"])])


def read(project: Builder, resource: str, body: Any) -> dict[str, Any]:
    with Fake(answering(f"/{resource}/search", body)) as fake:
        own = f"resource: {resource}, url: '{fake.url}', token: {TOKEN}"
        project.source(f"- {{name: it, type: intercom, table: it, {own}}}")
        run = project.sync().sources[0]
        assert run.rows == 1 and not run.quarantined and len(fake.seen) == 1, run
    (row,) = project.open().reader().frame("SELECT * FROM it").to_dict("records")
    return {
        c: f"{v:%Y-%m-%d %H:%M:%S}" if hasattr(v, "year") else v for c, v in row.items() if v == v and v is not None
    }


def test_the_documented_conversation_is_read(project: Builder) -> None:
    row = read(
        project,
        "conversations",
        {"type": "conversation.list", "pages": PAGES, "total_count": 1, "conversations": [CONVERSATION]},
    )
    assert json.loads(row.pop("tags")) == ["Test tag"]
    assert json.loads(row.pop("custom_attributes")) == {"issue_type": "Billing"}
    assert row == {
        "id": "1295",
        "title": "Conversation Title",
        "created_at": "2024-12-18 15:59:06",
        "updated_at": "2024-12-18 15:59:20",
        "state": "closed",
        "open": False,
        "read": False,
        "priority": "not_priority",
        "channel": "conversation",
        "initiated": "admin_initiated",
        "author_type": "admin",
        "subject": "",
        "body": "this is the message body",
        "contact_id": "6762f14a1bb69f9f2193bbb3",
        "contact_external_id": "70",
        "admin_id": "991267715",
        "team_id": "5017691",
        "rating": 5,
        "rating_remark": "fine",
        "rating_requested_at": "2022-12-14 14:41:34",
        "rating_updated_at": "2022-12-14 14:41:35",
        "rated_admin_id": "1a2b3c",
        "first_reply_seconds": 2311,
        "first_close_seconds": 2312,
        "last_close_seconds": 2313,
        "median_reply_seconds": 2314,
        "first_asked_at": "2022-09-19 14:20:33",
        "first_replied_at": "2022-09-19 14:20:34",
        "first_closed_at": "2022-09-19 14:20:35",
        "last_closed_at": "2022-09-19 14:20:36",
        "reopens": 1,
        "assignments": 2,
        "parts": 3,
        "ai_participated": True,
        "ai_resolution": "assumed_resolution",
        "ai_rating": 4,
    }


def test_the_documented_contact_is_read(project: Builder) -> None:
    row = read(project, "contacts", {"type": "list", "data": [CONTACT], "total_count": 1, "pages": PAGES})
    assert row == {
        "id": "6762f0dd1bb69f9f2193bb83",
        "created_at": "2024-12-18 15:57:17",
        "updated_at": "2024-12-18 15:57:18",
        "role": "user",
        "email": "joebloggs@intercom.io",
        "owner_id": "123",
        "last_seen_at": "2024-12-18 15:57:19",
        "unsubscribed": False,
        "country": "Ireland",
        "browser": "chrome",
        "os": "mac",
        "language": "en",
        "custom_attributes": "{}",
    }
