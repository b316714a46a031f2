"""Amplitude: every event of a project, by its export of hours. Zips of gzipped lines, which the engine reads."""

from __future__ import annotations

import gzip
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from pydantic import Field, field_validator, model_validator

from connectors.errors import SourceError
from connectors.settings import Span
from connectors.sources.contract import Batch, FileScan, IdLink, Question, RecordField, Starter
from connectors.sources.rest.auth import Basic
from connectors.sources.rest.budget import shared
from connectors.sources.rest.client import Client, StatusError
from connectors.sources.rest.events import EventOptions, Properties, with_properties
from connectors.sources.rest.source import RestSource
from connectors.sources.rest.starting import START, events_table
from connectors.sources.rest.windows import Window, received, windows

LIMITS = ((2, 1.0), (600, 3600.0))  # the export has no documented limit; ours, below that of other calls
AT_ONCE = 2
HOUR = timedelta(hours=1)
READY = timedelta(hours=2)  # after an hour has ended it can be exported
LONGEST = timedelta(days=365)  # of one request
EXPORT = "/api/2/export"
TOO_MUCH = (400, 504)
PIECE = 1 << 20
BREAK = gzip.compress(b"\n")  # between files that do not end with a line break
RIGHTS = "It needs API key and secret key of the same project, which is in the region of `url`."
WHEN = ("event_time", "client_event_time", "client_upload_time", "server_received_time", "server_upload_time")
COLUMNS = {
    "uuid": RecordField(("uuid",)),
    "insert_id": RecordField(("$insert_id",)),
    "event_type": RecordField(("event_type",)),
    **{name: RecordField((name,), "utc") for name in WHEN},
    "user_id": RecordField(("user_id",)),
    "device_id": RecordField(("device_id",)),
    "amplitude_id": RecordField(("amplitude_id",), "BIGINT"),
    "session_id": RecordField(("session_id",), "BIGINT"),
    **{name: RecordField((name,)) for name in ("platform", "os_name", "device_family", "version_name")},
    **{name: RecordField((name,)) for name in ("country", "region", "city", "language")},
    "properties": RecordField(("event_properties",), "JSON"),
    "user_properties": RecordField(("user_properties",), "JSON"),
    "group_properties": RecordField(("groups",), "JSON"),
}


class AmplitudeOptions(EventOptions):
    """Options of `type: amplitude`."""

    url: str = Field(
        "https://amplitude.com",
        description="The host of exports; of projects in the EU https://analytics.eu.amplitude.com.",
    )
    api_key: str = Field(description="API key of the project, as ${NAME}.")
    secret_key: str = Field(description="Its secret key, as ${NAME}.")
    user_columns: Properties = Field(
        default_factory=dict, description="Properties of users that become columns, written as `properties` are."
    )
    window: Span = Field(timedelta(days=1), description="Hours or days that one request asks for; halved beyond 4 GB.")
    lookback: Span = Field(timedelta(hours=2), description="Hours before the last pull to ask again.")
    primary_key: tuple[str, ...] = Field(("uuid",), description="Columns that name an event.")

    @field_validator("window", "lookback")
    @classmethod
    def _hours(cls, value: timedelta) -> timedelta:
        if value % HOUR or value > LONGEST:
            raise ValueError("Amplitude exports whole hours, of a year at most\nWrite a span such as 6h or 1d.")
        return value

    @model_validator(mode="after")
    def _fit(self) -> AmplitudeOptions:
        if not self.window:
            raise ValueError("`window` is an hour at least")
        self.fields()
        return self

    def fields(self) -> dict[str, RecordField]:
        """Columns. Raises ValueError."""
        events = with_properties(COLUMNS, ("event_properties",), self.properties)
        return with_properties(events, ("user_properties",), self.user_columns)


class Amplitude(RestSource):
    """Events by the hour in which Amplitude got them. The cursor is the end of the last hour that was ready."""

    Options = AmplitudeOptions
    example = (
        '- {name: amplitude, type: amplitude, table: events, api_key: "${AMPLITUDE_API_KEY}", '
        'secret_key: "${AMPLITUDE_SECRET_KEY}", start: 2026-01-01}'
    )
    starter = Starter(
        (
            Question("api_key", "API key of the project", secret=True),
            Question("secret_key", "Its secret key", secret=True),
            Question("start", START),
            Question("url", "The host of exports", "https://amplitude.com"),
        ),
        (
            events_table(
                time="event_time",
                who="amplitude_id",
                event="event_type",
                key="uuid",
                more={"platform": "platform", "country": "country"},
            ),
        ),
    )
    behind = READY + HOUR

    def id_links(self) -> tuple[IdLink, ...]:
        """Devices of users: a device is the user's who logged in on it first."""
        return (IdLink(("user_id",), ("device_id",), "event_time"),)

    def pull(self, cursor: Mapping[str, str]) -> Iterator[Batch]:
        """Yield a batch for each window of hours. Raises SourceError."""
        options: AmplitudeOptions = self.options
        fields = options.fields()
        known = datetime.fromisoformat(cursor["hour"]) if cursor.get("hour") else None
        for window, path in self._received(known):
            done = max(known, window.end) if known else window.end
            scan = FileScan(path, f"{options.name} {window.name}.jsonl.gz", "json", fields=fields, now=self.now)
            yield Batch(options.table, scan, {"hour": done.isoformat()}, covered=window.end)

    def probe(self) -> str:
        """Export the last hour that is ready."""
        with self._client() as client, tempfile.TemporaryDirectory(prefix="kpi-rest-") as folder:
            end = self._ready
            self._fetch(client, Window(end - HOUR, end), Path(folder) / "probe.jsonl.gz")
        return f"answers, and has exported the hour from {end - HOUR:%H:%M} UTC"

    @property
    def _ready(self) -> datetime:
        """The end of the last hour that can be exported."""
        at = self.now.astimezone(UTC) - READY
        return at.replace(minute=0, second=0, microsecond=0)

    def _received(self, known: datetime | None) -> Iterator[tuple[Window, Path]]:
        """Windows with their files. Hours that are looked back at are asked for each time."""
        options: AmplitudeOptions = self.options
        start = datetime(options.start.year, options.start.month, options.start.day, tzinfo=UTC)
        end = self._ready
        if known is not None and end <= known:
            return  # no other hour is ready
        begin = max(start, known - options.lookback) if known else start
        settled = max(begin, end - options.lookback)
        spans = windows(begin, settled, options.window), windows(settled, end, options.window)
        with self._client() as client:
            yield from received(
                self.kept,
                (options.url, options.api_key, known),
                spans,
                lambda window, path: self._fetch(client, window, path),
                suffix=".jsonl.gz",
                at_once=AT_ONCE,
            )

    def _fetch(self, client: Client, window: Window, path: Path) -> None:
        """Leave a window's events as one gzipped file. Raises SourceError."""
        part, zipped = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.zip")
        try:
            with part.open("wb") as file:
                file.write(BREAK)  # a file that has no events is one of no bytes else, and no gzip
                self._append(client, window, zipped, file)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
            zipped.unlink(missing_ok=True)

    def _append(self, client: Client, window: Window, zipped: Path, file: BinaryIO) -> None:
        """Add the events of a window, of halves of it where it is too much for one export."""
        asked = {"start": f"{window.start:%Y%m%dT%H}", "end": f"{window.end - HOUR:%Y%m%dT%H}"}
        try:
            client.save(EXPORT, zipped, asked, wrong=_no_zip)
        except StatusError as error:
            if _nothing_there(error):
                return
            if error.status not in TOO_MUCH:
                raise
            self._append_halves(client, window, zipped, file, error)
            return
        _unpack(zipped, file)

    def _append_halves(self, client: Client, window: Window, zipped: Path, file: BinaryIO, error: StatusError) -> None:
        hours = int((window.end - window.start) / HOUR)
        if hours < 2:
            raise SourceError(
                f"the hour from {window.start:%Y-%m-%d %H:%M} UTC cannot be exported: {error.said or error.message}",
                where=self.where,
                hint="More than 4 GB an hour go by Amplitude's export to S3 only; `type: files` reads such files.",
            )
        middle = window.start + hours // 2 * HOUR
        self._append(client, Window(window.start, middle), zipped, file)
        self._append(client, Window(middle, window.end), zipped, file)

    def _client(self) -> Client:
        options: AmplitudeOptions = self.options
        auth = Basic(user=options.api_key, password=options.secret_key).auth(self.place)
        budget = shared(options.url, options.api_key, *LIMITS)
        return Client(options.url, place=self.place, auth=auth, budget=budget, rights=RIGHTS)


def _nothing_there(error: StatusError) -> bool:
    """Whether a range has no events, and not the host no export: a server that lacks a path says no more than that."""
    said = error.said.strip().rstrip(".").lower()
    return error.status == 404 and said != "not found" and not said.startswith("<")


def _no_zip(path: Path) -> str:
    """Why a file is no whole archive: its list of files stands at its end, and each has a sum."""
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
        return f"an archive in which {broken} is broken" if broken else ""
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        start = path.read_bytes()[:100] if path.stat().st_size < PIECE else b""
        return f"no archive ({error}){': ' if start else ''}{start.decode('utf-8', 'replace')}"


def _unpack(zipped: Path, file: BinaryIO) -> None:
    """Add the gzipped files of an archive: one after the other they are one gzipped file."""
    with zipfile.ZipFile(zipped) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".gz"):
                with archive.open(name) as packed:
                    shutil.copyfileobj(packed, file, PIECE)
                file.write(BREAK)
    zipped.unlink()
