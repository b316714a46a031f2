"""What stands before Streamlit: whom it answers, which addresses are closed, and the headers of every answer."""

from __future__ import annotations

import logging
import os
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

import streamlit as st
from google.protobuf.message import DecodeError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.path_security import is_unsafe_path_pattern
from streamlit.proto.BackMsg_pb2 import BackMsg

from connectors.errors import KpiError
from jobs.access.rights import kept_out
from jobs.access.tokens import METRICS_TOKEN, admitted, is_metrics_token
from jobs.operations.hosts import Hosts
from jobs.project.clock import utc_now
from jobs.project.project import Project, open_project
from ui.shell.front import Front
from ui.shell.nested import Nested, base, for_programs
from ui.shell.signed import VOUCHED, person, voucher

log = logging.getLogger(__name__)
FORWARDED = "FORWARDED_ALLOW_IPS"  # whom uvicorn believes where a request comes from
METRICS_HOW = f"`kpi token create NAME --scope metrics`, or {METRICS_TOKEN} of the server, as Authorization: Bearer …"
CLOSED = re.compile(r"/(_stcore/agent(/.*)?|openapi\.json|docs|redoc|_stcore/script-health-check)", re.DOTALL)
METRICS, MEDIA = "/_stcore/metrics", re.compile(r"/(media|_stcore/upload_file)(/.*)?", re.DOTALL)
SIGNS, OURS = re.compile(r"/auth/(login|logout)"), ("same-origin", "none")  # by a GET; none: an address that was typed
CONTROL = re.compile(r"[\x00-\x1f\x7f]")  # a route of Starlette ends before a line break, so it is no address of ours
# Words of Streamlit's protocol for who develops an app: the first empties what is kept for all readers.
FOREIGN = frozenset(("clear_cache", "load_git_info", "set_run_on_save", "install_skills", "dismiss_skills_nudge"))
OPERATION = "backend_operation_request"
STRANGE_HOST = (
    "This dashboard does not answer to that name.\n"
    "If it is right, write it as `url` into settings.yml, such as url: https://kpi.example.com, and start again.\n"
)
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


def policy(host: str, scripts: Sequence[str]) -> str:
    """The Content-Security-Policy of a page that is asked for at `host`. scripts: hashes of those in its HTML.

    blob: components of Streamlit are modules made of their text. Styles stay inline: Streamlit and Plotly write
    them. The websocket is named, because not every browser takes 'self' for it.
    """
    return "; ".join(
        (
            "default-src 'self'",
            " ".join(("script-src 'self' blob:", *scripts)),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            f"connect-src 'self' ws://{host} wss://{host}",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'self'",
        )
    )


@cache
def inline_scripts() -> tuple[str, ...]:
    """Hashes of the scripts in Streamlit's own page, as it is installed."""
    page = Path(st.__file__).parent / "static" / "index.html"
    found = re.findall(r"<script>(.*?)</script>", page.read_text(encoding="utf-8"), re.DOTALL)
    return tuple(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in found)


@cache
def hosts() -> Hosts:
    """The names of this server. A project that cannot be opened is served by its own page; loopback names remain."""
    try:
        url = open_project(lenient=True).settings.url
    except KpiError:
        url = ""
    return Hosts(str(st.get_option("server.address") or ""), url)


class Door:
    """Refuses what is not for us: foreign hosts and origins, closed addresses, files of the signed-in to others."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        scope = vouched(scope)
        asked = HTTPConnection(scope)
        status, words = refused(asked)
        guard = None if status else GUARDS.get(guarded(path_of(asked)))
        if guard is not None and not await run_in_threadpool(guard[0], asked):  # it may wait for a file or a database
            status, words = 403, guard[1]
        if scope["type"] == "http" and for_programs(scope["path"], base()) and no_address(status, scope["path"]):
            scope, status = {**scope, "path": f"{base()}/api"}, 0  # which says in the form of all errors of programs
        if not status:
            await self.app(scope, of_a_page(receive) if scope["type"] == "websocket" else receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": words.split("\n")[0]})
        else:
            await PlainTextResponse(words, status)(scope, receive, send)


def of_a_page(receive: Receive) -> Receive:
    """Without what no page of ours says over its websocket: the gate stands in the script, and these pass it by."""

    async def received() -> Message:
        while True:
            message = await receive()
            if _said(message.get("bytes") or b"") not in FOREIGN:
                return message

    return received


def _said(message: bytes) -> str:
    try:
        said = BackMsg.FromString(message)
        kind = said.WhichOneof("type") or ""
        return said.backend_operation_request.WhichOneof("payload") or "" if kind == OPERATION else kind
    except DecodeError:  # which Streamlit says, too
        return ""


def refused(asked: HTTPConnection) -> tuple[int, str]:
    """HTTP status and words for what is not answered; 0 for the rest."""
    named = asked.headers.getlist("host")
    if len(named) != 1 or not hosts().answers(named[0]):
        return 421, STRANGE_HOST
    if CONTROL.search(asked.scope["path"]):
        return 404, "Not found\n"
    if asked.scope["type"] == "websocket" and not hosts().takes(asked.headers.getlist("origin"), named[0]):
        return 403, "Only the dashboard's own pages may connect.\n"
    if SIGNS.fullmatch(path_of(asked)) and asked.headers.get("sec-fetch-site", OURS[0]) not in OURS:
        return 403, "Only the dashboard's own pages sign in and out.\n"
    return (404, "Not found\n") if CLOSED.fullmatch(path_of(asked)) else (0, "")


def no_address(status: int, path: str) -> bool:
    """Whether nothing can be there: the door says so, or Streamlit would, of a path that leads out of its folder."""
    return status == 404 or (status == 0 and is_unsafe_path_pattern(path.lstrip("/")))


def path_of(asked: HTTPConnection) -> str:
    """Below where the dashboard is served, without a slash too many."""
    path = re.sub(r"/{2,}", "/", asked.scope["path"])
    return (path.removeprefix(base()) if path.startswith(f"{base()}/") else path).rstrip("/")


def guarded(path: str) -> str:
    """Which of GUARDS stands before an address; empty = none."""
    return "metrics" if path == METRICS else "media" if MEDIA.fullmatch(path) else ""


def vouched(scope: Scope) -> Scope:
    """A request that says for whom it is only if the proxy that may say so sent it, and each such header once."""
    project = _project()
    proxy = project.settings.sign_in_proxy if project is not None else None
    address, _ = scope.get("client") or ("", 0)
    names = {proxy.user.lower(), proxy.groups.lower()} if proxy is not None else set()
    told = Counter(_name(header) for header in scope["headers"])
    good = (
        proxy is not None and proxy.names(address) and all(told[name] <= 1 for name in names) and _sees_who_connects()
    )
    foreign = {VOUCHED} if good else {VOUCHED, *names}
    kept = [header for header in scope["headers"] if _name(header) not in foreign]
    return {**scope, "headers": [*kept, *([(VOUCHED.encode(), voucher().encode())] if good else [])]}


@cache
def _sees_who_connects() -> bool:
    """Whether the address of a request is that of who connects. uvicorn takes it from a header unless told not to."""
    good = os.environ.get(FORWARDED) == ""
    if not good:
        log.error("sign_in_proxy signs nobody in: start with `kpi run`, or with %s set and empty", FORWARDED)
    return good


def _name(header: tuple[bytes, bytes]) -> str:
    return header[0].decode("latin-1").lower()


@cache
def _opened() -> Project:
    return open_project()


def _project() -> Project | None:
    """The project as it was first opened; None while it cannot be. Who is vouched for by other settings is nobody."""
    try:
        return _opened()
    except KpiError:
        return None


def _has_token(asked: HTTPConnection) -> bool:
    kind, _, given = asked.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not given:
        return False
    if is_metrics_token(given):
        return True
    try:
        return admitted(open_project(lenient=True).state, given, "metrics", now=utc_now()) is not None
    except KpiError:
        return False


def _may_see(asked: HTTPConnection) -> bool:
    try:
        project = open_project()
    except KpiError:
        return False
    if not project.settings.sign_in:
        return True
    who = person(asked.cookies, asked.headers, project)
    return who is not None and not kept_out(who, project.settings)


GUARDS: dict[str, tuple[Callable[[HTTPConnection], bool], str]] = {
    "metrics": (_has_token, f"Metrics need a token: {METRICS_HOW}\n"),
    "media": (_may_see, "Sign in first.\n"),
}


class SecurityHeaders:
    """Adds the policy and HEADERS to every HTTP answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; complete the answer's head."""
        host = Headers(scope=scope).get("host", "") if scope["type"] == "http" else ""
        if not re.fullmatch(r"[\w.:\[\]-]+", host):
            host = "localhost"

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = (b"content-security-policy", policy(host, inline_scripts()).encode())
                ours = {name for name, _ in HEADERS}
                kept = [(name, value) for name, value in message["headers"] if name.lower() not in ours]
                message["headers"] = [*kept, told, *HEADERS]
            await send(message)

        await self.app(scope, receive, complete if scope["type"] == "http" else send)


MIDDLEWARE = (
    Middleware(GZipMiddleware, minimum_size=1024),
    Middleware(SecurityHeaders),
    Middleware(Door),
    Middleware(Nested),
    Middleware(Front),
)
