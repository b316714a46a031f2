"""APIs of vendors on loopback: real HTTP, each written from its documentation, with faults that a test switches on.

A fake is a Starlette app over a truth that the test changes. `Fake` serves it in a thread, counts what is asked, and
spoils answers: see FAULTS.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, Self
from urllib.parse import parse_qs

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send

from connectors.sources.rest import client

# What can go wrong with one answer, whichever API it is of.
FAULTS = ("429", "500", "503", "cut", "html", "hang up")
# What can go wrong with a page of JSON: the one before comes once more in its place; every object has a new key.
OF_PAGES = ("again", "new key")
PAGED = ("starting_after", "after", "page", "page[after]", "cursor", "offset")  # parameters that choose a page


@dataclass(frozen=True)
class Seen:
    """A request that came. at: by the monotonic clock."""

    method: str
    path: str
    query: str
    at: float
    fault: str = ""


@dataclass
class Faults:
    """Which requests fail. share: of all, chosen by `chance`; next: faults of the next requests, one each."""

    share: float = 0.0
    kinds: tuple[str, ...] = FAULTS
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    next: list[str] = field(default_factory=list)
    in_a_row: int = 2  # at most, so that a client that tries six times gets through
    _row: int = 0

    def draw(self) -> str:
        """The fault of this request; empty for none."""
        if self.next:
            return self.next.pop(0)
        if self.share and self._row < self.in_a_row and self.chance.random() < self.share:
            self._row += 1
            return self.chance.choice(self.kinds)
        self._row = 0
        return ""


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients pause for milliseconds, so that a fault costs no time."""
    monkeypatch.setattr(client, "USUAL", replace(client.USUAL, first=0.002, most=0.01, limited=0.05))


class Fake:
    """Serves an app until the block ends. url: its address. seen: every request. budget: refuses what is too much."""

    def __init__(self, app: Starlette, *, budget: tuple[tuple[int, float], ...] = ()) -> None:
        self._app, self._budget = app, budget
        self.seen: list[Seen] = []
        self.too_many = 0  # requests beyond the budget
        self.faults = Faults()
        self.streams = False  # answers go as they are made, without faults of pages
        self._lock = threading.Lock()
        self._pages: dict[str, list[Message]] = {}  # listing → its last answer

    def __enter__(self) -> Self:
        config = uvicorn.Config(
            self._spoiled, port=0, log_level="critical", lifespan="off", ws="none", interface="asgi3"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.005)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(20)

    def counted(self) -> Counter[str]:
        """How often each path was asked."""
        return Counter(one.path for one in self.seen)

    async def _spoiled(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        with self._lock:
            now = time.monotonic()
            fault = self.faults.draw()
            over = any(sum(one.at > now - span for one in self.seen) >= count for count, span in self._budget)
            self.too_many += over
            query = scope["query_string"].decode()
            self.seen.append(Seen(scope["method"], scope["path"], query, now, fault or ("budget" if over else "")))
        if over:
            await answer(send, 429, b'{"error": "too many requests"}', {"retry-after": "1"})
        elif fault == "429":
            await answer(send, 429, b'{"error": {"message": "slow down"}}', {"retry-after": "0"})
        elif fault in ("500", "503"):
            await answer(send, int(fault), b"<html>oops</html>")
        elif fault == "html":
            await answer(send, 200, b"<html>maintenance</html>")
        elif fault in ("cut", "hang up"):
            await self._cut(scope, receive, send, nothing=fault == "hang up")
        elif self.streams:
            await self._app(scope, receive, send)
        else:
            await self._page(scope, receive, send, fault)

    def forget(self) -> None:
        """A pull begins: no page of one before comes again."""
        self._pages.clear()

    async def _page(self, scope: Scope, receive: Receive, send: Send, fault: str) -> None:
        """The right answer, or that of the page before it in the same list."""
        asked = parse_qs(scope["query_string"].decode())
        listing = f"{scope['path']} {sorted((k, v) for k, v in asked.items() if k not in PAGED)}"
        sent: list[Message] = []

        async def taken(message: Message) -> None:
            sent.append(message)

        paged = any(name in asked for name in PAGED)
        if fault == "again" and scope["method"] == "GET" and paged and listing in self._pages:
            sent = self._pages[listing]
        else:
            await self._app(scope, receive, taken)
            if sent[0]["status"] == 200:
                self._pages[listing] = sent
        for message in with_new_keys(sent) if fault == "new key" else sent:
            await send(message)

    async def _cut(self, scope: Scope, receive: Receive, send: Send, *, nothing: bool) -> None:
        """The right answer's head, and half of its body or nothing; then the connection ends."""
        head: Message = {}
        body = b""

        async def taken(message: Message) -> None:
            nonlocal head, body
            if message["type"] == "http.response.start":
                head = message
            else:
                body += message.get("body", b"")

        await self._app(scope, receive, taken)
        headers = [(k, v) for k, v in head["headers"] if k.lower() not in (b"content-length", b"transfer-encoding")]
        await send({**head, "headers": [*headers, (b"content-length", str(len(body) + 1).encode())]})
        await send(
            {"type": "http.response.body", "body": b"" if nothing else body[: len(body) // 2], "more_body": True}
        )


def with_new_keys(sent: list[Message]) -> list[Message]:
    """An answer of JSON in which every object has a key more, as a newer version of an API has it."""

    def grown(value: Any) -> Any:
        if isinstance(value, dict):
            return {**{key: grown(inner) for key, inner in value.items()}, "new_key": {"a": [1]}}
        return [grown(inner) for inner in value] if isinstance(value, list) else value

    body = b"".join(message.get("body", b"") for message in sent)
    headers = [(k, v) for k, v in sent[0]["headers"] if k.lower() != b"content-length"]
    if not any(k.lower() == b"content-type" and b"json" in v for k, v in headers):
        return sent
    made = json.dumps(grown(json.loads(body))).encode()
    head = {**sent[0], "headers": [*headers, (b"content-length", str(len(made)).encode())]}
    return [head, {"type": "http.response.body", "body": made}]


async def answer(send: Send, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
    """A whole answer."""
    told = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(name.encode(), value.encode()) for name, value in told.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})
