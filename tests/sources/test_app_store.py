"""The source `app_store`: edits, deletions and their look-back, pages that shift, the documented answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.sources import app_store
from tests.conftest import Builder
from tests.fakes.app_store import APP
from tests.fakes.server import Fake, impatient
from tests.sources.second_tier import DAY, AppStoreReviews, pulled, table

pytestmark = pytest.mark.breadth(3)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)
    monkeypatch.setattr(app_store, "PAGE", 3)


@pytest.fixture
def vendor() -> AppStoreReviews:
    return AppStoreReviews()


@pytest.fixture
def served(vendor: AppStoreReviews, project: Builder) -> Iterator[Fake]:
    with Fake(vendor.app) as fake:
        project.source(vendor.entry(fake.url, project.folder))
        yield fake


def test_reading_ends_a_look_back_before_the_newest(project: Builder, vendor: AppStoreReviews, served: Fake) -> None:
    for _ in range(12):
        vendor.fake.review(3)
        vendor.fake.now += 10 * DAY
    assert not pulled(project, vendor).failed and len(served.seen) == 4
    old, new = list(vendor.fake.reviews)[2], list(vendor.fake.reviews)[10]
    vendor.fake.reviews[old]["rating"] = vendor.fake.reviews[new]["rating"] = 1
    served.seen.clear()
    assert not pulled(project, vendor).failed and len(served.seen) == 2
    assert (table(project, vendor)[old]["rating"], table(project, vendor)[new]["rating"]) == (3, 1)
    assert not pulled(project, vendor, full=True).failed and table(project, vendor) == vendor.truth()


def test_a_review_that_goes_while_pages_are_read_takes_no_other_with_it(
    project: Builder, vendor: AppStoreReviews, served: Fake
) -> None:
    vendor.begin()
    assert not pulled(project, vendor).failed
    newest = list(vendor.fake.reviews)[-1]

    def meanwhile() -> None:
        vendor.fake.reviews.pop(newest, None)  # the fourth is then on the page that was read

    vendor.fake.between = meanwhile
    assert not pulled(project, vendor).failed
    assert set(table(project, vendor)) == {*vendor.truth(), newest}
    vendor.fake.between = None
    assert not pulled(project, vendor).failed and table(project, vendor) == vendor.truth()


def test_a_first_pull_that_may_have_passed_one_over_says_so(
    project: Builder, vendor: AppStoreReviews, served: Fake
) -> None:
    vendor.begin()
    newest = list(vendor.fake.reviews)[-1]
    vendor.fake.between = lambda: vendor.fake.reviews.pop(newest, None)
    (note,) = pulled(project, vendor).sources[0].notes
    assert "may have been passed over" in note and len(table(project, vendor)) == 10
    vendor.fake.between = None
    assert pulled(project, vendor, full=True).sources[0].notes == () and table(project, vendor) == vendor.truth()


def test_a_review_of_the_future_moves_no_cursor(project: Builder, vendor: AppStoreReviews, served: Fake) -> None:
    vendor.begin()
    vendor.fake.review(5, createdDate="2027-11-01T08:10:34-08:00")
    assert pulled(project, vendor).sources[0].cursor[APP] < "2026-11-24"
    vendor.go_on()
    assert not pulled(project, vendor).failed and table(project, vendor) == vendor.truth()


def test_an_app_that_is_not_there_changes_nothing(project: Builder, vendor: AppStoreReviews, served: Fake) -> None:
    vendor.begin()
    entry = vendor.entry(served.url, project.folder)
    pulled(project, vendor)
    (project.folder / "sources.yml").write_text(entry.replace(APP, "1"))
    said = pulled(project, vendor).sources[0].error
    assert "has no /v1/apps/1/customerReviews (HTTP 404): There is no resource" in said
    assert table(project, vendor) == vendor.truth()


def test_a_renamed_moment_says_what_is_gone(project: Builder, vendor: AppStoreReviews) -> None:
    vendor.begin()
    with Fake(vendor.app) as fake:
        entry = vendor.entry(fake.url, project.folder)
        project.source(entry.replace("table: it", "table: it, columns: {created_at: reviewed_at}"))
        assert not pulled(project, vendor).failed
        vendor.delete()
        assert not pulled(project, vendor).failed
    found = project.open().reader().frame("SELECT id FROM it WHERE reviewed_at IS NOT NULL")["id"]
    assert set(found) == set(vendor.fake.reviews)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("columns: {created_at: hash}", "`created_at` says which reviews are gone"),
        ("load: append", "would keep rows twice"),
        ("key: x", "write either `key_file` or `key`"),
    ],
)
def test_options_that_do_not_fit_are_told(project: Builder, vendor: AppStoreReviews, wrong: str, words: str) -> None:
    entry = vendor.entry("http://127.0.0.1:9", project.folder)
    project.source(entry.replace("table: it", f"table: it, {wrong}"))
    assert words in project.open().sources.read()[1][0].message


def test_a_key_that_is_none_is_told(project: Builder, vendor: AppStoreReviews) -> None:
    project.source(vendor.entry("http://127.0.0.1:9", project.folder))
    (project.folder / "AuthKey.p8").write_text("no key")
    assert "the key that signs cannot be used" in pulled(project, vendor).sources[0].error


# Of the documented shape, with the answer to it as `include=response` brings it.
ANSWER: dict[str, Any] = {
    "data": [
        {
            "type": "customerReviews",
            "id": "00000028-b08c-0014-729e-fbd500000000",
            "attributes": {
                "rating": 5,
                "title": "Awesome!!!",
                "body": "It's a really fantastic app!",
                "reviewerNickname": "Anne Johnson",
                "createdDate": "2017-11-15T08:10:34-08:00",
                "territory": "USA",
            },
            "relationships": {
                "response": {
                    "data": {"type": "customerReviewResponses", "id": "a1"},
                    "links": {"self": "https://api.appstoreconnect.apple.com/v1/customerReviews/28/response"},
                }
            },
            "links": {"self": "https://api.appstoreconnect.apple.com/v1/customerReviews/28"},
        }
    ],
    "included": [
        {
            "type": "customerReviewResponses",
            "id": "a1",
            "attributes": {
                "responseBody": "Thank you",
                "lastModifiedDate": "2017-11-16T01:00:00+01:00",
                "state": "PUBLISHED",
            },
        }
    ],
    "links": {"self": "https://api.appstoreconnect.apple.com/v1/apps/682658836/customerReviews?limit=1"},
    "meta": {"paging": {"total": 1, "limit": 200}},
}


def test_the_documented_answer_is_read(project: Builder, vendor: AppStoreReviews) -> None:
    async def answer(_: Request) -> Response:
        return JSONResponse(ANSWER)

    with Fake(Starlette(routes=[Route(f"/v1/apps/{APP}/customerReviews", answer)])) as fake:
        project.source(vendor.entry(fake.url, project.folder))
        run = project.sync().sources[0]
        assert run.rows == 1 and not run.quarantined and run.cursor == {APP: "2017-11-15T16:10:34+00:00"}
    (row,) = project.open().reader().frame("SELECT * FROM it").to_dict("records")
    assert {column: f"{value}" for column, value in row.items()} == {
        "id": "00000028-b08c-0014-729e-fbd500000000",
        "created_at": "2017-11-15 16:10:34",
        "rating": "5",
        "title": "Awesome!!!",
        "body": "It's a really fantastic app!",
        "reviewer": "Anne Johnson",
        "territory": "USA",
        "response": "Thank you",
        "response_state": "PUBLISHED",
        "responded_at": "2017-11-16 00:00:00",
    }
