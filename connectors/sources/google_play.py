"""Reviews of Google Play. Google gives those of the last week only: what nobody pulled within it is lost.

So rows stay whatever a pull brings, a full pull too, and days that no pull reached are told with each sync.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import Field, field_validator, model_validator

from connectors.errors import SourceError
from connectors.sources.contract import (
    Batch,
    Cursor,
    Question,
    RecordField,
    SourceOptions,
    Starter,
)
from connectors.sources.rest.auth import ServiceAccount
from connectors.sources.rest.budget import shared
from connectors.sources.rest.client import Client
from connectors.sources.rest.paging import Records, at
from connectors.sources.rest.source import RestSource
from connectors.sources.rest.spool import Spool
from connectors.sources.rest.starting import reviews_table

SCOPE = "https://www.googleapis.com/auth/androidpublisher"
PAGE = 100  # reviews of one answer, the most there may be
LIMIT = (200, 3_600.0)  # requests for reviews of one app
WEEK = timedelta(days=7)
RIGHTS = "In the Play Console, invite the service account's address with the right *Reply to reviews* of the app."
FIELDS: Mapping[str, RecordField] = {
    "id": RecordField(("reviewId",)),
    "package": RecordField(("package",)),
    "modified_at": RecordField(("user", "lastModified", "seconds"), "epoch_s"),
    "rating": RecordField(("user", "starRating"), "BIGINT"),
    "text": RecordField(("text",)),
    "author": RecordField(("authorName",)),
    "language": RecordField(("user", "reviewerLanguage")),
    "app_version": RecordField(("user", "appVersionName")),
    "app_version_code": RecordField(("user", "appVersionCode"), "BIGINT"),
    "android_version": RecordField(("user", "androidOsVersion"), "BIGINT"),
    "device": RecordField(("user", "device")),
    "device_class": RecordField(("user", "deviceMetadata", "deviceClass")),
    "thumbs_up": RecordField(("user", "thumbsUpCount"), "BIGINT"),
    "thumbs_down": RecordField(("user", "thumbsDownCount"), "BIGINT"),
    "reply": RecordField(("developer", "text")),
    "replied_at": RecordField(("developer", "lastModified", "seconds"), "epoch_s"),
}


class GooglePlayOptions(SourceOptions):
    """Options of `type: google_play`."""

    primary_key: tuple[str, ...] = Field(("id",), description="Columns that name a row.")
    package: str = Field(description="Package name of the app, such as com.example.shop.")
    key_file: str = Field("", description="JSON file of a service account's key, relative to the project folder.")
    key_json: str = Field("", description="What is in that file, as ${NAME}, in place of `key_file`.")
    url: str = Field("https://androidpublisher.googleapis.com", description="Address of the API.")

    @field_validator("package")
    @classmethod
    def _name(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z]\w*(\.[A-Za-z]\w*)+", value):
            raise ValueError(f"'{value}' is no package name\nWrite it as the store's address has it: com.example.shop.")
        return value

    @model_validator(mode="after")
    def _fit(self) -> GooglePlayOptions:
        if bool(self.key_file) == bool(self.key_json):
            raise ValueError("write either `key_file` or `key_json`")
        if self.load not in (None, "merge"):
            raise ValueError(
                f"`load: {self.load}` would lose or double rows\nLeave it out: rows are merged by their id."
            )
        if self.full_every:
            raise ValueError("`full_every` finds nothing: Google gives reviews of the last week only\nLeave it out.")
        return self


class GooglePlay(RestSource):
    """Reviews of an app. The cursor is the moment of the last pull, and the days that none reached."""

    Options = GooglePlayOptions
    forgets = True
    example = (
        "- {name: google_play, type: google_play, table: google_play, package: com.example.shop, "
        "key_file: google-play.json}"
    )
    starter = Starter(
        (
            Question("package", "Package name of the app, such as com.example.shop"),
            Question("key_file", "JSON file of a service account's key, relative to the project folder"),
        ),
        (reviews_table(time="modified_at", dimensions="[rating, language, app_version]"),),
    )

    def pull(self, cursor: Cursor) -> Iterator[Batch]:
        """Yield the reviews that Google gives. Raises SourceError."""
        options: GooglePlayOptions = self.options
        gaps = [*cursor.get("gaps", "").split(), *self._missed(cursor)]
        done = {"pulled": self.now.astimezone(UTC).isoformat()} | ({"gaps": " ".join(gaps)} if gaps else {})
        self.notes += [_told(gap) for gap in gaps]
        with self._client() as client, Spool(options.name, FIELDS, self.now) as spool:
            for reviews in self._pages(client):
                for review in reviews:
                    spool.add({**_row(review), "package": options.package})
                if spool.full:
                    yield Batch(options.table, spool.take(), dict(cursor), covered=self.now)
            yield Batch(options.table, spool.take(), done, covered=self.now)

    def probe(self) -> str:
        """Ask for one page."""
        with self._client() as client:
            reviews = next(self._pages(client))
        return f"answers; {'has' if reviews else 'has no'} reviews of the last week"

    def _client(self) -> Client:
        options: GooglePlayOptions = self.options
        account = ServiceAccount(key_file=options.key_file, key_json=options.key_json, scope=SCOPE)
        return Client(
            options.url,
            place=self.place,
            auth=account.auth(self.place),
            budget=shared(options.url, options.package, LIMIT),
            rights=RIGHTS,
        )

    def _pages(self, client: Client) -> Iterator[Records]:
        """Pages of reviews; Google leaves the list out where there are none. Raises SourceError."""
        path = f"androidpublisher/v3/applications/{self.options.package}/reviews"
        token, made = "", set[str]()
        while True:
            body = client.get(path, {"maxResults": PAGE, **({"token": token} if token else {})}).body
            reviews = body.get("reviews", []) if isinstance(body, Mapping) else None
            if not isinstance(reviews, list):
                raise SourceError(
                    "the answer has no list of reviews", where=self.where, hint="`url` is the address of Google's API."
                )
            yield reviews
            made.add(token)
            token = str(at(body, "tokenPagination.nextPageToken") or "")
            if not token:
                return
            if token in made:
                raise SourceError(
                    "Google sends the same page of reviews again and again",
                    where=self.where,
                    hint="The next sync tries again.",
                    retryable=True,
                )

    def _missed(self, cursor: Cursor) -> list[str]:
        """The days from the last pull to a week ago, as 2026-11-01/2026-11-05; none where they met."""
        if "pulled" not in cursor:
            return []
        last, first = datetime.fromisoformat(cursor["pulled"]), self.now.astimezone(UTC) - WEEK
        return [f"{last.date()}/{first.date()}"] if last < first else []


def _told(gap: str) -> str:
    """A sentence on days whose reviews may be missing."""
    start, end = (datetime.fromisoformat(day) for day in gap.split("/"))
    return (
        f"reviews of {start:%-d %b %Y} to {end:%-d %b %Y} may be missing: Google gives those of the last week only, "
        "and nothing was pulled in time. Sync every day."
    )


def _row(review: Mapping[str, Any]) -> dict[str, Any]:
    """A review with the customer's comment and the answer to it, which are entries of one list."""
    comments = review.get("comments") or ()
    user: Mapping[str, Any] = next((c["userComment"] for c in comments if "userComment" in c), {})
    developer: Mapping[str, Any] = next((c["developerComment"] for c in comments if "developerComment" in c), {})
    text = user.get("originalText") or user.get("text")  # a title and a tab may stand before the text
    return {**review, "user": user, "developer": developer, "text": text.strip() if isinstance(text, str) else None}
