"""A program that is told: a real HTTP server that believes what is signed, with the client that others copy."""

from __future__ import annotations

import http.server
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from client.bellwether import BellwetherError, verified
from connectors.clock import utc_now

SECRET = "correct-horse-battery-staple-0"
KEY = "path-of-a-receiver-7"  # in its address, and in nothing that is written
ANSWERS = {
    "hang": b"",
    "garbage": b"\x00\xff\x16garbage\r\n\r\n",
    # More than clickhouse-connect lets http.client take in a process that has loaded it.
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    "long line": b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n",
    "no number": b"HTTP/1.1 two hundred\r\n\r\n",
}


@dataclass
class Receiver:
    """What came, and how it answers next: a status, (status, headers), or a word. Then 200."""

    got: list[dict[str, Any]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)  # of what was sent in answers without end
    answers: list[Any] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    port: int = 0
    now: datetime | None = None  # of its clock; None = this process's

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{KEY}?team=a%20b"

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.got]

    def settings(self, more: str = "") -> str:
        return (
            f"webhooks:\n  - {{name: program, url: '{self.url}', secret: '${{HOOK_SECRET}}'{more}}}\n"
            "outbound_hosts: [127.0.0.1]\n"
        )


@contextmanager
def receiving(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    state = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                state.got.append(verified(body, dict(self.headers), SECRET, now=(state.now or utc_now()).timestamp()))
            except BellwetherError as error:
                state.refused.append(str(error))
            answer = state.answers.pop(0) if state.answers else 200
            if isinstance(answer, str):
                self.close_connection = True
                self._odd(answer)
                return
            status, headers = answer if isinstance(answer, tuple) else (answer, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        do_GET = do_POST

        def _odd(self, answer: str) -> None:
            self.wfile.write(ANSWERS.get(answer, b"HTTP/1.1 200 OK\r\n\r\n"))
            try:
                for _ in range(40 if answer in ("hang", "drip") else 0):
                    time.sleep(0.1)
                    self.wfile.write(b"x" if answer == "drip" else b"")
                sent = 0
                while answer == "flood" and sent < 50_000_000:
                    sent += self.wfile.write(b"x" * 65_536)
                    state.sizes.append(sent)
            except OSError:
                pass  # the sender has gone

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # who does not trust it hangs up
    state.port = server.server_port
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()
