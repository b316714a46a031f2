"""A proxy on loopback for a client that resolves and follows redirects by itself, as Arrow's for S3 does.

It connects to what is permitted alone, for who knows its password, while the block lasts.
"""

from __future__ import annotations

import hmac
import select
import socket
import socketserver
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from secrets import token_urlsafe
from typing import cast
from urllib.parse import urlsplit

from connectors.errors import OutboundRefused
from connectors.outbound import permitted

MOST_HEAD, PIECE = 1 << 16, 1 << 16  # bytes
SILENCE, CONNECT = 300.0, 20.0  # seconds
HOP = ("proxy-authorization:", "proxy-connection:", "connection:")
CLOSED = "Connection: close"
USER = "kpi"


class Proxy(socketserver.ThreadingTCPServer):
    """One that runs. refused: why it did not connect."""

    daemon_threads, block_on_close = True, False

    def __init__(self, allow: tuple[str, ...]) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        self.allow, self.password = allow, token_urlsafe(24)
        self.refused: list[OutboundRefused] = []

    @property
    def url(self) -> str:
        """Its address, with who may ask."""
        return f"http://{USER}:{self.password}@127.0.0.1:{self.server_address[1]}"

    def knows(self, head: list[str]) -> bool:
        """Whether a request shows the password."""
        wanted = b64encode(f"{USER}:{self.password}".encode()).decode()
        said = next((line for line in head if line.lower().startswith("proxy-authorization:")), "")
        return hmac.compare_digest(said.rpartition(" ")[2].encode(), wanted.encode())


@contextmanager
def proxy(allow: tuple[str, ...]) -> Iterator[Proxy]:
    """A proxy until the block ends. allow: `outbound_hosts` of the settings."""
    with Proxy(allow) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Asked(socketserver.BaseRequestHandler):
    """One request, or one tunnel; then the connection ends."""

    request: socket.socket

    def handle(self) -> None:
        """Connect and pass on, or say why not. An answer that breaks off breaks off: nothing of ours gets into it."""
        self.request.settimeout(SILENCE)
        server = cast("Proxy", self.server)
        try:
            head, rest = self._head()
            method, target, _ = head[0].split(" ")
            tunnel = method == "CONNECT"
            place = urlsplit(f"//{target}" if tunnel else target)
            if not server.knows(head):
                self._answer("407 Proxy Authentication Required")
                return
            if "@" in place.netloc or not (tunnel or place.scheme == "http"):
                self._answer("400 Bad Request")
                return
            far = self._connected(place.hostname or "", place.port or 80, server.allow)
        except OutboundRefused as error:
            server.refused.append(error)
            self._answer("403 Forbidden")
        except ValueError:
            self._answer("400 Bad Request")
        except OSError:
            self._answer("502 Bad Gateway")
        else:
            with far, suppress(OSError):
                if tunnel:
                    self._answer("200 Connection established")
                else:
                    own = target[len("http://") + len(place.netloc) :] or "/"  # as it was signed
                    lines = [line for line in head[1:] if not line.lower().startswith(HOP)]
                    far.sendall("\r\n".join([f"{method} {own} HTTP/1.1", *lines, CLOSED, "", ""]).encode("latin-1"))
                far.sendall(rest)
                _pass_on(self.request, far)

    def _head(self) -> tuple[list[str], bytes]:
        """The lines before the body, and what came of it with them. Raises ValueError, OSError."""
        read = b""
        while b"\r\n\r\n" not in read:
            piece = self.request.recv(PIECE)
            if not piece or len(read) > MOST_HEAD:
                raise ValueError("no request")
            read += piece
        head, _, rest = read.partition(b"\r\n\r\n")
        return head.decode("latin-1").split("\r\n"), rest

    def _connected(self, host: str, port: int, allow: tuple[str, ...]) -> socket.socket:
        """Raises OutboundRefused, OSError."""
        for address in permitted(host, port, allow, private=True):
            try:
                return socket.create_connection((address, port), CONNECT)
            except OSError as error:
                last = error
        raise last

    def _answer(self, status: str) -> None:
        closed = "" if status.startswith("200") else f"Content-Length: 0\r\n{CLOSED}\r\n"
        with suppress(OSError):  # who asked may have gone
            self.request.sendall(f"HTTP/1.1 {status}\r\n{closed}\r\n".encode())


def _pass_on(near: socket.socket, far: socket.socket) -> None:
    """Bytes both ways, until the far side ends or nobody says anything."""
    far.settimeout(SILENCE)
    asking = [near, far]
    while ready := select.select(asking, [], [], SILENCE)[0]:
        if near in ready:
            piece = near.recv(PIECE)
            if piece:
                far.sendall(piece)
            else:
                far.shutdown(socket.SHUT_WR)
                asking = [far]
        if far in ready:
            piece = far.recv(PIECE)
            if not piece:
                return
            near.sendall(piece)
