"""Intercom: conversations with their ratings and times of reply, and contacts, by the search API.

Conversations are asked for in the order in which they changed. Not page by page: one that changes meanwhile goes to the
end, and another slips to a page that was read. Each request begins anew at the moment that the last one ended with.
Contacts can be asked for by the day only, of the workspace's zone: they come last change first, until one is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from typing import Any, Literal

from pydantic import Field, model_validator

from connectors.settings import Span
from connectors.sources.contract import (
    FUTURE,
    Batch,
    Cursor,
    Question,
    RecordField,
    SourceOptions,
    Starter,
    StarterTable,
)
from connectors.sources.rest.auth import Bearer
from connectors.sources.rest.budget import shared
from connectors.sources.rest.client import Client
from connectors.sources.rest.paging import Records, at, records_of
from connectors.sources.rest.source import RestSource
from connectors.sources.rest.spool import Spool

VERSION = "2.14"  # of the API: other ones name other fields
PAGE = 150  # records of one answer, the most there may be
LIMIT = (1_666, 10.0)  # requests of one app: 10,000 a minute, counted over ten seconds
DAY = timedelta(days=1)
RECORDS = {"conversations": "conversations", "contacts": "data"}  # where they are in an answer
RIGHTS = (
    "The access token of an app (Developer Hub, Authentication) needs the rights to read conversations, and to read "
    "and list users."
)


class IntercomOptions(SourceOptions):
    """Options of `type: intercom`."""

    primary_key: tuple[str, ...] = Field(("id",), description="Columns that name a row.")
    token: str = Field(description="Access token of an app of the workspace, as ${INTERCOM_TOKEN}.")
    resource: Literal["conversations", "contacts"] = Field(
        "conversations", description="What is pulled: conversations with their ratings, or contacts (users and leads)."
    )
    url: str = Field(
        "https://api.intercom.io",
        description="Address of the API: https://api.eu.intercom.io or https://api.au.intercom.io where data is there.",
    )
    start: date | None = Field(
        None, description="Only what changed from this day on (UTC), such as 2026-01-01; default: all there is."
    )
    lookback: Span = Field(
        timedelta(hours=1), description="How far before the last change to ask again: the search lags behind."
    )

    @model_validator(mode="after")
    def _merged(self) -> IntercomOptions:
        if self.load not in (None, "merge"):
            raise ValueError(f"`load: {self.load}` would keep rows twice\nLeave it out: rows are merged by their id.")
        return self


class Intercom(RestSource):
    """What changed since the last change that was seen, a look-back before it. The cursor is that second."""

    Options = IntercomOptions
    example = '- {name: conversations, type: intercom, table: conversations, token: "${INTERCOM_TOKEN}"}'
    starter = Starter(
        (Question("token", "Access token of an app of the workspace", secret=True),),
        (
            StarterTable(
                "conversations",
                {"resource": "conversations"},
                "time_dimension: created_at\nentity: contact_id\nprimary_key: id\ndimensions: [channel, state]",
                {
                    "new_conversations": "label: New conversations\narea: Support\ndataset: <conversations>\n"
                    "agg: count\ndirection: down_is_good",
                    "csat": "label: CSAT\narea: Support\ntype: survey\ndataset: <conversations>\nscore: rating\n"
                    "scale: csat\ncomment: rating_remark\ngrain: week",
                    "first_reply_minutes": "label: First reply (median minutes)\narea: Support\n"
                    "dataset: <conversations>\nagg: median\nexpr: first_reply_seconds / 60.0\ngrain: week\n"
                    "direction: down_is_good",
                    "closed_share": "label: Closed share\narea: Support\ntype: ratio\n"
                    "numerator: {dataset: <conversations>, agg: count, filter: first_closed_at IS NOT NULL}\n"
                    "denominator: {dataset: <conversations>, agg: count}\ngrain: week\nformat: percent",
                    "conversations_per_contact": "label: Conversations per contact\narea: Support\ntype: ratio\n"
                    "numerator: {dataset: <conversations>, agg: count}\n"
                    "denominator: {dataset: <conversations>, agg: count_distinct, expr: contact_id}\ngrain: week\n"
                    "direction: down_is_good",
                },
            ),
        ),
    )

    def pull(self, cursor: Cursor) -> Iterator[Batch]:
        """Yield what changed since the cursor. Raises SourceError, retryable if Intercom was gone."""
        options: IntercomOptions = self.options
        resource: str = options.resource
        known = int(cursor[resource]) if resource in cursor else None
        newest, restart = known, known is None
        with self._client() as client, Spool(options.name, FIELDS[resource], self.now) as spool:
            found = self._conversations if resource == "conversations" else self._contacts
            for records in found(client, known):
                for record in records:
                    spool.add(_row(record))
                    newest = self._newer(newest, record)
                if spool.full:
                    yield Batch(options.table, spool.take(), dict(cursor), restart, covered=_moment(newest))
                    restart = False
            if not spool.empty or restart:
                done = {} if newest is None else {resource: str(newest)}
                yield Batch(options.table, spool.take(), done, restart, covered=_moment(newest))

    def probe(self) -> str:
        """Ask for one record."""
        with self._client() as client:
            records, _ = self._searched(client, 0, "descending", "", size=1)
        return f"answers; {'has' if records else 'has no'} {self.options.resource}"

    def _client(self) -> Client:
        options: IntercomOptions = self.options
        return Client(
            options.url,
            place=self.place,
            auth=Bearer(token=options.token).auth(self.place),
            headers={"Accept": "application/json", "Intercom-Version": VERSION},
            budget=shared(options.url, options.token, LIMIT),
            rights=RIGHTS,
        )

    # ---- what changed

    def _since(self, known: int | None) -> int:
        """The first second to ask for; 0 = all."""
        options: IntercomOptions = self.options
        start = options.start
        first = int(datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp()) if start else 0
        return first if known is None else max(first, known - int(options.lookback.total_seconds()))

    def _conversations(self, client: Client, known: int | None) -> Iterator[Records]:
        """From a second on, oldest change first. `>` may hold its own second or not, so the one before it is asked."""
        since, after = self._since(known), ""
        while True:
            records, following = self._searched(client, max(0, since - 1), "ascending", after)
            yield records
            if not records or not following:
                return
            times = [_changed(record) for record in records]
            if times == sorted(times) and times[-1] > since:
                since, after = times[-1], ""
            else:  # more of one second than a page holds, or not in the order that was asked for
                after = following

    def _contacts(self, client: Client, known: int | None) -> Iterator[Records]:
        """Last change first. `>` begins with the day after, where the workspace is, so two days before are asked."""
        since, after = self._since(known), ""
        day = max(0, since - int(2 * DAY.total_seconds()))
        while True:
            records, after = self._searched(client, day, "descending", after)
            times = [_changed(record) for record in records]
            yield [record for record, time in zip(records, times, strict=True) if time >= since]
            if not records or not after or (times == sorted(times, reverse=True) and times[-1] < since):
                return

    def _searched(self, client: Client, since: int, order: str, after: str, *, size: int = 0) -> tuple[Records, str]:
        """One page of what changed after `since`, and the token of the next one. Raises SourceError."""
        resource = self.options.resource
        body = {
            "query": {"field": "updated_at", "operator": ">", "value": since},
            "sort": {"field": "updated_at", "order": order},
            "pagination": {"per_page": size or PAGE} | ({"starting_after": after} if after else {}),
        }
        answer = client.ask("POST", f"{resource}/search", body=body).body
        records = records_of(answer, RECORDS[resource], self.where)
        return records, str(at(answer, "pages.next.starting_after") or "")

    def _newer(self, newest: int | None, record: Mapping[str, Any]) -> int | None:
        """The later of two changes. One in the future does not count, or nothing would be new any more."""
        changed = _changed(record)
        if not changed or changed > (self.now + FUTURE).timestamp():
            return newest
        return changed if newest is None else max(newest, changed)


def _changed(record: Mapping[str, Any]) -> int:
    """Seconds since 1970; 0 where none are told."""
    value = record.get("updated_at")
    return int(value) if isinstance(value, int | float) else 0


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _row(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record with what stands in its lists, and its HTML as plain text."""
    source = record.get("source") or {}
    contacts: Sequence[Mapping[str, Any]] = at(record, "contacts.contacts") or [{}]
    named: Sequence[Mapping[str, Any]] = at(record, "tags.tags") or ()
    return {
        **record,
        "contact": contacts[0],
        "tag_names": [tag.get("name") for tag in named],
        "subject": plain(source.get("subject")),
        "body": plain(source.get("body")),
    }


def plain(html: str | None) -> str | None:
    """HTML as text: a line for each paragraph, line break and item."""
    if html is None:
        return None
    text = _Text()
    text.feed(html)
    text.close()
    lines = (" ".join(line.split()) for line in "".join(text.parts).split("\n"))
    return "\n".join(line for line in lines if line)


class _Text(HTMLParser):
    """Gathers what is written between tags."""

    BREAKS = frozenset({"p", "br", "div", "li", "ul", "ol", "tr", "blockquote", "h1", "h2", "h3", "h4", "pre"})
    UNREAD = frozenset({"style", "script"})

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._unread = 0

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        self._unread += tag in self.UNREAD
        self.parts += ["\n"] if tag in self.BREAKS else []

    def handle_endtag(self, tag: str) -> None:
        self._unread -= tag in self.UNREAD and self._unread > 0
        self.parts += ["\n"] if tag in self.BREAKS else []

    def handle_data(self, data: str) -> None:
        # A line break of the HTML is a space.
        self.parts += [] if self._unread else [data.replace("\n", " ")]


# ---- columns


def _field(path: str, type: str = "VARCHAR") -> RecordField:
    return RecordField(tuple(path.split(".")), type)


COMMON = {
    "id": _field("id"),
    "created_at": _field("created_at", "epoch_s"),
    "updated_at": _field("updated_at", "epoch_s"),
}
FIELDS: Mapping[str, Mapping[str, RecordField]] = {
    "conversations": {
        **COMMON,
        "title": _field("title"),
        "state": _field("state"),
        "open": _field("open", "BOOLEAN"),
        "read": _field("read", "BOOLEAN"),
        "priority": _field("priority"),
        "channel": _field("source.type"),
        "initiated": _field("source.delivered_as"),
        "author_type": _field("source.author.type"),
        "subject": _field("subject"),
        "body": _field("body"),
        "contact_id": _field("contact.id"),
        "contact_external_id": _field("contact.external_id"),
        "admin_id": _field("admin_assignee_id"),
        "team_id": _field("team_assignee_id"),
        "tags": _field("tag_names", "JSON"),
        "waiting_since": _field("waiting_since", "epoch_s"),
        "snoozed_until": _field("snoozed_until", "epoch_s"),
        "rating": _field("conversation_rating.rating", "BIGINT"),
        "rating_remark": _field("conversation_rating.remark"),
        "rating_requested_at": _field("conversation_rating.created_at", "epoch_s"),
        "rating_updated_at": _field("conversation_rating.updated_at", "epoch_s"),
        "rated_admin_id": _field("conversation_rating.teammate.id"),
        "first_reply_seconds": _field("statistics.time_to_admin_reply", "BIGINT"),
        "first_close_seconds": _field("statistics.time_to_first_close", "BIGINT"),
        "last_close_seconds": _field("statistics.time_to_last_close", "BIGINT"),
        "median_reply_seconds": _field("statistics.median_time_to_reply", "BIGINT"),
        "first_asked_at": _field("statistics.first_contact_reply_at", "epoch_s"),
        "first_replied_at": _field("statistics.first_admin_reply_at", "epoch_s"),
        "first_closed_at": _field("statistics.first_close_at", "epoch_s"),
        "last_closed_at": _field("statistics.last_close_at", "epoch_s"),
        "reopens": _field("statistics.count_reopens", "BIGINT"),
        "assignments": _field("statistics.count_assignments", "BIGINT"),
        "parts": _field("statistics.count_conversation_parts", "BIGINT"),
        "ai_participated": _field("ai_agent_participated", "BOOLEAN"),
        "ai_resolution": _field("ai_agent.resolution_state"),
        "ai_rating": _field("ai_agent.rating", "BIGINT"),
        "custom_attributes": _field("custom_attributes", "JSON"),
    },
    "contacts": {
        **COMMON,
        "external_id": _field("external_id"),
        "role": _field("role"),
        "email": _field("email"),
        "name": _field("name"),
        "owner_id": _field("owner_id"),
        "signed_up_at": _field("signed_up_at", "epoch_s"),
        "last_seen_at": _field("last_seen_at", "epoch_s"),
        "last_replied_at": _field("last_replied_at", "epoch_s"),
        "last_contacted_at": _field("last_contacted_at", "epoch_s"),
        "unsubscribed": _field("unsubscribed_from_emails", "BOOLEAN"),
        "country": _field("location.country"),
        "browser": _field("browser"),
        "os": _field("os"),
        "language": _field("browser_language"),
        "custom_attributes": _field("custom_attributes", "JSON"),
    },
}
