"""A resource: its address, what it takes, what it gives; and the one way in which all of them are answered."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, get_origin

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from api.asking import (
    Answer,
    Asked,
    Parameters,
    bearer,
    digest,
    entered,
    in_a_thread,
    marked,
    seen,
    twice,
)
from api.problems import Refused, refused
from api.tallies import TALLIES
from connectors.errors import KpiError, QueryRefused, counted
from jobs.project.asker import computes_for
from jobs.project.clock import utc_now
from jobs.project.plain import finite

MOST_BYTES = 1_024  # of a body; no resource takes any but an empty object
MOST_NOTES = 20


@dataclass(frozen=True)
class Resource:
    """path: below /api/v1. takes, gives: the shapes of its parameters and answer. scope: of the token that it needs.

    live: the answer changes by itself, so only its own text tells whether it is the same.
    """

    path: str
    summary: str
    scope: str
    takes: type[Parameters]
    gives: type[BaseModel]
    answer: Callable[[Asked], Answer]
    method: str = "GET"
    live: bool = False


def endpoint(resource: Resource) -> Callable[[Request], Awaitable[Response]]:
    """Answers requests, whatever goes wrong."""

    async def answered(request: Request) -> Response:
        since = time.monotonic()
        answer = await told(request)
        TALLIES.add(resource.path, resource.method, answer.status_code, time.monotonic() - since)
        return answer

    async def told(request: Request) -> Response:
        try:
            if resource.method != "GET":
                await _no_body(request)
            return await in_a_thread(partial(_answered, resource, request))
        except Exception as error:  # each is told in words
            return refused(error)

    return answered


async def _no_body(request: Request) -> None:
    found = b""
    async for piece in request.stream():
        found += piece
        if len(found) > MOST_BYTES:
            raise Refused(413, KpiError(f"the body is longer than {MOST_BYTES} bytes", hint="Send none."))
    if found.strip() not in (b"", b"{}"):
        raise QueryRefused("this address takes no body", hint="Send none, or {}.")


def _answered(resource: Resource, request: Request) -> Response:
    now = utc_now()
    token = entered(bearer(request), resource.scope, now)
    computes_for(f"token {token.name}")
    of = _given(resource, request)
    asked = Asked(seen(token), token, request.path_params, of, now, request.url.path)
    return twice(partial(_of_one_generation, resource, request, asked))


def _of_one_generation(resource: Resource, request: Request, asked: Asked) -> Response:
    opened = asked.project
    with opened.bound(opened.reader() if opened.has_data() else None):
        mark = marked(asked, str(request.url)) if resource.method == "GET" and not resource.live else ""
        if mark and _held(request, mark):
            return Response(status_code=304, headers=_headers(mark))
        answer = resource.answer(asked)
    body = json.dumps(finite(answer.body), ensure_ascii=False, allow_nan=False)
    if resource.method != "GET":
        return Response(body, answer.status, {**_headers(""), **(answer.headers or {})}, "application/json")
    mark = mark or digest(body)
    if _held(request, mark):
        return Response(status_code=304, headers=_headers(mark))
    notes = {"kpi-notes": json.dumps(list(answer.notes[:MOST_NOTES]))} if answer.notes else {}
    return Response(body, answer.status, {**_headers(mark), **notes, **(answer.headers or {})}, "application/json")


def _headers(mark: str) -> dict[str, str]:
    found = {"vary": "Authorization", "cache-control": "private, no-cache" if mark else "no-store"}
    return found | ({"etag": f'"{mark}"'} if mark else {})


def _held(request: Request, mark: str) -> bool:
    """Whether the asker has this answer. Packing weakens a tag, so a weak one is as good."""
    held = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    return f'"{mark}"' in held


def _given(resource: Resource, request: Request) -> Parameters:
    """The checked parameters. Raises ValidationError, QueryRefused."""
    given: dict[str, Any] = {}
    for name in request.query_params:
        values, field = request.query_params.getlist(name), resource.takes.model_fields.get(name)
        if field is not None and get_origin(field.annotation) is tuple:
            given[name] = values
        elif len(values) > 1:
            raise QueryRefused(f"{name[:80]} is given {counted(len(values), 'time')}", hint="Give it once.")
        else:
            given[name] = values[0]
    return resource.takes.model_validate(given)
