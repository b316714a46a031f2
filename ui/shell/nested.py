"""Addresses of more than one part, as hands write them: /kpi/nps leads to that KPI, others to a page that says so.

Streamlit's pages have one part, and of a longer address its own dialog would say no more than that there is none.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

import streamlit as st
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

DETAILS = ("kpi", "launch")  # pages of one thing, which a second part names; reached from every link to it
# No pages: Streamlit's own. From /kpi it asks for /kpi/_stcore/health, too, to find out under which path it is served.
PROGRAMS = frozenset(("api", "healthz", "readyz", "metrics"))  # what addresses of programs begin with (api/)
OURS = frozenset(("_stcore", "app", "component", "media", "static", "oauth2callback", "auth"))


class Nested:
    """Sends a browser from an address of several parts to one of one part; all else is passed on."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a redirect, or pass the request on."""
        target = redirected(scope["path"], base()) if scope["type"] == "http" and scope["method"] == "GET" else ""
        await (RedirectResponse(target, 302) if target else self.app)(scope, receive, send)


def base() -> str:
    """The path before our pages, such as /kpis; empty for none."""
    given = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{given}" if given else ""


def for_programs(path: str, before: str) -> bool:
    """Whether an address is none of the dashboard's, but of what programs ask."""
    return _inside(path, before).lstrip("/").partition("/")[0] in PROGRAMS


def _inside(path: str, before: str) -> str:
    return path.removeprefix(before) if path.startswith(f"{before}/") else path


def redirected(path: str, before: str) -> str:
    """Where `path` leads, relative to it, so that it holds behind a proxy that takes a part away; empty = nowhere."""
    inside = _inside(path, before)
    parts = [part for part in inside.split("/") if part]
    if len(parts) < 2 or for_programs(path, before) or OURS.intersection(parts) or "." in parts[-1]:
        return ""
    up = "../" * (inside.lstrip("/").count("/"))
    if parts[0] in DETAILS and len(parts) == 2:
        return f"{up}{parts[0]}?{urlencode({parts[0]: parts[1]})}"
    return up + quote("-".join(parts), safe="")
