"""Any API that answers with JSON: its address, its paging, where the records are, and what is new since last time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from connectors.errors import SourceError, counted, did_you_mean
from connectors.settings import Span
from connectors.sources.contract import FUTURE, Batch, RecordField, SourceOptions
from connectors.sources.rest.auth import Auth
from connectors.sources.rest.budget import Budget
from connectors.sources.rest.client import Client
from connectors.sources.rest.paging import AnyPaging, Asked, Paging, at, pages
from connectors.sources.rest.source import RestSource
from connectors.sources.rest.spool import Spool

Written = Literal["iso", "date", "epoch_s", "epoch_ms", "number", "text"]
SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


class CursorOptions(BaseModel):
    """What is new since last time: a value of each record that only rises, and the parameter that asks from there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: str = Field(description="Where in a record the value is, such as updated_at.")
    param: str = Field("", description="Parameter that asks for records from a value on, such as updated_since.")
    written: Written = Field("iso", description="How the value is written: iso, date, epoch_s, epoch_ms, number, text.")
    start: str = Field("", description="The first value that is asked for, such as 2026-01-01; default: all there is.")

    @field_validator("start", mode="before")
    @classmethod
    def _as_written(cls, value: Any) -> Any:
        return value.isoformat() if isinstance(value, date) else str(value) if isinstance(value, int) else value


class RestOptions(SourceOptions):
    """Options of `type: rest`."""

    url: str = Field(description="Address of the records, such as https://api.example.com/v1/orders")
    auth: Auth | None = Field(None, description="How to sign in: bearer, basic, api_key, oauth2, … (docs/sources.md).")
    headers: dict[str, str] = Field(default_factory=dict, description="More headers of each request.")
    params: dict[str, Any] = Field(default_factory=dict, description="More parameters of each request.")
    method: Literal["GET", "POST"] = Field("GET", description="GET, or POST where an API is asked by one.")
    body: dict[str, Any] | None = Field(None, description="JSON that a POST sends.")
    records: str = Field("", description="Where in an answer the records are, such as data.items; default: it is one.")
    paging: AnyPaging = Field(default_factory=Paging, description="How the next page is asked for (docs/sources.md).")
    cursor: CursorOptions | None = Field(None, description="What is new since last time; without it: all, each time.")
    lookback: Span = Field(
        timedelta(0), description="How far before the last value to ask again, such as 2d; needs a primary key."
    )
    fields: dict[str, RecordField] = Field(
        default_factory=dict,
        description="Column → where it stands in a record, such as plan.name, or {path: created, type: epoch_s}. "
        "Default: every key of a record, what is nested as JSON.",
    )
    rate: list[str] = Field(default_factory=list, description="What the API allows, such as [10/s, 600/h].")

    @field_validator("fields", mode="before")
    @classmethod
    def _short_fields(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {column: _field(stated) for column, stated in value.items()}

    @field_validator("rate")
    @classmethod
    def _rates(cls, value: list[str]) -> list[str]:
        for text in value:
            _rate(text)
        return value

    @model_validator(mode="after")
    def _fit(self) -> RestOptions:
        if self.lookback and not (self.cursor and self.primary_key):
            raise ValueError("`lookback` reads rows twice, so it needs `cursor` and `primary_key`")
        if self.cursor and self.load == "replace":
            raise ValueError("`load: replace` reads everything each time, so `cursor` has no use\nLeave one out.")
        if self.body is not None and self.method != "POST":
            raise ValueError("`body` is sent by `method: POST` only")
        return self

    @property
    def load_mode(self) -> str:
        """As stated; else merge with a primary key, append with a cursor alone, replace without either."""
        return self.load or ("merge" if self.primary_key else "append" if self.cursor else "replace")


class Rest(RestSource):
    """Records of one address. The cursor is the greatest value of its field that was seen."""

    Options = RestOptions
    example = """\
- name: tickets
  type: rest
  table: tickets
  url: https://desk.example.com/api/v1/tickets
  auth: {type: bearer, token: "${DESK_KEY}"}
  records: data.items
  paging: {type: page, size_param: per_page, size: 100}
  primary_key: id
  cursor: {field: updated_at, param: updated_since}"""

    def pull(self, cursor: Mapping[str, str]) -> Iterator[Batch]:
        """Yield batches, page by page. Raises SourceError, retryable if the API was gone."""
        options: RestOptions = self.options
        known = cursor.get("value", "")
        most, restart = known, options.load_mode == "replace"
        with self.client() as client, Spool(options.name, options.fields, self.now) as spool:
            alike = not options.primary_key
            asked = self._asked(known)
            for page in pages(client, asked, options.paging, options.records, where=self.where, alike=alike):
                for record in page.records:
                    row = self._row(record)
                    most = self._greatest(record, most)
                    spool.add(row)
                if spool.full:
                    yield Batch(options.table, spool.take(), dict(cursor), restart, covered=self._moment(most))
                    restart = False
            done = {"value": most} if most else dict(cursor)
            if not spool.empty or restart:
                yield Batch(options.table, spool.take(), done, restart, covered=self._moment(most))

    def probe(self) -> str:
        """Ask for the first page."""
        options: RestOptions = self.options
        with self.client() as client:
            page = next(pages(client, self._asked(""), options.paging, options.records, where=self.where))
        return f"answers; {counted(len(page.records), 'record')} on the first page"

    def client(self) -> Client:
        """The API."""
        options: RestOptions = self.options
        auth = options.auth.auth(self.place) if options.auth else None
        budget = Budget(*map(_rate, options.rate), where=self.where)
        return Client(options.url, place=self.place, auth=auth, headers=options.headers, budget=budget)

    def _asked(self, known: str) -> Asked:
        """The first request: for what is new, where the API takes it."""
        options: RestOptions = self.options
        params, body = dict(options.params), dict(options.body or {}) if options.method == "POST" else None
        if options.cursor and options.cursor.param and (since := self._since(known)):
            (params if body is None else body)[options.cursor.param] = since
        return Asked("", params, options.method, body)

    def _since(self, known: str) -> str | int | float:
        """What to ask from: the last value, the look-back before it."""
        options: RestOptions = self.options
        assert options.cursor is not None
        written, value = options.cursor.written, known or options.cursor.start
        if not value or written == "text":
            return value
        if written == "number":
            return float(value) if "." in value else int(value)
        at_ = _moment(value, written)
        if at_ is None:
            raise SourceError(
                f"'{value}' is no {written}",
                where=self.where,
                hint="`cursor.start` is written as 2026-01-01, or as `cursor.written` says.",
            )
        at_ -= options.lookback if known else timedelta(0)
        if written == "iso":
            return f"{at_:%Y-%m-%dT%H:%M:%SZ}"
        if written == "date":
            return f"{at_:%Y-%m-%d}"
        return int(at_.timestamp() * (1000 if written == "epoch_ms" else 1))

    def _greatest(self, record: Mapping[str, Any], most: str) -> str:
        """The greater of two values. A moment in the future does not count, or nothing would be new any more."""
        options: RestOptions = self.options
        if options.cursor is None:
            return most
        value = at(record, options.cursor.field)
        if value is None:
            if options.cursor.field.partition(".")[0] not in record:
                raise SourceError(
                    f"a record has no '{options.cursor.field}', which `cursor` names",
                    where=self.where,
                    hint=did_you_mean(options.cursor.field, sorted(map(str, record))),
                )
            return most
        text, written = str(value), options.cursor.written
        if written == "text":
            return max(text, most)
        if written == "number":
            return text if not most or float(text) > float(most) else most
        found = _moment(text, written)
        if found is None or found > self.now + FUTURE:
            return most
        before = _moment(most, written) if most else None
        return text if before is None or found > before else most

    def _moment(self, value: str) -> datetime | None:
        options: RestOptions = self.options
        return _moment(value, options.cursor.written) if options.cursor and value else None

    def _row(self, record: Any) -> Mapping[str, Any]:
        """A record as a row. Raises SourceError for what is no record."""
        if not isinstance(record, Mapping):
            raise SourceError(
                f"a record is no object, but {type(record).__name__}",
                where=self.where,
                hint="State `records`, where the list of objects is.",
            )
        if self.options.fields:
            return record
        return {k: json.dumps(v, ensure_ascii=False) if isinstance(v, dict | list) else v for k, v in record.items()}


def _field(stated: Any) -> Any:
    """`plan.name`, or {path: …, type: …}, or {path: [a, b.c]} where a key has a dot."""
    if isinstance(stated, str):
        return RecordField(tuple(stated.split(".")))
    if isinstance(stated, Mapping) and set(stated) <= {"path", "type"} and "path" in stated:
        path = stated["path"]
        keys = tuple(map(str, path)) if isinstance(path, list | tuple) else tuple(str(path).split("."))
        return RecordField(keys, str(stated.get("type", "VARCHAR")))
    raise ValueError("a field is a path such as plan.name, or {path: created, type: epoch_s}")


def _rate(text: str) -> tuple[int, float]:
    """`10/s`, `600/h`, `60/10s` as a count and seconds. Raises ValueError."""
    count, _, span = text.partition("/")
    unit = span.lstrip("0123456789")
    many = span[: len(span) - len(unit)] or "1"
    if not count.strip().isdigit() or unit not in SECONDS or int(count) < 1:
        raise ValueError(f"'{text}' is no rate\nWrite how many in how long: 10/s, 600/min, 60/h.")
    return int(count), int(many) * SECONDS[unit]


def _moment(value: str, written: str) -> datetime | None:
    """A value as a moment in UTC; None if it is none."""
    try:
        if written.startswith("epoch") and value.replace(".", "", 1).isdigit():
            return datetime.fromtimestamp(float(value) / (1000 if written == "epoch_ms" else 1), UTC)
        if len(value) == len("2026-01-01"):
            day = date.fromisoformat(value)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        found = datetime.fromisoformat(value)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None
