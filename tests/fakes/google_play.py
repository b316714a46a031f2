"""Google Play's list of reviews as its documentation has it: the last week, newest change first, a token per page."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.fakes.google import Tokens, wrong

PACKAGE = "com.example.shop"
WEEK = 7 * 86_400


class GooglePlay:
    """now: its clock, seconds since 1970. reviews: the truth by id, as the API writes it."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.reviews: dict[str, dict[str, Any]] = {}
        self.revoked = False
        self.between: Callable[[], None] | None = None  # called after each page, to change the truth
        self.tokens = Tokens("https://www.googleapis.com/auth/androidpublisher")
        path = "/androidpublisher/v3/applications/{package}/reviews"
        self.app = Starlette(routes=[self.tokens.route, Route(path, self._listed)])

    # ---- what happens at the vendor

    def review(self, rating: int, **more: Any) -> str:
        """A new one."""
        key = f"gp:{len(self.reviews)}"
        self.reviews[key] = {"reviewId": key, "authorName": "Jane", "comments": []}
        self.edit(key, starRating=rating, text="\tgood", **more)
        return key

    def edit(self, key: str, **more: Any) -> None:
        """Its customer writes it anew."""
        comments = self.reviews[key]["comments"]
        before = comments[0]["userComment"] if comments else {}
        comments[:1] = [{"userComment": {**before, **more, "lastModified": {"seconds": str(self.now), "nanos": 7}}}]

    def reply(self, key: str, words: str) -> None:
        """The developer's answer."""
        at = {"seconds": str(self.now), "nanos": 0}
        self.reviews[key]["comments"][1:] = [{"developerComment": {"text": words, "lastModified": at}}]

    # ---- HTTP

    async def _listed(self, request: Request) -> Response:
        if refused := self.tokens.refused(request):
            return refused
        if self.revoked or request.path_params["package"] != PACKAGE:
            return wrong(403, "The caller does not have permission", "PERMISSION_DENIED")
        size, start = int(request.query_params.get("maxResults", 10)), int(request.query_params.get("token", 0))
        rows = [r for r in self.reviews.values() if changed(r) >= self.now - WEEK]
        rows.sort(key=changed, reverse=True)
        body: dict[str, Any] = {"reviews": copy.deepcopy(rows[start : start + size])} if rows else {}
        if start + size < len(rows):
            body["tokenPagination"] = {"nextPageToken": str(start + size)}
        if self.between is not None:
            self.between()
        return JSONResponse(body)


def changed(review: dict[str, Any]) -> int:
    """When its customer last wrote it."""
    return int(review["comments"][0]["userComment"]["lastModified"]["seconds"])
