"""Google Analytics 4: a report of the Data API, one row for each day and combination of dimensions.

Recent days change, and what a report had yesterday it may not have today; so the days of the look-back are read again,
and the batches say that they are all there (`Batch.all_from`). Long spans are asked for month by month: GA4 samples
long reports, and puts what has many combinations into a row "(other)". Both are told, as thresholds are.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from connectors.errors import SourceError
from connectors.settings import Span
from connectors.sources.contract import Batch, Cursor, Question, RecordField, SourceOptions, Starter, StarterTable
from connectors.sources.rest.auth import OAuth2, ServiceAccount
from connectors.sources.rest.budget import Budget
from connectors.sources.rest.client import Client
from connectors.sources.rest.paging import MOST_PAGES
from connectors.sources.rest.source import RestSource
from connectors.sources.rest.spool import Spool
from connectors.sources.rest.starting import START, shown
from connectors.sources.rest.windows import Kept, Window, windows

SCOPE = "https://www.googleapis.com/auth/analytics.readonly"
PAGE = 50_000  # rows of one answer; it may have 250,000
STEP = timedelta(days=30)  # of one report
DAY = timedelta(days=1)
ROUNDS = 6  # of reading a report that changes meanwhile, or whose pages are not the ones that were asked for
MOST_DIMENSIONS, MOST_METRICS = 9, 10
LIMITS = ((10, 1.0),)  # GA4 counts tokens, not requests; this keeps from haste
# Tokens of a standard property; of what is left of them it is told below a tenth.
TOKENS = {"tokensPerDay": 200_000, "tokensPerHour": 40_000, "tokensPerProjectPerHour": 14_000}
SPANS = {"tokensPerDay": "of this day", "tokensPerHour": "of this hour", "tokensPerProjectPerHour": "of this hour"}
RIGHTS = (
    "The account (`client_email` of the key) needs the role Viewer of the property, and the Google Analytics Data API "
    "must be switched on in its Google Cloud project."
)
NAME = re.compile(r"[A-Za-z]\w*(:\w+)?")


def _daily(label: str, metric: str) -> str:
    """Users of one row of a report: they do not add up over days, so there is no other grain."""
    return shown(label, f"dataset: <users>\nagg: sum\nexpr: {metric}\ngrain: day\ngrains: [day]")


def _share(label: str, over: str, under: str, more: str = "grain: week") -> str:
    return shown(label, f"type: ratio\nnumerator: {over}\ndenominator: {under}\n{more}")


def _sum(dataset: str, metric: str) -> str:
    return f"{{dataset: <{dataset}>, agg: sum, expr: {metric}}}"


USERS = {
    "daily_active_users": _daily("Daily active users", "activeUsers"),
    "active_users_7_days": _daily("Active users of 7 days", "active7DayUsers"),
    "active_users_28_days": _daily("Active users of 28 days", "active28DayUsers"),
    "stickiness": _share(
        "Stickiness (1 of 28 days)",
        _sum("users", "activeUsers"),
        _sum("users", "active28DayUsers"),
        "grain: day\ngrains: [day]\nformat: percent",
    ),
    "new_users": shown("New users", "dataset: <users>\nagg: sum\nexpr: newUsers\ngrain: week"),
    "sessions_per_user": _share("Sessions per user and day", _sum("users", "sessions"), _sum("users", "activeUsers")),
}
CHANNELS = {
    "sessions": shown("Sessions", "dataset: <channels>\nagg: sum\nexpr: sessions\ngrain: week"),
    "engagement_rate": _share(
        "Engagement rate",
        _sum("channels", "engagedSessions"),
        _sum("channels", "sessions"),
        "grain: week\nformat: percent",
    ),
}


class Ga4Options(SourceOptions):
    """Options of `type: ga4`."""

    url: str = Field("https://analyticsdata.googleapis.com", description="Address of the Data API.")
    property_id: str = Field(description="Number of the property, such as 123456789 (not the G-… of the measurement).")
    auth: Annotated[ServiceAccount | OAuth2, Field(discriminator="type")] = Field(
        description="google_service_account with key_file or key_json, or oauth2 with a refresh token."
    )
    start: date = Field(description="First day that is pulled, such as 2026-01-01; `since`, if it is not stated.")
    metrics: tuple[str, ...] = Field(
        min_length=1, max_length=MOST_METRICS, description="Metrics of the Data API, such as [activeUsers, sessions]."
    )
    dimensions: tuple[str, ...] = Field(
        (), max_length=MOST_DIMENSIONS - 1, description="Dimensions beside `date`, such as [country, deviceCategory]."
    )
    filter: dict[str, Any] | None = Field(None, description="dimensionFilter of the Data API (a FilterExpression).")
    lookback: Span = Field(timedelta(days=3), description="How many days back are read again: recent ones change.")

    @model_validator(mode="before")
    @classmethod
    def _usual(cls, data: Any) -> Any:
        """Lists of one, the key, and from when on there is all."""
        if not isinstance(data, Mapping):
            return data
        found: dict[str, Any] = {**data}
        for option in ("dimensions", "metrics"):
            found[option] = _listed(found.get(option, ()))
        found["dimensions"] = [name for name in found["dimensions"] if name != "date"]
        if "start" in found and not found.get("since"):
            found["since"] = found["start"]
        stated = found.get("columns")
        names: Mapping[Any, Any] = stated if isinstance(stated, Mapping) else {}
        columns = [column_of(str(name)) for name in ("date", *found["dimensions"])]
        key = tuple(c if names.get(c, "hash") == "hash" else str(names[c]) for c in columns)
        if set(_listed(found.get("primary_key") or key)) != set(key):
            raise ValueError(f"`primary_key` is the day and all dimensions: {', '.join(key)}\nLeave it out.")
        found["primary_key"] = key
        return found

    @field_validator("property_id", mode="before")
    @classmethod
    def _number(cls, value: Any) -> str:
        found = str(value).removeprefix("properties/")
        if not found.isdigit():
            raise ValueError(
                f"'{value}' is no number of a property\nIt stands in GA4 under Admin, Property details: 123456789."
            )
        return found

    @field_validator("metrics", "dimensions")
    @classmethod
    def _names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [name for name in value if not NAME.fullmatch(name)]
        if wrong:
            raise ValueError(f"'{wrong[0]}' is no name of the Data API\nIts names are such as activeUsers.")
        return value

    @model_validator(mode="after")
    def _fit(self) -> Ga4Options:
        if self.load not in (None, "merge"):
            raise ValueError(f"`load: {self.load}` would keep rows twice\nLeave it out: each day's rows are replaced.")
        if self.columns.get("date") in ("hash", "drop"):
            raise ValueError("`date` is the day of a row, so it stays\nIt can have another name.")
        if self.lookback < DAY:
            raise ValueError("`lookback` is a day or more: the running day is never whole")
        return self

    @property
    def asked(self) -> tuple[str, ...]:
        """All dimensions."""
        return ("date", *self.dimensions)


class Ga4(RestSource):
    """Rows of a report. The cursor is the last day that had any, and which report it was."""

    Options = Ga4Options
    example = """\
- name: web
  type: ga4
  table: web
  property_id: 123456789
  start: 2026-01-01
  metrics: [activeUsers, sessions]
  dimensions: [sessionDefaultChannelGroup]
  auth: {type: google_service_account, key_file: ga4.json}"""
    starter = Starter(
        (
            Question("property_id", "Number of the property"),
            Question(
                "key_file",
                "File of the service account's key, in the project folder or with its whole path",
                "ga4.json",
                inside="auth: {type: google_service_account, key_file: {}}",
            ),
            Question("start", START),
            Question("url", "Address of the API", "https://analyticsdata.googleapis.com"),
        ),
        (
            StarterTable(
                "users",
                {"metrics": "[activeUsers, active7DayUsers, active28DayUsers, newUsers, sessions]"},
                "time_dimension: date\nprimary_key: date\nlag: 2d",
                USERS,
            ),
            StarterTable(
                "channels",
                {"metrics": "[sessions, engagedSessions, keyEvents]", "dimensions": "[sessionDefaultChannelGroup]"},
                "time_dimension: date\nprimary_key: [date, sessionDefaultChannelGroup]\nlag: 2d\n"
                "dimensions: {channel: sessionDefaultChannelGroup}",
                CHANNELS,
            ),
        ),
    )

    def pull(self, cursor: Cursor) -> Iterator[Batch]:
        """Yield the days from the look-back on. Raises SourceError."""
        options: Ga4Options = self.options
        report = self._report_name()
        anew = cursor.get("report") != report  # of other dimensions are other rows
        day = "" if anew else cursor.get("day", "")
        first, told = self._first(day), Told()
        mark = (options.url, report, first, PAGE)
        spool: Spool | None = None
        with self._client() as client, Kept(self.kept, mark) as kept, ExitStack() as stack:
            for window, path in kept.fetched(self._spans(first, kept), partial(self._fetch, client), suffix=".jsonl"):
                for page in _pages_of(path):
                    told.add(page, window)
                    spool = spool or stack.enter_context(Spool(options.name, self._fields(page), self.now))
                    for row in self._rows(page):
                        day = max(day, self._counted(row["date"]))
                        spool.add(row)
                    if spool.full:
                        yield Batch(options.table, spool.take(), dict(cursor), anew, all_from=("date", first))
            self.notes += told.notes()
            if spool is not None:
                done, reached = {"day": day, "report": report}, _midnight(day)
                yield Batch(options.table, spool.take(), done, anew, covered=reached, all_from=("date", first))

    def probe(self) -> str:
        """Ask for one row of yesterday."""
        with self._client() as client:
            body = self._report(client, {"startDate": "yesterday", "endDate": "yesterday"}, 0, limit=1)
        about = body.get("metadata", {})
        left = body.get("propertyQuota", {}).get("tokensPerDay", {}).get("remaining")
        zone = f"its days are those of {about.get('timeZone', 'an unknown zone')}"
        tokens = f"; {left:,} tokens are left of this day" if isinstance(left, int) else ""
        return f"answers; property {self.options.property_id}, {zone}{tokens}"

    def _client(self) -> Client:
        options: Ga4Options = self.options
        auth = options.auth
        if isinstance(auth, ServiceAccount) and not auth.scope:
            auth = auth.model_copy(update={"scope": SCOPE})
        return Client(
            options.url,
            place=self.place,
            auth=auth.auth(self.place),
            budget=Budget(*LIMITS, where=self.where),
            rights=RIGHTS,
        )

    # ---- days

    def _report_name(self) -> str:
        """A digest of what is asked for."""
        options: Ga4Options = self.options
        asked = (options.property_id, options.asked, options.metrics, options.filter, options.start)
        return hashlib.sha256(repr(asked).encode()).hexdigest()[:16]

    def _first(self, known: str) -> date:
        """The first day to ask for. Never the running one alone: where the property is, it may not have begun."""
        options: Ga4Options = self.options
        day = max(options.start, date.fromisoformat(known) - options.lookback) if known else options.start
        return min(day, self.now.astimezone(UTC).date() - DAY)

    def _spans(self, first: date, kept: Kept) -> Iterator[Window]:
        """Months; the last one, whose days still change, is asked for at each attempt."""
        options: Ga4Options = self.options
        start, end = _midnight(first.isoformat()), _midnight(f"{self.now.astimezone(UTC).date()}")
        assert start and end
        recent = start if end - start <= STEP else end - options.lookback
        yield from windows(start, recent, STEP)
        last = Window(recent, end)
        (kept.folder / f"{last.name}.jsonl").unlink(missing_ok=True)
        yield last

    def _counted(self, day: str) -> str:
        """A day that may move the cursor: one in the future may not, or nothing would be new any more."""
        return day if day <= f"{self.now.astimezone(UTC).date() + DAY}" else ""

    # ---- reports

    def _fetch(self, client: Client, window: Window, target: Path) -> None:
        """Keep a window's answers, one a line; all of one state of the report. Raises SourceError."""
        today = window.end.date() >= self.now.astimezone(UTC).date()
        days = {
            "startDate": f"{window.start.date()}",
            "endDate": "today" if today else f"{window.end.date() - DAY}",  # GA4 knows the property's zone
        }
        part = target.with_name(f"{target.name}.part")
        for _ in range(ROUNDS):
            if self._written(partial(self._report, client, days), part):
                part.replace(target)
                return
        part.unlink(missing_ok=True)
        raise SourceError(
            f"GA4's report from {days['startDate']} to {days['endDate']} changes while its pages are read",
            where=self.where,
            hint="The next sync tries again. Fewer dimensions make fewer pages.",
            retryable=True,
        )

    @staticmethod
    def _written(report: Callable[[int], Mapping[str, Any]], part: Path) -> bool:
        """Whether the pages of a report that were written are all of it, by what each says, each row once."""
        seen, totals, known = 0, set(), set[int]()
        with part.open("w", encoding="utf-8") as file:
            for _ in range(MOST_PAGES):
                body = report(seen)
                rows = _digests(body)
                if rows and rows <= known:
                    return False  # a page once more in the place of the next
                file.write(json.dumps(body, ensure_ascii=False) + "\n")
                found, total = len(body.get("rows", ())), int(body.get("rowCount", 0))
                seen += found
                known |= rows
                totals.add(total)
                if seen >= total or not found:
                    break
        return totals == {seen} and len(known) == seen

    def _report(self, client: Client, days: Mapping[str, str], offset: int, limit: int | None = None) -> dict[str, Any]:
        """One page. Raises SourceError."""
        options: Ga4Options = self.options
        asked = {
            "dateRanges": [days],
            "dimensions": [{"name": name} for name in options.asked],
            "metrics": [{"name": name} for name in options.metrics],
            "orderBys": [{"dimension": {"dimensionName": name}} for name in options.asked],  # else pages may overlap
            "offset": str(offset),
            "limit": str(limit or PAGE),
            "returnPropertyQuota": True,
        }
        asked |= {"dimensionFilter": options.filter} if options.filter else {}
        body = client.ask("POST", f"v1beta/properties/{options.property_id}:runReport", body=asked).body
        if not isinstance(body, dict) or not _is_report(body, len(options.asked), len(options.metrics)):
            raise SourceError(
                "the answer is no report of GA4", where=self.where, hint="`url` is the address of the Data API."
            )
        return body

    def _fields(self, page: Mapping[str, Any]) -> dict[str, RecordField]:
        """Columns and types, as the headers say: all values are texts."""
        found = {
            column_of(name): RecordField((name,), "DATE" if name == "date" else "VARCHAR")
            for name in self.options.asked
        }
        for header in page["metricHeaders"]:
            kind = "BIGINT" if header.get("type") == "TYPE_INTEGER" else "DOUBLE"
            found[column_of(header["name"])] = RecordField((header["name"],), kind)
        return found

    def _rows(self, page: Mapping[str, Any]) -> Iterator[dict[str, str]]:
        """The rows of a page by name of dimension and metric."""
        names = [*self.options.asked, *(header["name"] for header in page["metricHeaders"])]
        for row in page.get("rows", ()):
            values = [cell.get("value", "") for cell in (*row["dimensionValues"], *row["metricValues"])]
            made = dict(zip(names, values, strict=True))
            day = made["date"]
            yield {**made, "date": f"{day[:4]}-{day[4:6]}-{day[6:]}" if len(day) == len("20261101") else day}


class Told:
    """What GA4 says about how true its reports are: sentences for who reads the numbers."""

    def __init__(self) -> None:
        self._spans: dict[str, tuple[datetime, datetime]] = {}
        self._share = 1.0
        self._quota: dict[str, Any] = {}

    def add(self, page: Mapping[str, Any], window: Window) -> None:
        """One answer."""
        about = page.get("metadata", {})
        self._quota = page.get("propertyQuota", {}) or self._quota
        for sampled in about.get("samplingMetadatas", ()):
            self._share = min(self._share, int(sampled["samplesReadCount"]) / max(int(sampled["samplingSpaceSize"]), 1))
            self._seen("sampled", window)
        if about.get("subjectToThresholding"):
            self._seen("thresholds", window)
        if about.get("dataLossFromOtherRow"):
            self._seen("other", window)
        for one in about.get("schemaRestrictionResponse", {}).get("activeMetricRestrictions", ()):
            self._seen(f"restricted {one.get('metricName', 'a metric')}", window)

    def _seen(self, what: str, window: Window) -> None:
        start, end = self._spans.get(what, (window.start, window.end))
        self._spans[what] = min(start, window.start), max(end, window.end)

    def notes(self) -> list[str]:
        """Sentences."""
        words = {
            "sampled": f"is sampled: GA4 counted as little as {self._share:.0%} of the events. Numbers are estimates.",
            "thresholds": "is under thresholds: GA4 left out rows with few users, so sums are too small. "
            "Fewer dimensions, or a reporting identity without Google signals, bring them back.",
            "other": "has a row '(other)': GA4 put rare combinations of dimensions into it. Ask for fewer dimensions.",
        }
        told = [
            f"the report of {start:%-d %b %Y} to {end:%-d %b %Y} "
            + (words.get(what) or f"may not show {what.removeprefix('restricted ')} to this account: its values are 0.")
            for what, (start, end) in self._spans.items()
        ]
        left = {kind: self._quota.get(kind, {}).get("remaining") for kind in TOKENS}
        told += [
            f"GA4's quota is low: {left[kind]:,} tokens are left {SPANS[kind]}, of {most:,} of a standard property."
            for kind, most in TOKENS.items()
            if isinstance(left[kind], int) and left[kind] < most / 10
        ]
        return told


def _is_report(body: Mapping[str, Any], dimensions: int, metrics: int) -> bool:
    """Whether headers and rows have what was asked for."""
    headers, rows = body.get("metricHeaders"), body.get("rows", [])
    if not isinstance(headers, list) or len(headers) != metrics or not isinstance(rows, list):
        return False
    if not all(isinstance(row, dict) for row in rows):
        return False
    counts = {(len(row.get("dimensionValues", ())), len(row.get("metricValues", ()))) for row in rows}
    return str(body.get("rowCount", 0)).isdigit() and counts <= {(dimensions, metrics)}


def _digests(body: Mapping[str, Any]) -> set[int]:
    """A number for the day and dimensions of each row; a report has them once."""
    return {hash(tuple(cell.get("value") for cell in row["dimensionValues"])) for row in body.get("rows", ())}


def _pages_of(path: Path) -> Iterator[dict[str, Any]]:
    """The answers of a window."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def column_of(name: str) -> str:
    """`customEvent:plan` is the column customEvent_plan."""
    return name.replace(":", "_")


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _midnight(day: str) -> datetime | None:
    return datetime.fromisoformat(day).replace(tzinfo=UTC) if day else None
