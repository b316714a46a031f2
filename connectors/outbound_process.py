"""A whole process that connects to nothing but what is permitted, whichever library in it does: that of a message.

Python itself tells of each connection before it is made (audit events), so no library has to take part, and a redirect
is one more connection. It cannot be taken back: for processes that do one thing and end.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from socket import SOCK_STREAM, getaddrinfo
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from connectors.errors import OutboundRefused
from connectors.outbound import permitted, permitted_by_proxy

ANY = "0.0.0.0"  # noqa: S104 (what an empty name means to a socket)
GOING_OUT = ("socket.connect", "socket.sendto", "socket.sendmsg")


@dataclass
class Guard:
    """What was refused in this process, for who tells of it: a library may have taken it for something else."""

    allow: tuple[str, ...]
    refused: list[OutboundRefused] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)
    _asking: threading.local = field(default_factory=threading.local)

    def heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Raises OutboundRefused for a connection that is not permitted; of a name all addresses have to be."""
        if getattr(self._asking, "now", False):  # our own question to the name server
            return
        if event == "socket.getaddrinfo":
            self._judge(arguments[0], arguments[1])
        elif event in GOING_OUT and isinstance(arguments[1], tuple):  # else a Unix socket, or already connected
            self._judge(arguments[1][0] or ANY, arguments[1][1])

    def _judge(self, host: Any, port: Any) -> None:
        name = host.decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else host
        if not name or not isinstance(name, str) or name in self._known:
            return
        self._asking.now = True
        try:
            self._known |= {name, *permitted(name, port if isinstance(port, int) else 0, self.allow, private=True)}
        except OutboundRefused as error:
            self.refused.append(error)
            raise
        finally:
            self._asking.now = False

    def through_proxies(self) -> None:
        """Let the proxies of the environment be connected to, and judge what is asked of them by its spelling."""
        for proxy in getproxies().values():
            self._known |= _addresses(urlsplit(proxy).hostname or "")

        from requests.adapters import HTTPAdapter
        from requests.utils import select_proxy

        send: Callable[..., Any] = HTTPAdapter.send

        def judged(adapter: Any, request: Any, *rest: Any, **named: Any) -> Any:
            if select_proxy(request.url, named.get("proxies")):
                try:
                    permitted_by_proxy(urlsplit(request.url).hostname or "", self.allow, private=True)
                except OutboundRefused as error:
                    self.refused.append(error)
                    raise
            return send(adapter, request, *rest, **named)

        HTTPAdapter.send = judged  # type: ignore[assignment,method-assign]  # of this process alone


def guarded(allow: tuple[str, ...]) -> Guard:
    """From here on this process connects to what is permitted alone, and to the proxies of its environment."""
    guard = Guard(allow)
    if getproxies():
        guard.through_proxies()
    sys.addaudithook(guard.heard)
    return guard


def _addresses(host: str) -> set[str]:
    """A proxy's name and addresses, if it has any."""
    try:
        return {host, *(str(answer[4][0]) for answer in getaddrinfo(host, 0, type=SOCK_STREAM))} if host else set()
    except OSError:
        return {host}
