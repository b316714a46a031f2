"""Which names the dashboard answers to, and whether others than this machine reach it: against DNS rebinding."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")
ANY = ("", "0.0.0.0", "::", "*")  # noqa: S104 (only compared)
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::(\d{1,5}))?")


def is_loopback(host: str) -> bool:
    """Whether an address to listen at reaches no further than this machine. A name that is not known does."""
    if host in ANY:
        return False
    try:
        found = {str(info[4][0]).partition("%")[0] for info in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(ipaddress.ip_address(address).is_loopback for address in found)


class Hosts:
    """The names of one server. address: that it listens at; url: of `settings.yml`."""

    def __init__(self, address: str, url: str) -> None:
        parts = urlsplit(url)
        self._names = {*LOOPBACK, *(name for name in (address, parts.hostname) if name and name not in ANY)}
        self._names = {name.lower() for name in self._names}
        # Whoever listens everywhere is reached by numbers that it does not know; a number is never rebound.
        self._numbers = address in ANY
        self._origin = f"{parts.scheme}://{parts.netloc}".lower() if parts.netloc else ""

    def answers(self, host: str) -> bool:
        """Whether a Host header names this server; the port does not matter."""
        found = _HOST.fullmatch(host)
        if not found or int(found[2] or 0) > 65_535:
            return False
        name = found[1].strip("[]").lower().rstrip(".")
        return name in self._names or (self._numbers and _is_number(name))

    def takes(self, origins: Sequence[str], host: str) -> bool:
        """Whether a web page of this origin may open a websocket: our own, exactly. None is sent by programs."""
        if not origins:
            return True
        origin = origins[0].lower()
        own = (f"http://{host}".lower(), f"https://{host}".lower(), self._origin)
        return len(origins) == 1 and origin in own


def _is_number(name: str) -> bool:
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        return False
