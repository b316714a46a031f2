"""LaunchDarkly's audit log as its documentation has it: newest first, at most 20 entries, `before` and `after` without
their own moment; what a flag does stands in the entry, not in the list."""

from __future__ import annotations

import fnmatch
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

TOKEN = "api-1234-of-the-fake"
DETAILS = ("currentVersion", "previousVersion")


class LaunchDarkly:
    """entries: the truth, whole, in any order. between: called after each page, to change it."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.revoked = False
        self.between: Any = None
        self.app = Starlette(
            routes=[Route("/api/v2/auditlog", self.listed), Route("/api/v2/auditlog/{key}", self.entry)]
        )

    def change(
        self,
        key: str,
        date: int,
        *,
        flag: str = "checkout",
        environment: str = "production",
        on: bool = True,
        share: float = 100.0,
        action: str = "updateFallthrough",
    ) -> None:
        """A change of a boolean flag: on or off, and percent of the rollout."""
        weights = [
            {"variation": 0, "weight": round(share * 1000)},
            {"variation": 1, "weight": round(100_000 - share * 1000)},
        ]
        state = {"on": on, "fallthrough": {"rollout": {"variations": weights}}, "offVariation": 1, "rules": []}
        self.entries.append(
            {
                "_id": key,
                "date": date,
                "accesses": [{"action": action, "resource": f"proj/default:env/{environment}:flag/{flag}"}],
                "kind": "flag",
                "name": flag.capitalize(),
                "member": {"email": "ana@example.com"},
                "comment": "",
                "_links": {"site": {"href": f"/default/{environment}/features/{flag}", "type": "text/html"}},
                "currentVersion": {
                    "variations": [{"value": True}, {"value": False}],
                    "environments": {environment: state},
                },
            }
        )

    async def listed(self, request: Request) -> Response:
        """A page of entries, short."""
        if (refused := self._refused(request)) is not None:
            return refused
        asked = request.query_params
        after, before = int(asked.get("after", 0)), int(asked.get("before", 10**15))
        rows = [e for e in self.entries if after < e["date"] < before and self._meant(e, asked.get("spec", "*"))]
        rows.sort(key=lambda e: -e["date"])
        limit = min(int(asked.get("limit", 10)), 20)
        part = [{key: value for key, value in row.items() if key not in DETAILS} for row in rows[:limit]]
        links = {"self": {"href": str(request.url.path)}}
        if len(rows) > limit:
            links["next"] = {"href": f"/api/v2/auditlog?before={part[-1]['date']}"}
        if self.between is not None:
            self.between()
        return JSONResponse({"items": part, "_links": links})

    async def entry(self, request: Request) -> Response:
        """One entry, whole."""
        if (refused := self._refused(request)) is not None:
            return refused
        found = next((e for e in self.entries if e["_id"] == request.path_params["key"]), None)
        if found is None:
            return JSONResponse({"code": "not_found", "message": "Invalid resource identifier"}, 404)
        return JSONResponse(found)

    def _refused(self, request: Request) -> Response | None:
        if self.revoked or request.headers.get("authorization") != TOKEN:
            return JSONResponse({"code": "unauthorized", "message": "Invalid account ID header"}, 401)
        return None

    @staticmethod
    def _meant(entry: dict[str, Any], spec: str) -> bool:
        return any(fnmatch.fnmatchcase(access["resource"], spec) for access in entry["accesses"])
