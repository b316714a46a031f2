"""The source `google_play`: a week and no more, what stays, what may be missing, the documented answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.sources import google_play
from tests.conftest import Builder, run_cli
from tests.fakes.google import account
from tests.fakes.google_play import PACKAGE
from tests.fakes.server import Fake, impatient
from tests.sources.second_tier import DAY, GooglePlayReviews, pulled, table

pytestmark = pytest.mark.breadth(3)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)


@pytest.fixture
def vendor() -> GooglePlayReviews:
    return GooglePlayReviews()


@pytest.fixture
def served(vendor: GooglePlayReviews, project: Builder) -> Iterator[Fake]:
    with Fake(vendor.app) as fake:
        project.source(vendor.entry(fake.url, project.folder))
        yield fake


def test_rows_stay_when_google_forgets_them(project: Builder, vendor: GooglePlayReviews, served: Fake) -> None:
    vendor.begin()
    for _ in range(4):
        assert not pulled(project, vendor, 5 * DAY).failed
        vendor.fake.review(2)
    run = pulled(project, vendor, 60, full=True)
    assert table(project, vendor) == vendor.truth() and len(vendor.truth()) == 15
    assert run.sources[0].notes == ("its rows stay: the source gives only what is recent, so nothing was pulled anew",)
    again = pulled(project, vendor, 60)
    assert not again.published and again.sources[0].notes == ()


def test_days_that_no_pull_reached_are_told_from_then_on(
    project: Builder, vendor: GooglePlayReviews, served: Fake
) -> None:
    vendor.fake.review(4)
    assert pulled(project, vendor, DAY).sources[0].notes == ()  # 14 November
    vendor.fake.review(4)
    assert pulled(project, vendor, 7 * DAY).sources[0].notes == ()
    vendor.fake.review(4)
    lost = vendor.fake.review(1)
    vendor.fake.now += 9 * DAY
    vendor.fake.review(5)
    (note,) = pulled(project, vendor, 3600).sources[0].notes
    assert note.startswith("reviews of 21 Nov 2026 to 23 Nov 2026 may be missing") and lost not in table_ids(project)
    vendor.fake.review(5)
    assert pulled(project, vendor, DAY).sources[0].notes == (note,), "it stays so"
    vendor.fake.review(5)
    first, second = pulled(project, vendor, 10 * DAY).sources[0].notes
    assert first == note and "1 Dec 2026 to 4 Dec 2026" in second
    assert first in run_cli("sync", "--json", "--project", str(project.folder)).stdout


def table_ids(project: Builder) -> set[str]:
    return set(project.open().reader().frame("SELECT id FROM it")["id"])


def test_no_review_in_a_week_is_no_error(project: Builder, vendor: GooglePlayReviews, served: Fake) -> None:
    first = pulled(project, vendor)
    assert not first.failed and first.sources[0].rows == 0 and len(served.seen) == 2
    vendor.fake.review(4)
    assert not pulled(project, vendor).failed and table(project, vendor) == vendor.truth()


def test_an_edit_between_pages_is_there_next_time(
    project: Builder, vendor: GooglePlayReviews, served: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(google_play, "PAGE", 3)
    vendor.begin()

    def meanwhile() -> None:
        vendor.fake.now += 1
        vendor.fake.edit("gp:0", starRating=1)

    vendor.fake.between = meanwhile
    assert not pulled(project, vendor, 0).failed and set(table(project, vendor)) >= set(vendor.truth()) - {"gp:0"}
    vendor.fake.between = None
    assert not pulled(project, vendor).failed and table(project, vendor) == vendor.truth()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("full_every: 7d", "`full_every` finds nothing"),
        ("load: replace", "would lose or double rows"),
        ("key_json: x", "write either `key_file` or `key_json`"),
        ("package: shop", "'shop' is no package name"),
    ],
)
def test_options_that_do_not_fit_are_told(project: Builder, vendor: GooglePlayReviews, wrong: str, words: str) -> None:
    entry = vendor.entry("http://127.0.0.1:9", project.folder)
    if wrong.startswith("package"):
        entry = entry.replace(f"package: {PACKAGE}", wrong)
    else:
        entry = entry.replace("table: it", f"table: it, {wrong}")
    project.source(entry)
    assert words in project.open().sources.read()[1][0].message


# Of the documented shape.
ANSWER: dict[str, Any] = {
    "reviews": [
        {
            "reviewId": "12345678",
            "authorName": "Jane Bloggs",
            "comments": [
                {
                    "userComment": {
                        "text": "This is the best app ever!",
                        "lastModified": {"seconds": "1443676826", "nanos": 713000000},
                        "starRating": 5,
                    }
                }
            ],
        },
        {
            "reviewId": "11223344",
            "authorName": "John Doe",
            "comments": [
                {
                    "userComment": {
                        "text": "I love using this app!",
                        "lastModified": {"seconds": "1443676827", "nanos": 213000000},
                        "starRating": 4,
                        "reviewerLanguage": "en",
                        "device": "trltecan",
                        "androidOsVersion": 21,
                        "appVersionCode": 12345,
                        "appVersionName": "1.2.3",
                        "thumbsUpCount": 10,
                        "thumbsDownCount": 3,
                        "deviceMetadata": {"productName": "E5333", "deviceClass": "phone", "ramMb": 3072},
                    }
                },
                {
                    "developerComment": {
                        "text": "That's great to hear!",
                        "lastModified": {"seconds": "1423101467", "nanos": 813000000},
                    }
                },
            ],
        },
    ],
    "tokenPagination": {},
}


def test_the_documented_answer_is_read(project: Builder, vendor: GooglePlayReviews) -> None:
    async def answer(_: Request) -> Response:
        return JSONResponse(ANSWER)

    path = f"/androidpublisher/v3/applications/{PACKAGE}/reviews"
    with Fake(Starlette(routes=[vendor.fake.tokens.route, Route(path, answer)])) as fake:
        project.source(vendor.entry(fake.url, project.folder))
        run = project.sync().sources[0]
        assert run.rows == 2 and not run.quarantined
    frame = project.open().reader().frame("SELECT * FROM it ORDER BY id")
    full, short = [{c: f"{v}" for c, v in row.items() if v == v and v is not None} for row in frame.to_dict("records")]
    assert short == {
        "id": "12345678",
        "package": PACKAGE,
        "modified_at": "2015-10-01 05:20:26",
        "rating": "5",
        "text": "This is the best app ever!",
        "author": "Jane Bloggs",
    }
    assert {c: v.removesuffix(".0") for c, v in full.items()} == {
        "id": "11223344",
        "package": PACKAGE,
        "modified_at": "2015-10-01 05:20:27",
        "rating": "4",
        "text": "I love using this app!",
        "author": "John Doe",
        "language": "en",
        "app_version": "1.2.3",
        "app_version_code": "12345",
        "android_version": "21",
        "device": "trltecan",
        "device_class": "phone",
        "thumbs_up": "10",
        "thumbs_down": "3",
        "reply": "That's great to hear!",
        "replied_at": "2015-02-05 01:57:47",
    }


def test_the_key_may_stand_in_the_environment(
    project: Builder, vendor: GooglePlayReviews, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor.begin()
    with Fake(vendor.app) as fake:
        monkeypatch.setenv("GOOGLE_PLAY_KEY", account(fake.url))
        entry = vendor.entry(fake.url, project.folder)
        project.source(entry.replace("key_file: play.json", 'key_json: "${GOOGLE_PLAY_KEY}"'))
        assert not pulled(project, vendor).failed and table(project, vendor) == vendor.truth()
