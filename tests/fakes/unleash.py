"""Unleash's search of events as its source has it: newest first, pages by offset, days in `from`, filters as `IS:…`."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

TOKEN = "user:of-the-fake"


class Unleash:
    """events: the truth. shuffled: events of one moment come in another order with each page. between: see there."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.revoked = self.shuffled = False
        self.chance = random.Random(1)
        self.between: Any = None  # called after each page, to change the truth
        self.app = Starlette(routes=[Route("/api/admin/search/events", self.searched)])

    def change(
        self,
        key: int,
        date: int,
        *,
        flag: str = "checkout",
        environment: str | None = "production",
        kind: str = "feature-strategy-update",
        share: float = 100.0,
        strategy: str = "s1",
        **more: Any,
    ) -> None:
        """An event of a flag. date: milliseconds since 1970."""
        data = {"id": strategy, "name": "flexibleRollout", "constraints": [], "parameters": {"rollout": f"{share:g}"}}
        about = "strategy" in kind
        self.events.append(
            {
                "id": key,
                "type": kind,
                "createdBy": "ana@example.com",
                "createdAt": f"{datetime.fromtimestamp(date / 1000, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
                "data": {**data, **more} if about and not kind.endswith("remove") else None,
                "preData": data if kind.endswith("remove") else None,
                "featureName": flag,
                "project": "default",
                "environment": environment,
                "tags": [],
            }
        )

    async def searched(self, request: Request) -> Response:
        """A page of events."""
        if self.revoked or request.headers.get("authorization") != TOKEN:
            return JSONResponse({"name": "AuthenticationRequired", "message": "You must log in to use Unleash."}, 401)
        asked = request.query_params
        kinds = asked.get("type", "").partition(":")[2].split(",")
        first = asked.get("from", "").removeprefix("IS:")
        rows = [e for e in self.events if e["type"] in kinds and e["createdAt"] >= first]
        if "project" in asked:
            rows = [e for e in rows if e["project"] == asked["project"].removeprefix("IS:")]
        if self.shuffled:
            self.chance.shuffle(rows)
        rows.sort(key=lambda e: str(e["createdAt"]), reverse=True)
        limit, offset = min(int(asked.get("limit", 50)), 1000), int(asked.get("offset", 0))
        page = {"events": rows[offset : offset + limit], "total": len(rows)}
        if self.between is not None:
            self.between()
        return JSONResponse(page)
