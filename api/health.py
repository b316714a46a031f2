"""/healthz and /readyz: for who keeps the server running. Without a token they say nothing of the project."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.asking import bearer, in_a_thread, project
from api.problems import Refused, refused
from connectors.errors import KpiError
from jobs.access.tokens import known
from jobs.project.clock import utc_now
from jobs.project.project import Project
from metrics.presentation.format import iso

FRESH = {"cache-control": "no-store", "vary": "Authorization"}


async def healthz(_request: Request) -> Response:
    """The process answers; it looks at nothing."""
    return JSONResponse({"ok": True}, headers=FRESH)


async def readyz(request: Request) -> Response:
    """Whether it can show data: 200, or 503 with the part that cannot.

    A token of any scope is told more, unless a role limits it.
    """
    try:
        ok, found = await in_a_thread(lambda: ready(bearer(request), utc_now()))
    except Refused as error:
        return refused(error)
    return JSONResponse(found, 200 if ok else 503, headers=FRESH)


def ready(secret: str, now: datetime) -> tuple[bool, dict[str, Any]]:
    """Whether all that must be is, and the answer. A sync that is overdue is told, and takes no server away."""
    parts = {"project": False, "data": False, "state": False, "sync": True}
    more: dict[str, Any] = {}
    try:
        opened = project()
        parts["project"] = True
        parts["state"] = not (opened.state.problem() or opened.state.trouble())
        parts["sync"] = not opened.sync_log.overdue(now)
        token = known(opened.state, secret, now=now) if parts["state"] else None
        if token is not None and not token.role:
            more = {"overdue": opened.sync_log.overdue(now) or None, "warnings": list(opened.warnings())}
            more |= _generation(opened, now)
        parts["data"] = opened.has_data() and bool(opened.reader().generation.id)
    except KpiError as error:
        if more:
            more["error"] = error.message
    ok = parts["project"] and parts["data"] and parts["state"]
    said = {name: "ok" if good else "overdue" if name == "sync" else "not ok" for name, good in parts.items()}
    return ok, {"ok": ok, "parts": said, **more}


def _generation(opened: Project, now: datetime) -> dict[str, Any]:
    if not opened.has_data():
        return {"generation": None, "published_at": None, "age_seconds": None}
    found = opened.reader().generation
    age = (now - found.published_at).total_seconds()
    return {"generation": found.id, "published_at": iso(found.published_at), "age_seconds": round(age)}
