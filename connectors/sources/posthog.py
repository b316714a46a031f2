"""PostHog: events, persons and their ids, asked for in HogQL, each page from the last row of the one before."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from connectors.errors import SourceError, counted
from connectors.settings import Span
from connectors.sources.contract import Batch, FileScan, IdLink, Question, RecordField, SourceOptions, Starter
from connectors.sources.rest.auth import Bearer
from connectors.sources.rest.budget import shared
from connectors.sources.rest.client import Client
from connectors.sources.rest.events import SAID, Properties, with_properties
from connectors.sources.rest.paging import awaited
from connectors.sources.rest.source import RestSource
from connectors.sources.rest.spool import Spool
from connectors.sources.rest.starting import START, events_table
from connectors.sources.rest.windows import Window, received, windows

A_MINUTE = 240  # requests
AT_ONCE = 2
DAY = timedelta(days=1)
MOST_ROWS = 50_000  # of one query
RIGHTS = "A personal API key needs the scope Query Read (query:read) and access to the project `project_id`."


@dataclass(frozen=True)
class Resource:
    """select: what is asked for, a column each. order: what pages go by, and names a row. columns: what they are."""

    table: str
    select: tuple[str, ...]
    order: tuple[str, ...]
    key: str
    columns: Mapping[str, RecordField]


RESOURCES = {
    "events": Resource(
        "events",
        ("uuid", "event", "timestamp", "created_at", "distinct_id", "person_id", "`$session_id`", "properties"),
        ("timestamp", "toString(uuid)"),
        "uuid",
        {
            "uuid": RecordField(("uuid",)),
            "event": RecordField(("event",)),
            "timestamp": RecordField(("timestamp",), "utc"),
            "created_at": RecordField(("created_at",), "utc"),
            "distinct_id": RecordField(("distinct_id",)),
            "person_id": RecordField(("person_id",)),
            "session_id": RecordField(("$session_id",)),
            "properties": RecordField(("properties",), "JSON"),
        },
    ),
    "persons": Resource(
        "persons",
        ("id", "created_at", "is_identified", "properties"),
        ("toString(id)",),
        "id",
        {
            "id": RecordField(("id",)),
            "created_at": RecordField(("created_at",), "utc"),
            "is_identified": RecordField(("is_identified",), "BOOLEAN"),
            "properties": RecordField(("properties",), "JSON"),
        },
    ),
    "distinct_ids": Resource(
        "person_distinct_ids",
        ("distinct_id", "person_id"),
        ("distinct_id",),
        "distinct_id",
        {"distinct_id": RecordField(("distinct_id",)), "person_id": RecordField(("person_id",))},
    ),
}


class PosthogOptions(SourceOptions):
    """Options of `type: posthog`."""

    url: str = Field(
        "https://us.posthog.com", description="Where the project is: https://eu.posthog.com, or a host of your own."
    )
    api_key: str = Field(description="Personal API key with the scope Query Read, as ${NAME}.")
    project_id: str = Field(description="Number of the project.")
    resource: Literal["events", "persons", "distinct_ids"] = Field(
        "events", description="events, persons (whole at each sync), or distinct_ids: which ids are which person."
    )
    start: date | None = Field(None, description="First day of events to pull, such as 2026-01-01.")
    events: tuple[str, ...] = Field((), description="Names of events, where not all are wanted.")
    properties: Properties = Field(default_factory=dict, description=SAID)
    lookback: Span = Field(timedelta(days=2), description="How far before the last pull to ask again for late events.")
    window: Span = Field(DAY, description="Span of events that waits for the next attempt as a piece.")
    page: int = Field(10_000, ge=1, le=MOST_ROWS, description="Rows of one query, 50000 at most.")
    hourly: int = Field(1200, ge=1, description="Queries an hour that PostHog allows the project.")
    primary_key: tuple[str, ...] = Field((), description="Columns that name a row: uuid, id or distinct_id.")

    @model_validator(mode="before")
    @classmethod
    def _keyed(cls, data: Any) -> Any:
        resource = RESOURCES.get(str(data.get("resource", "events"))) if isinstance(data, Mapping) else None
        return {"primary_key": (resource.key,), **data} if resource else data

    @field_validator("project_id", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) else value

    @model_validator(mode="after")
    def _fit(self) -> PosthogOptions:
        if self.resource == "events" and self.start is None:
            raise ValueError("events need `start`, the first day to pull, such as 2026-01-01")
        if self.resource != "events" and (self.start or self.events):
            raise ValueError(f"`start` and `events` are of events; {self.resource} come whole")
        if self.load_mode != "merge":
            raise ValueError("rows come again with each pull, so they are merged by `primary_key`\nLeave `load` out.")
        if not self.window:
            raise ValueError("`window` is a span such as 1d")
        self.fields()
        return self

    def fields(self) -> dict[str, RecordField]:
        """Columns. Raises ValueError."""
        return with_properties(RESOURCES[self.resource].columns, ("properties",), self.properties)


class Posthog(RestSource):
    """Rows of one table of a project. The cursor of events is the moment up to which they were received."""

    Options = PosthogOptions
    example = (
        '- {name: posthog, type: posthog, table: events, api_key: "${POSTHOG_API_KEY}", project_id: 42, '
        "start: 2026-01-01}"
    )
    starter = Starter(
        (
            Question("project_id", "Number of the project"),
            Question("api_key", "Personal API key with the scope Query Read", secret=True),
            Question("start", START),
            Question("url", "Where the project is", "https://us.posthog.com"),
        ),
        (events_table(time="timestamp", who="person_id", event="event", key="uuid"),),
    )

    def id_links(self) -> tuple[IdLink, ...]:
        """Of distinct_ids, PostHog's own persons; of events, what clients said."""
        if self.options.resource == "distinct_ids":
            return (IdLink(("person_id",), ("distinct_id",), merges=True),)
        if self.options.resource == "persons":
            return ()
        anonymous = IdLink(
            ("distinct_id",), ("properties", "$anon_distinct_id"), "timestamp", event=("event", "$identify")
        )
        merged = [
            IdLink(("distinct_id",), ("properties", "alias"), "timestamp", merges=True, event=("event", name))
            for name in ("$create_alias", "$merge_dangerously")
        ]
        return anonymous, *merged

    def pull(self, cursor: Mapping[str, str]) -> Iterator[Batch]:
        """Yield batches: events by spans of time, anything else in whole. Raises SourceError."""
        with self._client() as client:
            if self.options.resource == "events":
                yield from self._events(client, datetime.fromisoformat(cursor["until"]) if cursor else None)
            else:
                yield from self._whole(client)

    def probe(self) -> str:
        """Ask for one row."""
        with self._client() as client:
            rows = self._page(client, [], (), 1)[0]
        return f"answers, and accepts the key; {'there are rows' if rows else 'there is no row yet'}"

    def _events(self, client: Client, known: datetime | None) -> Iterator[Batch]:
        """Events up to now. Days are settled when their look-back is over; those after it are asked for each time."""
        options: PosthogOptions = self.options
        assert options.start is not None
        start = datetime(options.start.year, options.start.month, options.start.day, tzinfo=UTC)
        end = self.now.astimezone(UTC).replace(microsecond=0)
        begin = max(start, known - options.lookback) if known else start
        ripe = (end - options.lookback).replace(hour=0, minute=0, second=0)
        settled = max(begin, ripe)
        spans = windows(begin, settled, options.window), windows(settled, end, max(end - settled, DAY))
        mark = (options.url, options.project_id, options.events, known)

        def fetch(window: Window, path: Path) -> None:
            part = path.with_name(f"{path.name}.part")
            with part.open("wb") as file:
                for record in self._records(client, self._within(window)):
                    file.write(json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
            part.replace(path)

        for window, path in received(self.kept, mark, spans, fetch, suffix=".jsonl", at_once=AT_ONCE):
            done = max(known, window.end) if known else window.end
            name = f"{options.name} {window.name}.jsonl"
            scan = FileScan(path, name, "json", fields=options.fields(), now=self.now)
            yield Batch(options.table, scan, {"until": done.isoformat()}, covered=window.end)

    def _whole(self, client: Client) -> Iterator[Batch]:
        """All rows there are: one that is gone, such as a person merged into another, leaves the table."""
        options: PosthogOptions = self.options
        restart = True
        with Spool(options.name, options.fields(), self.now) as spool:
            for record in self._records(client, []):
                spool.add(record)
                if spool.full:
                    yield Batch(options.table, spool.take(), {}, restart)
                    restart = False
            if restart or not spool.empty:
                yield Batch(options.table, spool.take(), {}, restart)

    def _within(self, window: Window) -> list[str]:
        """Conditions of a span's events."""
        names = ", ".join(map(_text, self.options.events))
        span = [f"timestamp >= {_moment(window.start)}", f"timestamp < {_moment(window.end)}"]
        return [*span, *([f"event IN ({names})"] if names else [])]

    def _records(self, client: Client, conditions: list[str]) -> Iterator[dict[str, Any]]:
        """Rows as objects, page by page. Raises SourceError."""
        after: tuple[Any, ...] = ()
        while True:
            rows, more = self._following(client, conditions, after)
            yield from rows
            if not more:
                return
            after = self._position(rows[-1])

    def _following(
        self, client: Client, conditions: list[str], after: tuple[Any, ...]
    ) -> tuple[list[dict[str, Any]], bool]:
        """A page whose rows stand after a position, and whether there are more. Raises SourceError."""
        return awaited(
            lambda: self._page(client, conditions, after, self.options.page),
            lambda page: bool(after and page[0]) and self._position(page[0][0]) <= after,
            where=self.where,
        )

    def _page(
        self, client: Client, conditions: list[str], after: tuple[Any, ...], size: int
    ) -> tuple[list[dict[str, Any]], bool]:
        """Rows after a position, and whether there are more. Raises SourceError."""
        resource = RESOURCES[self.options.resource]
        found = [*conditions, *([_after(resource.order, after)] if after else [])]
        where = f" WHERE {' AND '.join(found)}" if found else ""
        sql = f"SELECT {', '.join(resource.select)} FROM {resource.table}{where}"
        sql += f" ORDER BY {', '.join(resource.order)} LIMIT {size}"
        body = {"query": {"kind": "HogQLQuery", "query": sql}, "refresh": "force_blocking"}  # no answer of a cache
        answer = client.ask("POST", f"/api/projects/{self.options.project_id}/query/", body=body).body
        rows = answer.get("results") if isinstance(answer, Mapping) else None
        if not isinstance(rows, list):
            said = answer.get("error") if isinstance(answer, Mapping) else None
            raise SourceError(
                f"PostHog's answer has no results: {said or str(answer)[:200]}",
                where=self.where,
                hint="The query may take too long: a smaller `page` or `window` asks for less.",
                retryable=True,
            )
        return [self._record(row) for row in rows], bool(rows) and (len(rows) >= size or bool(answer.get("hasMore")))

    def _record(self, row: Sequence[Any]) -> dict[str, Any]:
        """A row as an object; properties come as a text of JSON. Raises SourceError."""
        names = [name.strip("`") for name in RESOURCES[self.options.resource].select]
        if len(row) != len(names):
            raise SourceError(
                f"a row of PostHog has {counted(len(row), 'value')}, and {len(names)} were asked for", where=self.where
            )
        record = dict(zip(names, row, strict=True))
        if isinstance(record.get("properties"), str):
            with contextlib.suppress(ValueError):  # what is no JSON stays a text
                record["properties"] = json.loads(record["properties"])
        return record

    def _position(self, record: Mapping[str, Any]) -> tuple[Any, ...]:
        """What pages go by, of a row."""
        if self.options.resource != "events":
            return (str(record[RESOURCES[self.options.resource].key]),)
        at = datetime.fromisoformat(record["timestamp"])
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC), str(record["uuid"])

    def _client(self) -> Client:
        options: PosthogOptions = self.options
        auth = Bearer(token=options.api_key).auth(self.place)
        budget = shared(options.url, options.api_key, (A_MINUTE, 60.0), (options.hourly, 3600.0))
        return Client(options.url, place=self.place, auth=auth, budget=budget, rights=RIGHTS)


def _after(order: tuple[str, ...], position: tuple[Any, ...]) -> str:
    """A condition: what stands after a position, in the order of pages."""
    values = [_moment(value) if isinstance(value, datetime) else _text(value) for value in position]
    if len(order) == 1:
        return f"{order[0]} > {values[0]}"
    return f"({order[0]} > {values[0]} OR ({order[0]} = {values[0]} AND {order[1]} > {values[1]}))"


def _moment(at: datetime) -> str:
    return f"toDateTime64('{at:%Y-%m-%d %H:%M:%S.%f}', 6, 'UTC')"


def _text(value: str) -> str:
    escaped = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
