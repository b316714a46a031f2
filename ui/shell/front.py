"""What a browser gets before the app runs: Streamlit's first page with our style and the shape of what is to come.

Streamlit's own page is white until a megabyte of script has run, and asks for a font that our theme does not use, and
for all of 4,000 icons. Everything here is made of the page as it is installed, once.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.responses import FileResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.shell.nested import base, for_programs
from ui.shell.templates import markup
from ui.shell.theme import CSS, STATIC

PAGES = Path(__file__).resolve().parents[2] / "pages"
PAGE = Path(st.__file__).parent / "static"
ICONS = re.compile(r"/static/media/MaterialSymbols-Rounded\.[\w-]+\.woff2$")
DRAWN = ("kpi", "launch", "launches")  # pages with Plotly figures, which are worth asking for at once
SAID = ("StreamlitMarkdown", "Html", "Selectbox", "DownloadButton")  # parts of the app that most pages need
UNUSED = re.compile(r'<link\s+rel="preload"\s+href="[^"]*SourceSans[^>]*>')
CONDITIONS = (b"if-none-match", b"if-modified-since", b"range", b"accept-encoding")
FOREVER = "public, immutable, max-age=31536000"
# Our own fonts. A browser that is not told guesses by the file's age, and asks three times for one that is newer than
# the server's clock.
FONTS = re.compile(r"/app/static/[\w-]+\.woff2$")


class Front:
    """Answers with our first page where Streamlit would with its own, and with the icons that are used."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; a page of HTML becomes ours."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif ICONS.search(scope["path"]):
            answer = FileResponse(STATIC / "symbols.woff2", headers={"cache-control": FOREVER})
            await answer(scope, receive, send)
        elif _asks_for_a_page(scope):
            unconditional = [
                (k, v) for k, v in scope["headers"] if k not in CONDITIONS
            ]  # ours is another text, packed later
            replaced = _Replaced(first_page(_name(scope["path"])), send)
            await self.app({**scope, "headers": unconditional}, receive, replaced)
        elif FONTS.search(scope["path"]):
            await self.app(scope, receive, _Kept(send))
        else:
            await self.app(scope, receive, send)


class _Kept:
    """Sends on what comes, for a browser to keep."""

    def __init__(self, send: Send) -> None:
        self.send = send

    async def __call__(self, message: Message) -> None:
        """Pass a message on, the head of an answer with how long it holds."""
        if message["type"] == "http.response.start" and message["status"] in (200, 304):
            MutableHeaders(raw=message["headers"])["cache-control"] = FOREVER
        await self.send(message)


class _Replaced:
    """Sends on what comes, but of an answer with HTML only its head, and our page."""

    def __init__(self, page: bytes, send: Send) -> None:
        self.page, self.send, self.ours = page, send, False

    async def __call__(self, message: Message) -> None:
        """Pass a message on, or put ours in its place."""
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message["headers"])
            self.ours = message["status"] == 200 and headers.get("content-type", "").startswith("text/html")
            if self.ours:
                for name in ("etag", "last-modified"):
                    del headers[name]
                headers["content-length"] = str(len(self.page))
        elif message["type"] == "http.response.body" and self.ours:
            if message.get("more_body", False):
                return
            message = {"type": "http.response.body", "body": self.page}
        await self.send(message)


@cache
def first_page(name: str) -> bytes:
    """The HTML for one page of the dashboard; empty name = the overview."""
    html = UNUSED.sub("", (PAGE / "index.html").read_text(encoding="utf-8"))
    html = html.replace("<title>Streamlit</title>", "<title>Bellwether</title>")
    html = html.replace("</head>", markup("shell/first_head", scripts=_scripts(name)) + "</head>")
    return html.replace('<div id="root"></div>', markup("shell/first_body", css=CSS, cards=not name)).encode()


def _scripts(name: str) -> list[str]:
    """Addresses of the parts that the page will ask for."""
    wanted = SAID + (("PlotlyChart",) if name in DRAWN else ())
    found = [path for part in wanted for path in sorted((PAGE / "static" / "js").glob(f"{part}.*.js"))]
    return [f"./static/js/{path.name}" for path in found]


def _name(path: str) -> str:
    """`kpi` of `/any/base/kpi`; empty for the overview and for what is no page: they are few."""
    last = path.rstrip("/").rpartition("/")[2]
    return last if last in _names() else ""


@cache
def _names() -> frozenset[str]:
    return frozenset(path.stem for path in PAGES.glob("*.py")) - {"overview"}


def _asks_for_a_page(scope: Scope) -> bool:
    path = scope["path"]
    return scope["method"] == "GET" and "." not in path.rpartition("/")[2] and not for_programs(path, base())
