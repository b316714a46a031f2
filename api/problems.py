"""Errors as RFC 9457 says them: problem+json of a KpiError, never a traceback."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from connectors.errors import (
    DiskFull,
    KpiError,
    QueryRefused,
    SnapshotError,
    SyncRunning,
    UnknownGeneration,
    UnknownName,
    Withheld,
)

log = logging.getLogger(__name__)
# First match wins; what is not here is of the project and not of the question: it can be answered later.
STATUS: tuple[tuple[type[KpiError], int], ...] = (
    (SyncRunning, 409),
    (Withheld, 403),
    (QueryRefused, 422),
    (UnknownGeneration, 422),
    (UnknownName, 404),
    (SnapshotError, 404),
    (DiskFull, 507),
    (KpiError, 503),
)
LATER = {"retry-after": "30"}


class Refused(Exception):
    """An answer that is an error, with its HTTP status. headers: beside those of every answer."""

    def __init__(self, status: int, error: KpiError, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(str(error))
        self.status, self.error, self.headers = status, error, dict(headers or {})


def problem(status: int, error: KpiError, headers: Mapping[str, str] | None = None) -> Response:
    """An error as an answer: type, title, status, detail, code, hint."""
    detail = ": ".join(part for part in (error.where, error.message) if part)
    found = {
        "type": f"urn:bellwether:problem:{error.code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": error.code,
        "hint": error.hint or None,
    }
    more = {"cache-control": "no-store", "vary": "Authorization", **(headers or {})}
    return Response(json.dumps(found), status, more, "application/problem+json")


def refused(error: Exception) -> Response:
    """What any error is answered with; one that is nobody's fault but ours goes to the log."""
    if isinstance(error, Refused):
        return problem(error.status, error.error, error.headers)
    if isinstance(error, KpiError):
        status = next(number for kind, number in STATUS if isinstance(error, kind))
        return problem(status, error, LATER if status == 503 else None)
    if isinstance(error, ValidationError):
        return problem(422, QueryRefused(_said(error), hint="docs/api.md has every parameter."))
    log.error("unexpected %s", type(error).__name__, exc_info=error)
    return problem(500, KpiError("something went wrong on our side", hint="The server's log says what."))


def _said(error: ValidationError) -> str:
    found = [f"{'.'.join(map(str, one['loc'])) or 'the question'}: {one['msg']}" for one in error.errors()[:5]]
    return "; ".join(found)


async def unanswered(_request: Request, error: Exception) -> Response:
    """What Starlette itself refuses: an address that is not there, a method that it does not take."""
    assert isinstance(error, HTTPException)
    words = {404: "there is no such address", 405: "this address does not take that method"}
    told = KpiError(words.get(error.status_code, error.detail), hint="/api/v1/openapi.json lists every address.")
    told.code = "unknown_address" if error.status_code == 404 else "method"
    return problem(error.status_code, told, error.headers)
