"""Mixpanel: every event of a project, by its raw export. The engine reads its lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from connectors.settings import Span
from connectors.sources.contract import Batch, FileScan, IdLink, Question, RecordField, Starter
from connectors.sources.rest.auth import Basic
from connectors.sources.rest.budget import shared
from connectors.sources.rest.client import Client
from connectors.sources.rest.events import EventOptions, with_properties
from connectors.sources.rest.source import RestSource
from connectors.sources.rest.starting import START, events_table
from connectors.sources.rest.windows import Window, received, windows

LIMITS = ((3, 1.0), (60, 3600.0))  # requests in seconds; 100 at once are allowed
AT_ONCE = 3
DAY = timedelta(days=1)
EXPORT = "/api/2.0/export"
END = 1 << 20  # bytes of a file's end that are looked at
RIGHTS = "A service account needs a role in the project that may export (Analyst or more), and its `project_id`."
COLUMNS = {
    "event": RecordField(("event",)),
    "time": RecordField(("properties", "time"), "epoch_s"),
    "distinct_id": RecordField(("properties", "distinct_id")),
    "insert_id": RecordField(("properties", "$insert_id")),
    "user_id": RecordField(("properties", "$user_id")),
    "device_id": RecordField(("properties", "$device_id")),
    "processed_at": RecordField(("properties", "mp_processing_time_ms"), "epoch_ms"),
    "properties": RecordField(("properties",), "JSON"),
}


class MixpanelOptions(EventOptions):
    """Options of `type: mixpanel`."""

    url: str = Field(
        "https://data.mixpanel.com",
        description="The host of exports; of projects in the EU https://data-eu.mixpanel.com, in India data-in.",
    )
    user: str = Field("", description="User name of a service account.")
    password: str = Field("", description="Its secret, as ${NAME}.")
    project_id: str = Field("", description="Number of the project; a service account needs it.")
    secret: str = Field("", description="Secret of the project, as ${NAME}, in place of a service account.")
    timezone: str = Field(
        "UTC", description="Zone of the project if it was made before 2023, such as Europe/Berlin; later ones are UTC."
    )
    events: tuple[str, ...] = Field((), description="Names of events, where not all are wanted.")
    window: Span = Field(timedelta(days=7), description="Days that one request asks for.")
    lookback: Span = Field(
        timedelta(days=5), description="How far before the last pull to ask again: devices send up to 5 days late."
    )
    primary_key: tuple[str, ...] = Field(
        ("event", "distinct_id", "time", "insert_id"), description="Columns that name an event, as Mixpanel does."
    )

    @field_validator("project_id", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) else value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ValueError, KeyError, OSError):
            raise ValueError(f"'{zone}' is no time zone\nWrite one such as Europe/Berlin.") from None
        return zone

    @field_validator("window", "lookback")
    @classmethod
    def _days(cls, value: timedelta) -> timedelta:
        if value % DAY:
            raise ValueError("Mixpanel exports whole days\nWrite a number of days such as 7d.")
        return value

    @model_validator(mode="after")
    def _one_way_in(self) -> MixpanelOptions:
        if not self.window:
            raise ValueError("`window` is a day at least")
        if bool(self.secret) == bool(self.user or self.password):
            raise ValueError("state either `user`, `password` and `project_id` of a service account, or `secret`")
        if self.user and not (self.password and self.project_id):
            raise ValueError("a service account needs `user`, `password` and `project_id`")
        self.fields()
        return self

    def fields(self) -> dict[str, RecordField]:
        """Columns. Raises ValueError."""
        zone = "" if self.timezone == "UTC" else self.timezone
        own = {**COLUMNS, "time": RecordField(("properties", "time"), "epoch_s", zone)}
        return with_properties(own, ("properties",), self.properties)


class Mixpanel(RestSource):
    """Events by day. The cursor is the last day of the project that was over when it was received."""

    Options = MixpanelOptions
    example = (
        "- {name: mixpanel, type: mixpanel, table: events, user: kpi.1a2b3c.mp-service-account, "
        'password: "${MIXPANEL_PASSWORD}", project_id: 4711, start: 2026-01-01}'
    )
    starter = Starter(
        (
            Question("user", "User name of a service account"),
            Question("password", "Its secret", secret=True),
            Question("project_id", "Number of the project"),
            Question("start", START),
            Question("url", "The host of exports", "https://data.mixpanel.com"),
        ),
        (events_table(time="time", who="distinct_id", event="event", key="[event, distinct_id, time, insert_id]"),),
    )

    def id_links(self) -> tuple[IdLink, ...]:
        """Of the simplified merge, devices of users; of the original one, what its three kinds of events say."""
        first, second = [("properties", "$distinct_ids", place) for place in (0, 1)]
        return (
            IdLink(("user_id",), ("device_id",), "time", prefix="$device:"),
            IdLink(("properties", "$identified_id"), ("properties", "$anon_id"), "time", event=("event", "$identify")),
            IdLink(("distinct_id",), ("properties", "alias"), "time", merges=True, event=("event", "$create_alias")),
            IdLink(first, second, "time", merges=True, event=("event", "$merge")),
        )

    def pull(self, cursor: Mapping[str, str]) -> Iterator[Batch]:
        """Yield a batch for each window of days. Raises SourceError."""
        options: MixpanelOptions = self.options
        fields = options.fields()
        known = date.fromisoformat(cursor["day"]) if cursor.get("day") else None
        for window, path in self._received(known):
            over = min(window.end, _label(self._today)).date() - DAY
            done = max(known, over) if known else over
            scan = FileScan(path, f"{options.name} {window.name}.jsonl", "json", fields=fields, now=self.now)
            yield Batch(options.table, scan, {"day": done.isoformat()}, covered=self._covered(window))

    def probe(self) -> str:
        """Ask for one event of yesterday."""
        with self._client() as client:
            day = (self._today - DAY).isoformat()
            client.get(EXPORT, self._params(from_date=day, to_date=day, limit=1))
        return "answers, and accepts the key"

    @property
    def _today(self) -> date:
        """By the clock of the project: an export may not ask for more."""
        return self.now.astimezone(ZoneInfo(self.options.timezone)).date()

    def _received(self, known: date | None) -> Iterator[tuple[Window, Path]]:
        """Windows with their files. A day counts as settled when its look-back is over."""
        options: MixpanelOptions = self.options
        first = max(options.start, known + DAY - options.lookback) if known else options.start
        begin, end = _label(first), _label(self._today + DAY)
        settled = max(begin, _label(self._today - options.lookback))
        spans = windows(begin, settled, options.window), windows(settled, end, options.window)
        mark = (options.url, options.project_id, options.secret, options.timezone, options.events, known)
        with self._client() as client:

            def fetch(window: Window, path: Path) -> None:
                days = self._params(from_date=f"{window.start:%Y-%m-%d}", to_date=f"{window.end - DAY:%Y-%m-%d}")
                client.save(EXPORT, path, days, wrong=_not_whole)

            yield from received(self.kept, mark, spans, fetch, suffix=".jsonl", at_once=AT_ONCE)

    def _params(self, **more: Any) -> dict[str, Any]:
        options: MixpanelOptions = self.options
        events = json.dumps(list(options.events)) if options.events else None
        return {"project_id": options.project_id or None, "event": events, **more}

    def _client(self) -> Client:
        options: MixpanelOptions = self.options
        way = Basic(user=options.user or options.secret, password=options.password)
        budget = shared(options.url, options.project_id or options.secret, *LIMITS)
        auth = way.auth(self.place)
        return Client(options.url, place=self.place, auth=auth, budget=budget, rights=RIGHTS)

    def _covered(self, window: Window) -> datetime:
        """The end of a window's days, or now."""
        zone = ZoneInfo(self.options.timezone)
        return min(self.now, window.end.replace(tzinfo=zone).astimezone(UTC))


def _label(day: date) -> datetime:
    """A day of the project as windows count: whichever zone it is of."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _not_whole(path: Path) -> str:
    """Why a file is no whole export: one that breaks off says so in its last line, under status 200."""
    with path.open("rb") as file:
        first = file.readline(END)
        file.seek(max(0, path.stat().st_size - END))
        last = file.read().strip().rpartition(b"\n")[2]
    if not last or (first.startswith(b"{") and b'"event"' in first and last.endswith(b"}")):
        return ""
    return f"an export that is not whole; it ends with: {last[-100:].decode('utf-8', 'replace')}"
