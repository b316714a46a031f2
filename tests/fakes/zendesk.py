"""Zendesk as its documentation has it: the export of tickets by cursor, and satisfaction ratings."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

EMAIL, TOKEN, OAUTH = "ana@example.com", "zd-t0ken-of-the-fake", "zd-0auth-of-the-fake"
MOST_TICKETS, MOST_RATINGS = 1000, 100


class Zendesk:
    """now: its clock, seconds since 1970. tickets, ratings: the truth by id. moved: when a ticket last did."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.tickets: dict[int, dict[str, Any]] = {}
        self.ratings: dict[int, dict[str, Any]] = {}
        self.moved: dict[int, int] = {}
        self.revoked = self.agent = False  # agent: the token's user is no admin
        self.again = 0  # so many tickets before the cursor come again
        self.between: Callable[[], None] | None = None  # called after each page, to change the truth
        self.app = Starlette(
            routes=[
                Route("/api/v2/incremental/tickets/cursor.json", self._export),
                Route("/api/v2/satisfaction_ratings.json", self._rated),
            ]
        )

    # ---- what happens at the vendor

    def open(self, **more: Any) -> int:
        """A new ticket."""
        key = len(self.tickets) + 1
        created = {"id": key, "status": "new", "created_at": _text(self.now), "updated_at": _text(self.now)}
        metrics = {"id": 900 + key, "ticket_id": key, "replies": 0, "reopens": 0, "solved_at": None}
        times = ("reply_time", "first_resolution_time", "full_resolution_time", "requester_wait_time")
        waits = {f"{name}_in_minutes": {"calendar": None, "business": None} for name in times}
        self.tickets[key] = {**created, "metric_set": metrics | waits, "custom_fields": [], "tags": [], **more}
        self.moved[key] = self.now
        return key

    def change(self, key: int, *, silent: bool = False, **more: Any) -> None:
        """A ticket changes. silent: as automations do it, without a new updated_at; the export still has it anew."""
        self.tickets[key] |= more
        self.moved[key] = self.now
        if not silent:
            self.tickets[key]["updated_at"] = _text(self.now)

    def reply(self, key: int, minutes: int) -> None:
        """The first answer of an agent."""
        metrics = copy.deepcopy(self.tickets[key]["metric_set"])
        metrics |= {"replies": 1, "reply_time_in_minutes": {"calendar": minutes, "business": minutes // 3}}
        self.change(key, status="pending", metric_set=metrics)

    def delete(self, key: int) -> None:
        """A deleted ticket stays in the export, with a status of its own and without its metrics."""
        self.tickets[key].pop("metric_set", None)
        self.change(key, status="deleted")

    def rate(self, ticket: int, score: str, **more: Any) -> int:
        """A new satisfaction rating."""
        key = 5000 + len(self.ratings)
        times = {"created_at": _text(self.now), "updated_at": _text(self.now)}
        self.ratings[key] = {"id": key, "ticket_id": ticket, "score": score, "comment": None, **times, **more}
        return key

    def rerate(self, key: int, score: str) -> None:
        """Who rated changes their mind."""
        self.ratings[key] |= {"score": score, "updated_at": _text(self.now)}

    # ---- HTTP

    async def _export(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        asked = request.query_params
        size = min(int(asked.get("per_page", MOST_TICKETS)), MOST_TICKETS)
        if "cursor" in asked:
            after = _position(asked["cursor"])
        elif "start_time" not in asked:
            return JSONResponse({"error": "InvalidValue", "description": "start_time is required"}, 422)
        elif int(asked["start_time"]) > self.now - 60:
            words = "Too recent start_time. Use a start_time older than 1 minute"
            return JSONResponse({"error": "StartTimeTooRecent", "description": words}, 422)
        else:
            after = (int(asked["start_time"]), 0)
        ready = sorted((at, key) for key, at in self.moved.items() if at <= self.now - 60)
        rows = [place for place in ready if place > after]
        if "cursor" in asked:
            rows = [place for place in ready if place <= after][-self.again :] * bool(self.again) + rows
        part = rows[:size]
        here = f"{part[-1][0]}.0||{part[-1][1]}|" if part else ""
        cursor = base64.b64encode(here.encode()).decode() if here else asked.get("cursor")
        following = f"{request.url.scheme}://{request.url.netloc}{request.url.path}?cursor={cursor}" if cursor else None
        sideloaded = "metric_sets" in asked.get("include", "")
        body = {
            "tickets": [self._shown(key, sideloaded) for _, key in part],
            "after_url": following,
            "after_cursor": cursor,
            "before_url": None,
            "before_cursor": None,
            "end_of_stream": len(rows) <= size,
        }
        if self.between is not None:
            self.between()
        return JSONResponse(body)

    def _shown(self, key: int, sideloaded: bool) -> dict[str, Any]:
        ticket = copy.deepcopy(self.tickets[key])
        return ticket if sideloaded else {field: value for field, value in ticket.items() if field != "metric_set"}

    async def _rated(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        asked = request.query_params
        size = int(asked.get("page[size]", MOST_RATINGS))
        if size > MOST_RATINGS:
            return JSONResponse({"error": "InvalidValue", "description": "page[size] must be at most 100"}, 400)
        least = int(asked.get("start_time", 0))
        rows = [r for r in self.ratings.values() if datetime.fromisoformat(r["created_at"]).timestamp() >= least]
        after = int(base64.b64decode(asked["page[after]"])) if "page[after]" in asked else 0
        rows = sorted((r for r in rows if r["id"] > after), key=lambda r: int(r["id"]))
        part = rows[:size]
        cursor = base64.b64encode(str(part[-1]["id"]).encode()).decode() if part else None
        following = str(request.url.include_query_params(**{"page[after]": cursor})) if part else None
        body = {
            "satisfaction_ratings": copy.deepcopy(part),
            "meta": {"has_more": len(rows) > size, "after_cursor": cursor, "before_cursor": None},
            "links": {"next": following, "prev": None},
        }
        if self.between is not None:
            self.between()
        return JSONResponse(body)

    def _refused(self, request: Request) -> Response | None:
        sent = request.headers.get("authorization", "")
        basic = "Basic " + base64.b64encode(f"{EMAIL}/token:{TOKEN}".encode()).decode()
        if self.revoked or sent not in (basic, f"Bearer {OAUTH}"):
            return JSONResponse({"error": "Couldn't authenticate you"}, 401)
        if self.agent:
            words = "You do not have access to this page. Please contact the account owner for further help."
            return JSONResponse({"error": {"title": "Forbidden", "message": words}}, 403)
        return None


def _text(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _position(cursor: str) -> tuple[int, int]:
    at, _, key, _ = base64.b64decode(cursor).decode().split("|")
    return int(float(at)), int(key)
