"""What the suite of the second tier asks of a vendor's fake: a truth that changes, and its entry of sources.yml."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from starlette.applications import Starlette

from connectors.sources import app_store, google_play, intercom
from jobs.sync import SyncResult
from tests.conftest import NOW, Builder
from tests.fakes import google
from tests.fakes.app_store import APP, ISSUER, KEY, KEY_ID, AppStore
from tests.fakes.google_play import PACKAGE, GooglePlay
from tests.fakes.google_sheets import SHEET, GoogleSheets
from tests.fakes.intercom import TOKEN, Intercom

NOW_S = int(NOW.timestamp())
HOUR, DAY = 3600, 86_400
Rows = dict[str, dict[str, Any]]


class Vendor:
    """A source type over its fake. page: module and name of its page size; secrets: what nothing may show."""

    type = ""
    page: tuple[Any, str] = (None, "")
    secrets: tuple[str, ...] = ()
    tells_deletions = False
    key = "id"
    app: Starlette
    fake: Any

    def entry(self, url: str, folder: Path) -> str:
        """Its entry of sources.yml; keys go to files of the folder."""
        raise NotImplementedError

    def begin(self) -> None:
        """What there is at the first sync: more than three pages of three."""
        raise NotImplementedError

    def go_on(self) -> None:
        """Something new, something edited, and something deleted where the API tells."""
        raise NotImplementedError

    def delete(self) -> None:
        """Something goes that was there at the first sync."""
        raise NotImplementedError

    def truth(self) -> Rows:
        """The key → columns and values that the table must have; moments as ISO texts."""
        raise NotImplementedError

    def tick(self, seconds: int) -> datetime:
        """Time passes at the vendor; what time it is then."""
        self.fake.now += seconds
        return datetime.fromtimestamp(self.fake.now, UTC)


def iso(seconds: int) -> str:
    """A moment as `Vendor.truth` has it."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


class Conversations(Vendor):
    """Intercom's conversations."""

    type = "intercom"
    page = (intercom, "PAGE")
    secrets = (TOKEN,)

    def __init__(self) -> None:
        self.fake = Intercom(NOW_S - 10 * DAY)
        self.app = self.fake.app

    def entry(self, url: str, folder: Path) -> str:
        return f"- {{name: it, type: intercom, table: it, url: '{url}', token: {TOKEN}}}"

    def begin(self) -> None:
        for number in range(11):
            key = self.fake.open(contact=f"c{number % 4}")
            self.fake.now += (number % 3) * 500  # several of one second
            if number % 2:
                self.fake.reply(key, 60 * number)

    def go_on(self) -> None:
        self.fake.now += HOUR * 30
        self.fake.rate("2", 4, "é & <b>fine</b>")
        self.fake.change("5", state="closed", open=False)
        self.fake.now += 1
        self.fake.open(source={"type": "email", "subject": "Bill", "body": "<p>a</p><p>b&amp;c</p>"})
        for _ in range(4):
            self.fake.open()
            self.fake.now += 40

    def delete(self) -> None:
        del self.fake.conversations["3"]

    def truth(self) -> Rows:
        return {key: self._row(c) for key, c in self.fake.conversations.items()}

    @staticmethod
    def _row(c: dict[str, Any]) -> dict[str, Any]:
        rating, said = c["conversation_rating"] or {}, c["statistics"] or {}
        texts = {"<p>a</p><p>b&amp;c</p>": "a\nb&c"}
        body = c["source"]["body"]
        return {
            "created_at": iso(c["created_at"]),
            "updated_at": iso(c["updated_at"]),
            "state": c["state"],
            "channel": c["source"]["type"],
            "body": texts.get(body, body.removeprefix("<p>").removesuffix("</p>")),
            "contact_id": c["contacts"]["contacts"][0]["id"],
            "rating": rating.get("rating"),
            "rating_remark": rating.get("remark"),
            "first_reply_seconds": said.get("time_to_admin_reply"),
        }


class Contacts(Vendor):
    """Intercom's contacts."""

    type = "intercom"
    page = (intercom, "PAGE")
    secrets = (TOKEN,)

    def __init__(self) -> None:
        self.fake = Intercom(NOW_S - 10 * DAY)
        self.app = self.fake.app

    def entry(self, url: str, folder: Path) -> str:
        return f"- {{name: it, type: intercom, resource: contacts, table: it, url: '{url}', token: {TOKEN}}}"

    def begin(self) -> None:
        for number in range(11):
            self.fake.contact(f"c{number}", email=f"{number}@example.com", custom_attributes={"plan": "pro"})
            self.fake.now += number * 4000

    def go_on(self) -> None:
        self.fake.now += HOUR
        self.fake.contact("c2", name="Ana")
        self.fake.now += 1
        for number in range(20, 25):
            self.fake.contact(f"c{number}")
            self.fake.now += 40

    def delete(self) -> None:
        del self.fake.contacts["c3"]

    def truth(self) -> Rows:
        return {key: self._row(c) for key, c in self.fake.contacts.items()}

    @staticmethod
    def _row(c: dict[str, Any]) -> dict[str, Any]:
        moments = {name: iso(c[name]) for name in ("created_at", "updated_at")}
        attributes = json.dumps(c["custom_attributes"], separators=(",", ":")) if "custom_attributes" in c else None
        return {**moments, "email": c.get("email"), "name": c.get("name"), "custom_attributes": attributes}


class AppStoreReviews(Vendor):
    """Reviews of App Store Connect."""

    type = "app_store"
    page = (app_store, "PAGE")
    secrets = (KEY, KEY.splitlines()[1])
    tells_deletions = True

    def __init__(self) -> None:
        self.fake = AppStore(NOW_S - 20 * DAY)
        self.app = self.fake.app

    def entry(self, url: str, folder: Path) -> str:
        (folder / "AuthKey.p8").write_text(KEY)
        own = f"app_id: {APP}, issuer: {ISSUER}, key_id: {KEY_ID}, key_file: AuthKey.p8"
        return f"- {{name: it, type: app_store, table: it, url: '{url}', {own}}}"

    def begin(self) -> None:
        for number in range(11):
            self.fake.review(number % 5 + 1, body=f"é {number}")
            self.fake.now += (number % 3) * 40_000

    def go_on(self) -> None:
        self.fake.now += HOUR
        keys = list(self.fake.reviews)
        self.fake.reviews[keys[4]] |= {"rating": 1, "body": "edited"}  # its date stays
        self.fake.answer(keys[9], "Thanks!")
        for _ in range(4):
            self.fake.now += 40
            self.fake.review(5)

    def delete(self) -> None:
        del self.fake.reviews[list(self.fake.reviews)[3]]

    def truth(self) -> Rows:
        return {key: self._row(key, review) for key, review in self.fake.reviews.items()}

    def _row(self, key: str, review: dict[str, Any]) -> dict[str, Any]:
        answer = self.fake.answers.get(key, {})
        created = datetime.fromisoformat(review["createdDate"]).astimezone(UTC)
        plain = {name: review[name] for name in ("rating", "title", "body", "territory")}
        said = {"response": answer.get("responseBody"), "response_state": answer.get("state")}
        return {"created_at": f"{created:%Y-%m-%dT%H:%M:%SZ}", "reviewer": review["reviewerNickname"], **plain, **said}


class GooglePlayReviews(Vendor):
    """Reviews of Google Play, which is asked within a week of each."""

    type = "google_play"
    page = (google_play, "PAGE")
    secrets = (google.KEY, google.KEY.splitlines()[1], google.TOKEN)

    def __init__(self) -> None:
        self.fake = GooglePlay(NOW_S - 10 * DAY)
        self.app = self.fake.app
        self.gone: Rows = {}  # the API does not tell: their rows stay

    def entry(self, url: str, folder: Path) -> str:
        (folder / "play.json").write_text(google.account(url))
        return f"- {{name: it, type: google_play, table: it, url: '{url}', package: {PACKAGE}, key_file: play.json}}"

    def begin(self) -> None:
        for number in range(11):
            self.fake.review(number % 5 + 1, reviewerLanguage="en", appVersionName="1.2.3", thumbsUpCount=number)
            self.fake.now += (number % 3) * 4000

    def go_on(self) -> None:
        self.fake.now += HOUR
        self.fake.edit("gp:4", starRating=1, text="Title\tworse")
        self.fake.reply("gp:9", "Thanks!")
        for _ in range(4):
            self.fake.now += 40
            self.fake.review(5)

    def delete(self) -> None:
        self.gone["gp:3"] = self.truth()["gp:3"]
        del self.fake.reviews["gp:3"]

    def truth(self) -> Rows:
        return {**self.gone, **{key: self._row(review["comments"]) for key, review in self.fake.reviews.items()}}

    @staticmethod
    def _row(comments: list[dict[str, Any]]) -> dict[str, Any]:
        user = comments[0]["userComment"]
        reply = comments[1]["developerComment"] if len(comments) > 1 else None
        return {
            "modified_at": iso(int(user["lastModified"]["seconds"])),
            "rating": user["starRating"],
            "text": user["text"].strip(),
            "language": user.get("reviewerLanguage"),
            "app_version": user.get("appVersionName"),
            "thumbs_up": user.get("thumbsUpCount"),
            "reply": reply and reply["text"],
            "replied_at": reply and iso(int(reply["lastModified"]["seconds"])),
        }


class Range(Vendor):
    """A range of a Google Sheet, which is written as in Germany."""

    type = "google_sheets"
    secrets = (google.KEY, google.KEY.splitlines()[1], google.TOKEN)
    tells_deletions = True

    def __init__(self) -> None:
        self.fake = GoogleSheets(NOW_S - 10 * DAY)
        self.app = self.fake.app
        self.rows: Rows = {}

    def entry(self, url: str, folder: Path) -> str:
        (folder / "sheets.json").write_text(google.account(url))
        own = f"spreadsheet: {SHEET}, range: 'Plan 2026!A1:D', key_file: sheets.json"
        read = "dates: {day: dmy}, numbers: {revenue: '1.234,56'}, text_columns: [id]"
        return f"- {{name: it, type: google_sheets, table: it, url: '{url}', {own}, {read}}}"

    def put(self, key: str, day: int, revenue: float | None, note: str | None) -> None:
        """A row of the sheet."""
        self.rows[key] = {"day": f"2026-11-{day:02}T00:00:00Z", "revenue": revenue, "note": note}
        self.fill()

    def fill(self) -> None:
        """The tab, as Google shows it."""
        shown = [
            [key, f"{row['day'][8:10]}.11.2026", german(row["revenue"]), row["note"] or ""]
            for key, row in self.rows.items()
        ]
        self.fake.tabs["Plan 2026"] = [["id", "day", "revenue", "note"], *shown]

    def begin(self) -> None:
        for number in range(11):
            self.put(f"{number:03}", number + 1, 1234.5 * number, None if number % 2 else f'é "{number}"\nb')

    def go_on(self) -> None:
        self.put("004", 5, None, "changed")
        self.put("100", 13, 0.25, None)

    def delete(self) -> None:
        del self.rows["003"]
        self.fill()

    def truth(self) -> Rows:
        return dict(self.rows)


def german(number: float | None) -> str:
    """1.234,50 €"""
    return "" if number is None else f"{number:,.2f} €".replace(",", "x").replace(".", ",").replace("x", ".")


VENDORS: dict[str, type[Vendor]] = {
    "conversations": Conversations,
    "contacts": Contacts,
    "app_store": AppStoreReviews,
    "google_play": GooglePlayReviews,
    "google_sheets": Range,
}


def pulled(project: Builder, vendor: Vendor, later: int = 600, **options: Any) -> SyncResult:
    return project.sync(now=vendor.tick(later), **options)


def table(project: Builder, vendor: Vendor) -> Rows:
    """Key → row, what is empty as None, and only what the truth names."""
    frame = project.open().reader().frame("SELECT * FROM it")
    rows = {str(row[vendor.key]): {c: plain(v) for c, v in row.items()} for row in frame.to_dict("records")}
    truth = vendor.truth()
    columns = next(iter(truth.values())).keys()
    assert len(rows) == len(frame), "a row is there twice"
    return {key: {c: row[c] for c in columns} for key, row in rows.items()}


def plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return None if value is None or value is pd.NaT or value != value else value
