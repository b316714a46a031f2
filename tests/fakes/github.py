"""GitHub's REST API as its documentation has it: releases newest first, issues by last change, Link, ETag, limits."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

TOKEN = "github_pat_of-the-fake"
REPO = "octo-org/shop"


class GitHub:
    """releases, issues: the truth, by repository. between: called after each page, to change it."""

    def __init__(self) -> None:
        self.releases: dict[str, list[dict[str, Any]]] = {REPO: []}
        self.issues: dict[str, list[dict[str, Any]]] = {REPO: []}
        self.revoked = self.may_write = self.inclusive = False
        self.limited: list[tuple[int, dict[str, str], str]] = []  # refusals of the next requests
        self.between: Any = None
        self.charged = 0  # requests that count: all but 304
        self.app = Starlette(
            routes=[
                Route("/repos/{owner}/{name}/releases", self.listed_releases),
                Route("/repos/{owner}/{name}/issues", self.listed_issues),
            ]
        )

    async def listed_releases(self, request: Request) -> Response:
        """By the date of their commit, newest first; drafts for who may push."""
        repo = self._repo(request)
        rows = [r for r in self.releases.get(repo, ()) if self.may_write or not r["draft"]]
        return self._answer(request, repo, self.releases, sorted(rows, key=lambda r: r["created_at"], reverse=True))

    async def listed_issues(self, request: Request) -> Response:
        """Open ones by creation, unless it is asked for others. Pull requests are issues."""
        repo, asked = self._repo(request), request.query_params
        state, since = asked.get("state", "open"), asked.get("since", "")
        rows = [i for i in self.issues.get(repo, ()) if state in ("all", i["state"])]
        rows = [i for i in rows if i["updated_at"] > since or (self.inclusive and i["updated_at"] == since)]
        by = "updated_at" if asked.get("sort") == "updated" else "created_at"
        rows.sort(key=lambda i: i["id"])
        rows.sort(key=lambda i: i[by], reverse=asked.get("direction", "desc") == "desc")
        return self._answer(request, repo, self.issues, rows)

    @staticmethod
    def _repo(request: Request) -> str:
        return f"{request.path_params['owner']}/{request.path_params['name']}"

    def _answer(self, request: Request, repo: str, known: dict[str, Any], rows: list[dict[str, Any]]) -> Response:
        if self.limited:
            status, headers, words = self.limited.pop(0)
            return JSONResponse(
                {"message": words, "documentation_url": "https://docs.github.com/rest"}, status, headers
            )
        if self.revoked or request.headers.get("authorization", f"Bearer {TOKEN}") != f"Bearer {TOKEN}":
            return JSONResponse({"message": "Bad credentials", "status": "401"}, 401)
        if repo not in known:
            return JSONResponse({"message": "Not Found", "status": "404"}, 404)
        size, page = min(int(request.query_params.get("per_page", 30)), 100), int(request.query_params.get("page", 1))
        part = rows[(page - 1) * size : page * size]
        tag = f'W/"{hashlib.sha256(json.dumps(part).encode()).hexdigest()}"'
        if self.between is not None:
            self.between(page)
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"etag": tag})
        self.charged += 1
        headers = {"etag": tag, "x-ratelimit-remaining": str(5_000 - self.charged)}
        if page * size < len(rows):
            last = -(-len(rows) // size)
            links = {"next": page + 1, "last": last}
            told = (f'<{request.url.include_query_params(page=n)}>; rel="{rel}"' for rel, n in links.items())
            headers["link"] = ", ".join(told)
        return JSONResponse(part, headers=headers)
