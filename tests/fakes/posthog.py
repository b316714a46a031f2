"""PostHog's query endpoint, after posthog.com/docs/api/queries; SQLite stands in for HogQL's engine.

100 rows without a LIMIT, 50,000 at most; times come in the project's zone, properties as a text of JSON. Answers are
kept for a while, and given again to who does not ask for fresh ones.
"""

from __future__ import annotations

import json
import re
import sqlite3
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

KEY, PROJECT = "phx_p3rsonal-key-of-the-fake", "42"
LITERAL = re.compile(r"'((?:[^'\\]|\\.)*)'")
TIMES = ("timestamp", "created_at")
MOST = 50_000
AFTER = re.compile(r" (AND|WHERE) \(?(timestamp|toString\(id\)|distinct_id) > .*(?= ORDER BY)")


@dataclass(frozen=True)
class Event:
    """at: when it happened, by the sender."""

    uuid: str
    at: datetime
    event: str = "$pageview"
    distinct_id: str = "d1"
    person_id: str = "p1"
    properties: dict[str, Any] = field(default_factory=dict)


class Posthog:
    """events, persons and ids (distinct id → person): the truth. most: rows of an answer, whatever is asked for."""

    def __init__(self, zone: str = "UTC") -> None:
        self.events: list[Event] = []
        self.persons: dict[str, dict[str, Any]] = {}
        self.ids: dict[str, str] = {}
        self.zone, self.revoked, self.most = ZoneInfo(zone), False, MOST
        self.between: Any = None  # called after each answer, to change the truth
        self.kept: dict[str, Any] = {}
        self.again = 0
        self._pages: dict[str, Any] = {}  # query without where its page begins → its last answer
        self.app = Starlette(routes=[Route("/api/projects/{project}/query/", self.query, methods=["POST"])])

    def repeat(self, count: int) -> None:
        """So many of the next pages are the one before, once more; a pull begins."""
        self.again = count
        self._pages.clear()

    async def query(self, request: Request) -> Response:
        """The answer to one query."""
        if self.revoked or request.headers.get("authorization") != f"Bearer {KEY}":
            detail = "Invalid personal API key."
            return JSONResponse(
                {"type": "authentication_error", "code": "authentication_failed", "detail": detail}, 401
            )
        if request.path_params["project"] != PROJECT:
            return JSONResponse({"type": "invalid_request", "code": "not_found", "detail": "Project not found."}, 404)
        asked = await request.json()
        sql = asked["query"]["query"]
        if asked["query"]["kind"] != "HogQLQuery":
            return self._wrong("kind is not supported")
        if asked.get("refresh") != "force_blocking" and sql in self.kept:
            return JSONResponse(self.kept[sql])
        try:
            answer = self._answer(sql)
        except sqlite3.Error as error:
            return self._wrong(str(error))
        query = AFTER.sub("", sql)
        if self.again and query != sql and query in self._pages:
            self.again -= 1
            return JSONResponse(self._pages[query])
        self.kept[sql] = self._pages[query] = answer
        if self.between is not None:
            self.between()
        return JSONResponse(answer)

    @staticmethod
    def _wrong(detail: str) -> Response:
        return JSONResponse({"type": "validation_error", "code": "illegal_type", "detail": detail, "attr": None}, 400)

    def _answer(self, sql: str) -> dict[str, Any]:
        limit = re.search(r"\bLIMIT (\d+)$", sql)
        size = min(int(limit[1]) if limit else 100, MOST, self.most)
        plain = sql[: limit.start()] if limit else sql
        engine = self._engine()
        cursor = engine.execute(f"{LITERAL.sub(_sqlite_text, plain)} LIMIT {size + 1}")
        columns = [column[0] for column in cursor.description]
        rows = [[self._shown(c, v) for c, v in zip(columns, row, strict=True)] for row in cursor.fetchall()]
        engine.close()
        told = {
            "columns": columns,
            "types": [[c, "String"] for c in columns],
            "error": None,
            "limit": size,
            "offset": 0,
        }
        return {**told, "results": rows[:size], "hasMore": len(rows) > size, "is_cached": False}

    def _shown(self, column: str, value: Any) -> Any:
        if column == "is_identified":
            return bool(value)
        if column not in TIMES:
            return value
        at = datetime.strptime(value, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
        return at.astimezone(self.zone).isoformat(timespec="microseconds").replace("+00:00", "Z")

    def _engine(self) -> sqlite3.Connection:
        engine = sqlite3.connect(":memory:")
        engine.create_function("toString", 1, lambda value: None if value is None else str(value))
        engine.create_function("toDateTime64", 3, _moment)
        columns = "uuid, event, timestamp, created_at, distinct_id, person_id, `$session_id`, properties"
        engine.execute(f"CREATE TABLE events ({columns})")
        engine.execute("CREATE TABLE persons (id, created_at, is_identified, properties)")
        engine.execute("CREATE TABLE person_distinct_ids (distinct_id, person_id)")
        rows = [
            (e.uuid, e.event, _stored(e.at), _stored(e.at), e.distinct_id, e.person_id, "s1", json.dumps(e.properties))
            for e in self.events
        ]
        engine.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        created = _stored(datetime(2026, 1, 1, tzinfo=UTC))
        people = [(one, created, 1, json.dumps(more)) for one, more in self.persons.items()]
        engine.executemany("INSERT INTO persons VALUES (?, ?, ?, ?)", people)
        engine.executemany("INSERT INTO person_distinct_ids VALUES (?, ?)", list(self.ids.items()))
        return engine


def _sqlite_text(found: re.Match[str]) -> str:
    """A text of HogQL, with backslashes, as one of SQLite."""
    text = re.sub(r"\\(.)", r"\1", found[1]).replace("'", "''")
    return f"'{text}'"


def _stored(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"


def _moment(text: str, digits: int, zone: str) -> str:
    at = datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=ZoneInfo(zone))
    return _stored(at)
