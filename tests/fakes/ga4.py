"""GA4's Data API as its documentation has it: runReport with offset and limit, quota, what it says of its reports."""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.clock import utc_now

TYPES = {"activeUsers": "TYPE_INTEGER", "sessions": "TYPE_INTEGER", "totalRevenue": "TYPE_CURRENCY"}
DIMENSIONS = {"date", "country", "customEvent:plan"}
CHANNEL = "sessionDefaultChannelGroup"
# Metrics of visits. Users: of so many days up to the row's.
USERS = {"activeUsers": 1, "active7DayUsers": 7, "active28DayUsers": 28}
VISITED = {**dict.fromkeys(USERS, "TYPE_INTEGER"), "newUsers": "TYPE_INTEGER", "sessions": "TYPE_INTEGER"}
VISITED |= {"engagedSessions": "TYPE_INTEGER", "keyEvents": "TYPE_FLOAT"}


@dataclass(frozen=True)
class Visit:
    """One session of a user."""

    day: str
    user: str
    channel: str
    engaged: bool
    new: bool


@functools.cache
def private_key() -> str:
    """Of a service account."""
    made = rsa.generate_private_key(65537, 2048)
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def key_file(url: str) -> str:
    """What is in the file of a service account's key, for tokens of this address."""
    account = {"client_email": "kpi@x.iam.gserviceaccount.com", "private_key": private_key()}
    return json.dumps({**account, "token_uri": f"{url}/token"})


class Analytics:
    """events: the truth, (day, country, plan) → metrics. about: more of the metadata. left: tokens of the day.

    visits: another truth, in the place of events; it is counted for each row anew, as users must be.
    """

    def __init__(self) -> None:
        self.events: dict[tuple[str, str, str], dict[str, float]] = {}
        self.visits: list[Visit] = []
        self.property_id = "123"
        self.zone = "Europe/Berlin"
        self.about: dict[str, Any] = {}
        self.left = 199_000
        self.revoked = self.no_token = False
        self.tokens = 0
        self.asked: list[dict[str, Any]] = []
        self.between: Any = None  # called after each page, to change the truth
        self.shifted: list[int] = []  # of the next pages after a first one: so many pages further than asked for
        self.app = Starlette(
            routes=[
                Route("/token", self.token, methods=["POST"]),
                Route("/v1beta/properties/{report}", self.report, methods=["POST"]),
            ]
        )

    def today(self) -> str:
        """Where the property is."""
        return f"{utc_now().astimezone(ZoneInfo(self.zone)).date()}"

    async def token(self, request: Request) -> Response:
        """For an assertion that a key signed."""
        form = await request.form()
        if self.no_token or form["grant_type"] != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return JSONResponse({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, 400)
        self.tokens += 1
        return JSONResponse({"access_token": f"ya29.number-{self.tokens}", "expires_in": 3599, "token_type": "Bearer"})

    async def report(self, request: Request) -> Response:
        """One page."""
        if request.headers.get("authorization") != f"Bearer ya29.number-{self.tokens}":
            return refused(401, "Request had invalid authentication credentials.", "UNAUTHENTICATED")
        if self.revoked or request.path_params["report"] != f"{self.property_id}:runReport":
            return refused(403, "User does not have sufficient permissions for this property.", "PERMISSION_DENIED")
        asked = json.loads(await request.body())
        self.asked.append(asked)
        dimensions = [one["name"] for one in asked["dimensions"]]
        metrics = [one["name"] for one in asked["metrics"]]
        for name in (*dimensions, *metrics):
            if name not in DIMENSIONS | set(TYPES) | ({CHANNEL, *VISITED} if self.visits else set()):
                return refused(400, f"Field {name} is not a valid dimension or metric.", "INVALID_ARGUMENT")
        start, end = (self._day(asked["dateRanges"][0][key]) for key in ("startDate", "endDate"))
        if start > end or start > self.today():
            return refused(400, "A dateRange's startDate is after its endDate.", "INVALID_ARGUMENT")
        rows = self._rows(dimensions, metrics, start, end, asked.get("orderBys", []))
        offset, limit = int(asked.get("offset", 0)), int(asked.get("limit", 10_000))
        offset += limit * self.shifted.pop(0) if offset and self.shifted else 0
        answer = self._answer(dimensions, metrics, rows, offset, min(limit, 250_000))
        if asked.get("returnPropertyQuota"):
            status = {"consumed": 3, "remaining": self.left}
            answer["propertyQuota"] = {"tokensPerDay": status, "tokensPerHour": {"consumed": 3, "remaining": 39_997}}
        if self.between is not None:
            self.between(offset)
        return JSONResponse(answer)

    def _day(self, text: str) -> str:
        """A day, or a word for one where the property is."""
        back = {"today": 0, "yesterday": 1}.get(text)
        if back is None:
            return text
        return f"{(datetime.fromisoformat(self.today()) - timedelta(days=back)).date()}"

    def _rows(
        self, dimensions: list[str], metrics: list[str], start: str, end: str, order: list[Any]
    ) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        """Sums by dimension. Without an order: by the first metric, the greatest first."""
        sums: dict[tuple[str, ...], list[float]] = dict(self._visited(dimensions, metrics, start, end))
        for (day, country, plan), values in self.events.items():
            if start <= day <= end:
                named = {"date": day.replace("-", ""), "country": country, "customEvent:plan": plan}
                row = sums.setdefault(tuple(named[name] for name in dimensions), [0.0] * len(metrics))
                row[:] = [a + values[name] for a, name in zip(row, metrics, strict=True)]
        made = [(key, tuple(written(name, v) for name, v in zip(metrics, vs, strict=True))) for key, vs in sums.items()]
        if not order:
            return sorted(made, key=lambda row: -float(row[1][0]))
        places = [dimensions.index(one["dimension"]["dimensionName"]) for one in order]
        return sorted(made, key=lambda row: [row[0][n] for n in places])

    def _visited(
        self, dimensions: list[str], metrics: list[str], start: str, end: str
    ) -> Iterator[tuple[tuple[str, ...], list[float]]]:
        """Rows of visits: of each day, and of each channel where that is asked for."""
        rows: dict[tuple[str, ...], list[tuple[int, Visit]]] = defaultdict(list)  # how many days before
        first, last = date.fromisoformat(start), min(date.fromisoformat(end), date.fromisoformat(self.today()))
        for visit in self.visits:
            for back in range(max(USERS.values())):
                day = date.fromisoformat(visit.day) + timedelta(days=back)
                if first <= day <= last:
                    named = {"date": f"{day:%Y%m%d}", CHANNEL: visit.channel}
                    rows[tuple(named[name] for name in dimensions)].append((back, visit))
        for key, near in rows.items():
            values = [_metric(name, near) for name in metrics]
            if any(values):
                yield key, values

    def _answer(self, dimensions: list[str], metrics: list[str], rows: list[Any], offset: int, limit: int) -> Any:
        part = rows[offset : offset + limit]
        found: dict[str, Any] = {
            "dimensionHeaders": [{"name": name} for name in dimensions],
            "metricHeaders": [{"name": name, "type": (TYPES | VISITED)[name]} for name in metrics],
            "metadata": {"currencyCode": "EUR", "timeZone": self.zone, **self.about},
            "kind": "analyticsData#runReport",
        }
        if part:
            cells = [([{"value": v} for v in key], [{"value": v} for v in values]) for key, values in part]
            found["rows"] = [{"dimensionValues": key, "metricValues": values} for key, values in cells]
        return found | ({"rowCount": len(rows)} if rows else {})  # what is 0, false or empty is left out


def _metric(name: str, near: list[tuple[int, Visit]]) -> float:
    """A metric of visits, which are so many days before the row's day."""
    if name in USERS:
        return len({visit.user for back, visit in near if back < USERS[name]})
    own = [visit for back, visit in near if back == 0]
    if name == "engagedSessions":
        return sum(visit.engaged for visit in own)
    return sum(visit.new for visit in own) if name == "newUsers" else len(own)


def written(metric: str, value: float) -> str:
    """All values are texts."""
    return str(int(value)) if (TYPES | VISITED)[metric] == "TYPE_INTEGER" else str(value)


def refused(status: int, words: str, name: str) -> Response:
    """An error as Google's APIs have it."""
    return JSONResponse({"error": {"code": status, "message": words, "status": name}}, status)
