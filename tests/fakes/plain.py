"""An API of nobody: records under /orders, paged in every way that `rest` knows, behind every way to sign in."""

from __future__ import annotations

import base64
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

KEY = "k3y-of-the-plain-fake"


class Plain:
    """orders: the truth, in the order in which the API gives them. tokens: given so far."""

    def __init__(self) -> None:
        self.orders: list[dict[str, Any]] = []
        self.revoked = False
        self.tokens = 0
        self.asked: list[dict[str, str]] = []  # of the address where tokens are given
        self.between: Any = None  # called after each page, to change the truth
        self.app = Starlette(
            routes=[
                Route("/orders/{paging}", self.page, methods=["GET", "POST"]),
                Route("/token", self.token, methods=["POST"]),
                Route("/long", self.long),
            ]
        )

    async def token(self, request: Request) -> Response:
        """OAuth2: a token for a secret, a refresh token or an assertion."""
        form = {k: str(v) for k, v in (await request.form()).items()} if await request.body() else {}
        self.asked.append(form)
        if self.revoked:
            return JSONResponse({"error": "invalid_client"}, 401)
        self.tokens += 1
        return JSONResponse({"access_token": f"token-number-{self.tokens}", "expires_in": 3600})

    async def long(self, request: Request) -> Response:
        """An answer that is too long."""
        return Response(b"[" + b'{"id": 1},' * 8_000_000 + b'{"id": 2}]', media_type="application/json")

    async def page(self, request: Request) -> Response:
        """One page of orders."""
        if not self._known(request):
            return JSONResponse({"error": {"message": "no such key"}}, 401)
        asked: dict[str, Any] = dict(request.query_params)
        if request.method == "POST":
            asked |= await request.json()
        paging, size = request.path_params["paging"], int(asked.get("size", 3))
        rows = [o for o in self.orders if str(o.get("updated_at", "")) >= str(asked.get("since", ""))]
        start = self._start(paging, asked, rows, size)
        part = rows[start : start + size]
        end = start + len(part)
        more = end < len(rows)
        if self.between is not None:
            self.between(start)
        return self._told(request, paging, part, end, more, len(rows), size)

    def _known(self, request: Request) -> bool:
        if self.revoked:
            return False
        basic = "Basic " + base64.b64encode(f"me:{KEY}".encode()).decode()
        sent = request.headers.get("authorization", "")
        known = sent in (f"Bearer {KEY}", basic) or sent == f"Bearer token-number-{self.tokens}" or sent.count(".") == 2
        return known or KEY in (request.headers.get("x-api-key"), request.query_params.get("api_key"))

    @staticmethod
    def _start(paging: str, asked: dict[str, Any], rows: list[dict[str, Any]], size: int) -> int:
        if paging == "last_id" and "after" in asked:
            return next((n + 1 for n, row in enumerate(rows) if str(row["id"]) == str(asked["after"])), len(rows))
        if paging == "page":
            return (int(asked.get("page", 1)) - 1) * size
        return int(asked.get("after") or asked.get("offset") or 0)

    def _told(
        self, request: Request, paging: str, part: list[Any], end: int, more: bool, total: int, size: int
    ) -> Response:
        following = str(request.url.include_query_params(after=end, size=size))
        if paging in ("none", "link_header", "page"):
            headers = {"link": f'<{following}>; rel="next"'} if paging == "link_header" and more else {}
            return JSONResponse(part, headers=headers)
        body: dict[str, Any] = {"data": {"items": part}}
        if paging == "next_url":
            body["links"] = {"next": following if more else None}
        elif paging == "cursor":
            body["meta"] = {"next": str(end) if more else None}
        elif paging == "last_id":
            body["has_more"] = more
        elif paging == "offset":
            body["total"] = total
        return JSONResponse(body)
