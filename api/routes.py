"""Every address that programs ask, for app.py: what watches the server, and /api/v1."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from api import alerts, kpis, launches, snapshots, sync, values
from api.health import healthz, readyz
from api.measures import metrics
from api.openapi import document
from api.problems import unanswered
from api.resource import Resource, endpoint

RESOURCES: tuple[Resource, ...] = (
    *kpis.RESOURCES,
    *values.RESOURCES,
    *alerts.RESOURCES,
    *launches.RESOURCES,
    *snapshots.RESOURCES,
    *sync.RESOURCES,
)
PREFIX = "/api/v1"


def routes(base: str) -> Sequence[BaseRoute]:
    """All routes. base: the path before them, such as /kpis; empty for none."""
    return (
        Route(f"{base}/healthz", healthz),
        Route(f"{base}/readyz", readyz),
        Route(f"{base}/metrics", metrics),
        Route(f"{base}/api", _bare, methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
        Mount(f"{base}/api", app=_api()),
    )


def _api() -> Starlette:
    """What is below /api: an app of its own, so that also what it has not is answered in words."""
    by_path: dict[str, dict[str, Resource]] = {}
    for resource in RESOURCES:
        by_path.setdefault(resource.path, {})[resource.method] = resource
    inner = [
        Route(f"{PREFIX.removeprefix('/api')}{path}", _of(found), methods=list(found))
        for path, found in by_path.items()
    ]
    inner.append(Route(f"{PREFIX.removeprefix('/api')}/openapi.json", _described))
    app = Starlette(routes=inner, exception_handlers={HTTPException: unanswered})
    app.router.redirect_slashes = False
    return app


def _of(by_method: Mapping[str, Resource]) -> Callable[[Request], Awaitable[Response]]:
    """One address with its methods: Starlette would say of the first alone which it takes."""
    ends = {method: endpoint(resource) for method, resource in by_method.items()}

    async def chosen(request: Request) -> Response:
        return await ends["GET" if request.method == "HEAD" else request.method](request)

    return chosen


async def _described(_request: Request) -> Response:
    """What is asked for how; it says nothing of the project, so it needs no token."""
    return JSONResponse(description(), headers={"cache-control": "public, max-age=300"})


@cache
def description() -> dict[str, Any]:
    """The OpenAPI document."""
    return document(RESOURCES, PREFIX)


async def _bare(request: Request) -> Response:
    return await unanswered(request, HTTPException(404))
