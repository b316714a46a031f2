"""Amplitude's Export API, after amplitude.com/docs/apis/analytics/export.

Hours of the upload, both included, at most 365 days; an archive with one gzipped file of lines an hour; 404 for a range
without data, 400 beyond the size limit. An hour can be exported two hours after its end. Times carry no zone: UTC.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import zipfile
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

API_KEY, SECRET_KEY = "ap1-key-of-the-fake", "s3cret-key-of-the-fake"
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Event:
    """at: when it happened. uploaded: when Amplitude got it."""

    uuid: str
    at: datetime
    uploaded: datetime
    event_type: str = "signup"
    user_id: str | None = "u1"
    properties: dict[str, Any] = field(default_factory=dict)
    user_properties: dict[str, Any] = field(default_factory=dict)


class Amplitude:
    """events: the truth. An export of more than `most` events is too large, one of more than `slow` hours too slow."""

    def __init__(self, now: datetime) -> None:
        self.events: list[Event] = []
        self.now, self.most, self.slow = now, 1_000_000, 10_000
        self.revoked, self.last_break = False, True
        self.exported: list[tuple[str, str]] = []
        self.app = Starlette(routes=[Route("/api/2/export", self.export)])

    async def export(self, request: Request) -> Response:
        """The events that were uploaded in some hours."""
        sent = base64.b64decode(request.headers.get("authorization", "").removeprefix("Basic ")).decode()
        if self.revoked or sent != f"{API_KEY}:{SECRET_KEY}":
            return JSONResponse({"error": {"http_code": 401, "type": "invalid", "message": "invalid API key"}}, 401)
        asked = request.query_params
        first = datetime.strptime(asked["start"], "%Y%m%dT%H").replace(tzinfo=UTC)
        last = datetime.strptime(asked["end"], "%Y%m%dT%H").replace(tzinfo=UTC) + HOUR
        if last - first > timedelta(days=365) or last <= first:
            return PlainTextResponse("the time range is longer than 365 days", 400)
        if last - first > self.slow * HOUR:
            return PlainTextResponse("timeout", 504)
        ready = min(last, (self.now - 2 * HOUR).replace(minute=0, second=0, microsecond=0))
        found = [one for one in self.events if first <= one.uploaded < ready]
        if len(found) > self.most:
            return PlainTextResponse("The exported file is too large. Shorten the time range; the limit is 4GB.", 400)
        if not found:
            return PlainTextResponse("Raw data files were not found.", 404)
        self.exported.append((asked["start"], asked["end"]))
        return Response(self._archive(found), media_type="application/zip")

    def _archive(self, found: list[Event]) -> bytes:
        by_hour: dict[datetime, list[str]] = defaultdict(list)
        for one in found:
            by_hour[one.uploaded.replace(minute=0, second=0, microsecond=0)].append(self._line(one))
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as archive:
            for hour, lines in by_hour.items():
                text = "\n".join(lines) + ("\n" if self.last_break else "")
                archive.writestr(f"187520/187520_{hour:%Y-%m-%d_%-H}#1.json.gz", gzip.compress(text.encode()))
        return made.getvalue()

    @staticmethod
    def _line(one: Event) -> str:
        def written(at: datetime) -> str:
            return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"

        told = {
            "app": 187520,
            "uuid": one.uuid,
            "$insert_id": f"i-{one.uuid}",
            "event_type": one.event_type,
            "event_id": 12,
            "event_time": written(one.at),
            "client_event_time": written(one.at),
            "client_upload_time": written(one.uploaded),
            "server_received_time": written(one.uploaded),
            "server_upload_time": written(one.uploaded),
            "user_id": one.user_id,
            "device_id": "d-1",
            "amplitude_id": int.from_bytes((one.user_id or "nobody").encode()[:6], "big"),
            "session_id": -1,
            "country": "France",
            "event_properties": one.properties,
            "user_properties": one.user_properties,
        }
        return json.dumps(told)
