"""Customer reviews of App Store Connect, newest first, with the answers to them.

Apple tells neither when a review was edited nor which ones are gone, and a customer's new review takes the place of the
old one: the reviews of a look-back are read again at each sync, and those of it that are no longer there go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

from pydantic import Field, field_validator, model_validator

from connectors.settings import Span
from connectors.sources.contract import (
    FUTURE,
    Batch,
    Cursor,
    Question,
    RecordField,
    SourceOptions,
    Starter,
)
from connectors.sources.rest.auth import SignedToken
from connectors.sources.rest.budget import shared
from connectors.sources.rest.client import Client
from connectors.sources.rest.moments import moment
from connectors.sources.rest.paging import Asked, NextUrl, Page, at, pages
from connectors.sources.rest.source import RestSource
from connectors.sources.rest.spool import Spool
from connectors.sources.rest.starting import reviews_table

PAGE = 200  # reviews of one answer, the most there may be
LIMIT = (3_500, 3_600.0)  # requests of one key, as the documentation has it; each answer's header says the real one
RIGHTS = (
    "A team key (Users and Access, Integrations) needs the role Customer Support, App Manager or Admin; `issuer` and "
    "`key_id` stand there, too."
)
PASSED = (
    "reviews were taken away while pages were read, so one that stood behind them may have been passed over: "
    "a full pull (`kpi sync NAME --full`) finds it"
)
FIELDS: Mapping[str, RecordField] = {
    "id": RecordField(("id",)),
    "created_at": RecordField(("attributes", "createdDate"), "utc"),
    "rating": RecordField(("attributes", "rating"), "BIGINT"),
    "title": RecordField(("attributes", "title")),
    "body": RecordField(("attributes", "body")),
    "reviewer": RecordField(("attributes", "reviewerNickname")),
    "territory": RecordField(("attributes", "territory")),
    "response": RecordField(("response", "responseBody")),
    "response_state": RecordField(("response", "state")),
    "responded_at": RecordField(("response", "lastModifiedDate"), "utc"),
}


class AppStoreOptions(SourceOptions):
    """Options of `type: app_store`."""

    primary_key: tuple[str, ...] = Field(("id",), description="Columns that name a row.")
    app_id: str = Field(description="Number of the app: Apple ID in App Store Connect, App Information.")
    issuer: str = Field(description="Issuer ID of the team's keys.")
    key_id: str = Field(description="ID of the key.")
    key_file: str = Field("", description="The key's .p8 file, relative to the project folder.")
    key: str = Field("", description="What is in that file, as ${NAME}, in place of `key_file`.")
    url: str = Field("https://api.appstoreconnect.apple.com", description="Address of the API.")
    start: date | None = Field(None, description="Only reviews from this day on (UTC); default: all there are.")
    lookback: Span = Field(
        timedelta(days=30), description="How far before the newest review they are read again, for what changed."
    )

    @field_validator("app_id", mode="before")
    @classmethod
    def _number(cls, value: Any) -> str:
        found = str(value)
        if not found.isdigit():
            raise ValueError(
                f"'{value}' is no number of an app\nIt stands in App Store Connect as Apple ID: 682658836."
            )
        return found

    @model_validator(mode="after")
    def _fit(self) -> AppStoreOptions:
        if bool(self.key_file) == bool(self.key):
            raise ValueError("write either `key_file` or `key`")
        if self.load not in (None, "merge"):
            raise ValueError(f"`load: {self.load}` would keep rows twice\nLeave it out: rows are merged by their id.")
        if self.columns.get("created_at") in ("hash", "drop"):
            raise ValueError("`created_at` says which reviews are gone, so it stays\nIt can have another name.")
        return self


class AppStore(RestSource):
    """Reviews of an app. The cursor is the moment of the newest one, by app."""

    Options = AppStoreOptions
    example = """\
- name: app_store
  type: app_store
  table: app_store
  app_id: 682658836
  issuer: 57246542-96fe-1a63-e053-0824d011072a
  key_id: 2X9R4HXF34
  key_file: AuthKey_2X9R4HXF34.p8"""
    starter = Starter(
        (
            Question("app_id", "Number of the app (Apple ID in App Store Connect, App Information)"),
            Question("issuer", "Issuer ID (Users and Access, Integrations)"),
            Question("key_id", "ID of the key"),
            Question("key_file", "The key's .p8 file, relative to the project folder"),
        ),
        (reviews_table(time="created_at", dimensions="[rating, territory]"),),
    )

    def pull(self, cursor: Cursor) -> Iterator[Batch]:
        """Yield reviews down to the look-back before the newest known one. Raises SourceError."""
        options: AppStoreOptions = self.options
        known = moment(cursor.get(options.app_id))
        first, newest = self._first(known), known
        anew = known is None
        totals: list[Any] = []
        with self._client() as client, Spool(options.name, FIELDS, self.now) as spool:
            for page in self._pages(client, first):
                totals.append(at(page.answer.body, "meta.paging.total"))
                for review in _answered(page):
                    created = moment(at(review, "attributes.createdDate"))
                    if first is None or created is None or created >= first:
                        spool.add(review)
                    newest = self._newer(newest, created)
                if spool.full:
                    yield Batch(options.table, spool.take(), dict(cursor), anew, covered=newest)
                    anew = False
            done = {} if newest is None else {options.app_id: newest.isoformat()}
            # A review that goes while pages are read moves another to a page that was read: nobody is told gone then.
            gone = ("created_at", first.replace(tzinfo=None)) if first and _steady(totals) else None
            if known is None and _fell(totals):
                self.notes.append(PASSED)
            yield Batch(options.table, spool.take(), done, anew, covered=newest, all_from=gone)

    def probe(self) -> str:
        """Ask for one review."""
        with self._client() as client:
            body = client.get(f"v1/apps/{self.options.app_id}/customerReviews", {"limit": 1}).body
        total = at(body, "meta.paging.total")
        return f"answers; {total:,} reviews with words" if isinstance(total, int) else "answers"

    def _client(self) -> Client:
        options: AppStoreOptions = self.options
        signed = SignedToken(
            issuer=options.issuer, key_id=options.key_id, key_file=options.key_file, key=options.key, minutes=15
        )
        return Client(
            options.url,
            place=self.place,
            auth=signed.auth(self.place),
            budget=shared(options.url, options.key_id, LIMIT),
            rights=RIGHTS,
        )

    def _first(self, known: datetime | None) -> datetime | None:
        """From when on reviews are read; None = all there are."""
        options: AppStoreOptions = self.options
        start = datetime.combine(options.start, datetime.min.time(), UTC) if options.start else None
        if known is None:
            return start
        return max(start, known - options.lookback) if start else known - options.lookback

    def _pages(self, client: Client, first: datetime | None) -> Iterator[Page]:
        """Pages, newest review first, until one ends before `first`."""
        asked = Asked(
            f"v1/apps/{self.options.app_id}/customerReviews",
            {"sort": "-createdDate", "limit": PAGE, "include": "response"},
        )
        for page in pages(client, asked, NextUrl(path="links.next"), "data", where=self.where):
            yield page
            times = [moment(at(review, "attributes.createdDate")) for review in page.records]
            told = [time for time in times if time is not None]
            if first and told and told == sorted(told, reverse=True) and told[-1] < first:
                return

    def _newer(self, newest: datetime | None, created: datetime | None) -> datetime | None:
        """The later of two moments. One in the future does not count, or nothing would be new any more."""
        if created is None or created > self.now + FUTURE:
            return newest
        return created if newest is None else max(newest, created)


def _steady(totals: list[Any]) -> bool:
    """Whether each page tells of the same number of reviews in all."""
    return len(totals) == 1 or (len(set(totals)) == 1 and None not in totals)


def _fell(totals: list[Any]) -> bool:
    """Whether a page tells of fewer reviews than the one before it."""
    told = [total for total in totals if isinstance(total, int)]
    return any(after < before for before, after in pairwise(told))


def _answered(page: Page) -> Iterator[dict[str, Any]]:
    """The reviews of a page, each with the answer to it, which stands beside them under its own id."""
    included = at(page.answer.body, "included") or ()
    answers = {one.get("id"): one.get("attributes") for one in included}
    for review in page.records:
        yield {**review, "response": answers.get(at(review, "relationships.response.data.id"))}
