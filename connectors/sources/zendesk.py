"""Zendesk Support: tickets with their times of reply and resolution, by the incremental export; ratings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from connectors.settings import Span
from connectors.sources.contract import (
    FUTURE,
    Batch,
    Cursor,
    FileScan,
    Question,
    RecordField,
    SourceOptions,
    Starter,
    StarterTable,
)
from connectors.sources.rest.auth import Basic, Bearer
from connectors.sources.rest.budget import Budget
from connectors.sources.rest.client import Client
from connectors.sources.rest.moments import moment
from connectors.sources.rest.paging import Asked, awaited, pages, records_of
from connectors.sources.rest.paging import Cursor as AfterCursor
from connectors.sources.rest.source import RestSource
from connectors.sources.rest.spool import Spool
from connectors.sources.rest.windows import Kept

EXPORT = "api/v2/incremental/tickets/cursor.json"
RATINGS = "api/v2/satisfaction_ratings.json"
TICKETS, PAGE = 1000, 100  # of one answer, the most that Zendesk gives
MINUTE = 60.0  # seconds, over which requests are counted
RATE = 200  # requests of others than the export that the smallest plan allows in a minute


class ZendeskOptions(SourceOptions):
    """Options of `type: zendesk`."""

    resource: Literal["tickets", "satisfaction_ratings"] = Field(
        description="What the table holds: tickets, with their metrics, or satisfaction_ratings."
    )
    url: str = Field(description="Address of the help desk, such as https://example.zendesk.com")
    email: str = Field("", description="E-mail address of the user whose API token it is.")
    token: str = Field("", description="API token, as ${ZENDESK_TOKEN}.")
    oauth_token: str = Field("", description="OAuth access token in place of `email` and `token`, as ${NAME}.")
    start: date | None = Field(
        None, description="Only what changed from this day on (UTC), such as 2025-01-01; default: all there is."
    )
    custom_fields: dict[str, str] = Field(
        default_factory=dict, description="Column → id of a ticket's custom field, such as {plan: 360012}."
    )
    per_minute: int = Field(
        10, ge=1, description="Requests a minute that the export allows: 10, or 30 with the High Volume API add-on."
    )
    lookback: Span = Field(
        timedelta(days=30), description="How far back satisfaction_ratings are asked for again, for those that changed."
    )
    primary_key: tuple[str, ...] = Field(("id",), description="Columns that name a row.")

    @model_validator(mode="before")
    @classmethod
    def _ids_as_text(cls, data: Any) -> Any:
        stated = data.get("custom_fields") if isinstance(data, Mapping) else None
        if not isinstance(stated, Mapping):
            return data
        return {**data, "custom_fields": {c: str(i) if isinstance(i, int) else i for c, i in stated.items()}}

    @model_validator(mode="after")
    def _fit(self) -> ZendeskOptions:
        if bool(self.oauth_token) == bool(self.email and self.token):
            raise ValueError("write either `email` and `token`, or `oauth_token`")
        if self.load in ("append", "replace"):
            raise ValueError("a ticket that changed takes the place of its row, so `load` is merge\nLeave it out.")
        if taken := sorted({*self.custom_fields} & {*FIELDS["tickets"]}):
            raise ValueError(f"`custom_fields`: '{taken[0]}' is a column of every ticket\nChoose another name.")
        return self


@dataclass(frozen=True)
class Exported:
    """One page of the export, as a file. after: the cursor of the next one; last: whether that was all for now."""

    path: Path
    after: str
    rows: int
    last: bool
    covered: str  # the last ticket's updated_at


class Zendesk(RestSource):
    """Tickets by the export's own cursor, ratings by the moment of the newest change."""

    Options = ZendeskOptions
    example = (
        "- {name: tickets, type: zendesk, table: tickets, resource: tickets, url: https://example.zendesk.com, "
        'email: ana@example.com, token: "${ZENDESK_TOKEN}"}'
    )
    starter = Starter(
        (
            Question("url", "Address of the help desk, such as https://example.zendesk.com"),
            Question("email", "E-mail address of the user whose API token it is"),
            Question("token", "API token", secret=True),
        ),
        (
            StarterTable(
                "tickets",
                {"resource": "tickets"},
                "sql: SELECT * FROM <tickets> WHERE status != 'deleted'\ntime_dimension: created_at\n"
                "entity: requester_id\nprimary_key: id\ndimensions: [channel, priority, status]",
                {
                    "new_tickets": "label: New tickets\narea: Support\ndataset: <tickets>\nagg: count\n"
                    "direction: down_is_good",
                    "first_reply_minutes": "label: First reply (median minutes)\narea: Support\ndataset: <tickets>\n"
                    "agg: median\nexpr: first_reply_minutes\ngrain: week\ndirection: down_is_good",
                    "solved_share": "label: Solved share\narea: Support\ntype: ratio\n"
                    "numerator: {dataset: <tickets>, agg: count, filter: solved_at IS NOT NULL}\n"
                    "denominator: {dataset: <tickets>, agg: count}\ngrain: week\nformat: percent",
                    "tickets_per_requester": "label: Tickets per requester\narea: Support\ntype: ratio\n"
                    "numerator: {dataset: <tickets>, agg: count}\n"
                    "denominator: {dataset: <tickets>, agg: count_distinct, expr: requester_id}\ngrain: week\n"
                    "direction: down_is_good",
                },
            ),
            StarterTable(
                "ratings",
                {"resource": "satisfaction_ratings"},
                "time_dimension: updated_at\nentity: requester_id\nprimary_key: id",
                {
                    "csat": "label: CSAT\narea: Support\ntype: ratio\n"
                    "numerator: {dataset: <ratings>, agg: count, filter: \"score IN ('good', 'good_with_comment')\"}\n"
                    "denominator: {dataset: <ratings>, agg: count, filter: \"score IN ('good', 'good_with_comment', "
                    "'bad', 'bad_with_comment')\"}\ngrain: week\nformat: percent",
                },
            ),
        ),
    )

    def pull(self, cursor: Cursor) -> Iterator[Batch]:
        """What changed since the cursor. Raises SourceError, retryable if Zendesk was gone."""
        with self._client() as client:
            if self.options.resource == "tickets":
                yield from self._tickets(client, cursor.get("after", ""))
            else:
                yield from self._ratings(client, cursor)

    def probe(self) -> str:
        """Ask for one record."""
        with self._client() as client:
            if self.options.resource == "tickets":
                body = client.get(EXPORT, {"start_time": self._start(), "per_page": 1}).body
            else:
                body = client.get(RATINGS, {"page[size]": 1}).body
        found = records_of(body, self.options.resource, self.where)
        return f"answers; {'has' if found else 'has no'} {self.options.resource.replace('_', ' ')}"

    # ---- tickets

    def _tickets(self, client: Client, after: str) -> Iterator[Batch]:
        """Pages of the export to its end. Full ones wait in files: a long first pull goes on where it stopped."""
        options: ZendeskOptions = self.options
        restart = not after
        with Kept(self.kept, (options.url, options.start, after)) as kept:
            for number in count():
                page = self._page(client, kept.folder / f"{number:06}.jsonl", after)
                if page.rows or page.after != after or restart:
                    origin = f"{options.name} {self.now:%Y%m%dT%H%M%S} {number}.jsonl"
                    scan = FileScan(page.path, origin, "json", fields=self._fields(), now=self.now)
                    done = {"after": page.after} if page.after else {}
                    yield Batch(options.table, scan, done, restart, covered=moment(page.covered))
                after, restart = page.after, False
                if page.last:
                    return

    def _page(self, client: Client, path: Path, after: str) -> Exported:
        """A page that waits, or the one that Zendesk gives. The last one does not wait: more may be there by then."""
        waits = path.with_suffix(".json")
        if waits.exists():
            told = json.loads(waits.read_text(encoding="utf-8"))
            return Exported(path, told["after"], told["rows"], last=False, covered=told["covered"])
        asked = {"cursor": after} if after else {"start_time": self._start()}
        body = awaited(
            lambda: client.get(EXPORT, {**asked, "per_page": TICKETS, "include": "metric_sets"}).body,
            lambda found: bool(after) and found.get("after_cursor") == after and not found.get("end_of_stream"),
            where=self.where,
        )
        tickets = records_of(body, "tickets", self.where)
        with path.open("w", encoding="utf-8", errors="replace") as file:
            file.writelines(json.dumps(_with_fields(ticket), ensure_ascii=False) + "\n" for ticket in tickets)
        last = bool(body.get("end_of_stream")) or (body.get("after_cursor") or after) == after
        covered = str(tickets[-1].get("updated_at", "")) if tickets else ""
        page = Exported(path, body.get("after_cursor") or after, len(tickets), last, covered)
        if not last:
            part = path.with_suffix(".part")
            part.write_text(json.dumps({"after": page.after, "rows": page.rows, "covered": covered}), encoding="utf-8")
            part.replace(waits)
        return page

    def _start(self) -> int:
        start = self.options.start
        return int(datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp()) if start else 0

    # ---- ratings

    def _ratings(self, client: Client, cursor: Cursor) -> Iterator[Batch]:
        """Ratings from the look-back on: whether Zendesk means their creation or their change is not documented."""
        options: ZendeskOptions = self.options
        known = moment(cursor.get("value", ""))
        since = int((known - options.lookback).timestamp()) if known else 0
        since = max(since, self._start())
        paging = AfterCursor(
            param="page[after]", path="meta.after_cursor", more="meta.has_more", size_param="page[size]", size=PAGE
        )
        newest, restart = known, known is None
        with Spool(options.name, self._fields(), self.now) as spool:
            asked = Asked(RATINGS, {"start_time": since} if since else {})
            for page in pages(client, asked, paging, "satisfaction_ratings", where=self.where):
                for rating in page.records:
                    spool.add(rating)
                    newest = self._newer(newest, rating)
                if spool.full:
                    yield Batch(options.table, spool.take(), dict(cursor), restart, covered=newest)
                    restart = False
            if not spool.empty or restart:
                done = {"value": newest.isoformat()} if newest else {}
                yield Batch(options.table, spool.take(), done, restart, covered=newest)

    def _newer(self, newest: datetime | None, rating: Mapping[str, Any]) -> datetime | None:
        """The later of two moments; one in the future does not count."""
        changed = moment(str(rating.get("updated_at") or ""))
        if changed is None or changed > self.now + FUTURE:
            return newest
        return changed if newest is None else max(changed, newest)

    # ---- the API

    def _fields(self) -> dict[str, RecordField]:
        own = {column: RecordField(("custom_fields", i)) for column, i in self.options.custom_fields.items()}
        fields = FIELDS[self.options.resource]
        return {**fields, **own} if self.options.resource == "tickets" else dict(fields)

    def _client(self) -> Client:
        options: ZendeskOptions = self.options
        place = self.place
        if options.oauth_token:
            auth = Bearer(token=options.oauth_token).auth(place)
        else:
            auth = Basic(user=f"{options.email}/token", password=options.token).auth(place)
        count = options.per_minute if options.resource == "tickets" else RATE
        return Client(
            options.url,
            place=self.place,
            auth=auth,
            budget=Budget((count, MINUTE), where=self.where),
            rights="Exports and ratings are for admins: the token's user must be one, an OAuth token needs `read`.",
        )


def _with_fields(ticket: Mapping[str, Any]) -> dict[str, Any]:
    """A ticket whose custom fields are named by their id, where Zendesk has a list of id and value."""
    fields = {str(f["id"]): f.get("value") for f in ticket.get("custom_fields") or []}
    return {**ticket, "custom_fields": fields}


# ---- columns


def _field(path: str, type: str = "VARCHAR") -> RecordField:
    return RecordField(tuple(path.split(".")), type)


def _minutes(name: str, metric: str) -> dict[str, RecordField]:
    """A time of a ticket in minutes, of the calendar and of business hours."""
    return {
        f"{name}_minutes": _field(f"metric_set.{metric}_in_minutes.calendar", "BIGINT"),
        f"{name}_business_minutes": _field(f"metric_set.{metric}_in_minutes.business", "BIGINT"),
    }


FIELDS: Mapping[str, Mapping[str, RecordField]] = {
    "tickets": {
        "id": _field("id", "BIGINT"),
        "created_at": _field("created_at", "utc"),
        "updated_at": _field("updated_at", "utc"),
        "status": _field("status"),
        "priority": _field("priority"),
        "type": _field("type"),
        "subject": _field("subject"),
        "channel": _field("via.channel"),
        "requester_id": _field("requester_id", "BIGINT"),
        "submitter_id": _field("submitter_id", "BIGINT"),
        "assignee_id": _field("assignee_id", "BIGINT"),
        "group_id": _field("group_id", "BIGINT"),
        "organization_id": _field("organization_id", "BIGINT"),
        "brand_id": _field("brand_id", "BIGINT"),
        "ticket_form_id": _field("ticket_form_id", "BIGINT"),
        "external_id": _field("external_id"),
        "due_at": _field("due_at", "utc"),
        "tags": _field("tags", "JSON"),
        "satisfaction_score": _field("satisfaction_rating.score"),
        "satisfaction_comment": _field("satisfaction_rating.comment"),
        "custom_fields": _field("custom_fields", "JSON"),
        "assigned_at": _field("metric_set.assigned_at", "utc"),
        "solved_at": _field("metric_set.solved_at", "utc"),
        "replies": _field("metric_set.replies", "BIGINT"),
        "reopens": _field("metric_set.reopens", "BIGINT"),
        **_minutes("first_reply", "reply_time"),
        **_minutes("first_resolution", "first_resolution_time"),
        **_minutes("full_resolution", "full_resolution_time"),
        **_minutes("requester_wait", "requester_wait_time"),
        **_minutes("agent_wait", "agent_wait_time"),
        **_minutes("on_hold", "on_hold_time"),
    },
    "satisfaction_ratings": {
        "id": _field("id", "BIGINT"),
        "created_at": _field("created_at", "utc"),
        "updated_at": _field("updated_at", "utc"),
        "score": _field("score"),
        "comment": _field("comment"),
        "reason": _field("reason"),
        "reason_code": _field("reason_code", "BIGINT"),
        "ticket_id": _field("ticket_id", "BIGINT"),
        "requester_id": _field("requester_id", "BIGINT"),
        "assignee_id": _field("assignee_id", "BIGINT"),
        "group_id": _field("group_id", "BIGINT"),
    },
}
