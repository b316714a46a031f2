"""Mixpanel's raw export, after docs.mixpanel.com/reference/raw-event-export.

Days of the project's zone, both included; none later than today. `time` counts seconds by the project's clock. Lines
come as they were received, duplicates among them, gzipped where that is accepted.
"""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

USER, PASSWORD, PROJECT, SECRET = "kpi.1a2b3c.mp-service-account", "s3rvice-account-secret", "4711", "pr0ject-secret"


@dataclass(frozen=True)
class Event:
    """One that was received. at: when it happened. insert_id: empty = the sender gave none."""

    event: str
    at: datetime
    distinct_id: str
    insert_id: str
    more: dict[str, Any] = field(default_factory=dict)
    processed: int = 1_761_987_612_345

    @property
    def key(self) -> tuple[Any, ...]:
        """What Mixpanel takes for the same event."""
        return self.event, self.distinct_id, self.at, self.insert_id


class Mixpanel:
    """received: the truth, in order. now: of its clock. early: how many of the next exports break off."""

    def __init__(self, now: datetime, zone: str = "UTC") -> None:
        self.received: list[Event] = []
        self.now, self.zone = now, ZoneInfo(zone)
        self.revoked, self.early = False, 0
        self.app = Starlette(routes=[Route("/api/2.0/export", self.export)])

    async def export(self, request: Request) -> Response:
        """The events of some days."""
        asked = request.query_params
        if problem := self._refused(request):
            return problem
        try:
            first, last = date.fromisoformat(asked["from_date"]), date.fromisoformat(asked["to_date"])
        except (KeyError, ValueError):
            return self._told(request, 400, "from_date and to_date are required, as yyyy-mm-dd")
        if last > self.now.astimezone(self.zone).date():
            return self._told(request, 400, "to_date cannot be later than today")
        names = json.loads(asked["event"]) if "event" in asked else None
        found = [one for one in self.received if first <= one.at.astimezone(self.zone).date() <= last]
        lines = [self._line(one) for one in found if names is None or one.event in names]
        lines = lines[: int(asked["limit"])] if "limit" in asked else lines
        if self.early and lines:
            self.early -= 1
            lines = [*lines[: len(lines) // 2], "export terminated early\n"]
        body, headers = "".join(lines).encode(), {"content-type": "text/plain"}
        if "gzip" in request.headers.get("accept-encoding", "") and len(body) > 1400:
            body, headers["content-encoding"] = gzip.compress(body), "gzip"
        return Response(body, headers=headers)

    def _line(self, one: Event) -> str:
        clock = one.at.astimezone(self.zone).replace(tzinfo=UTC)
        ids = {"$insert_id": one.insert_id} if one.insert_id else {}
        told = {"time": int(clock.timestamp()), "distinct_id": one.distinct_id, **ids}
        told |= {"mp_processing_time_ms": one.processed, **one.more}
        return json.dumps({"event": one.event, "properties": told}) + "\n"

    def _refused(self, request: Request) -> Response | None:
        sent = request.headers.get("authorization", "").removeprefix("Basic ")
        user, _, password = base64.b64decode(sent).decode().partition(":")
        if not self.revoked and (user, password) == (SECRET, ""):
            return None
        if self.revoked or (user, password) != (USER, PASSWORD):
            return self._told(request, 401, "Unable to authenticate request")
        if request.query_params.get("project_id") != PROJECT:
            return self._told(request, 403, "User is not a member of this project")
        return None

    @staticmethod
    def _told(request: Request, status: int, words: str) -> Response:
        return JSONResponse({"request": str(request.url.path), "error": words}, status)
