"""Addresses of the dashboard's pages in what leaves it: messages, files. An address that leads nowhere is left out."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit


@dataclass(frozen=True)
class Links:
    """base: where the dashboard is, without a slash at its end; empty = others cannot open it, and `why` says why."""

    base: str
    why: str = ""

    def to(self, page: str = "", query: Mapping[str, object] | None = None) -> str:
        """Where a page is; empty if nobody could open it."""
        if not self.base:
            return ""
        found = f"{self.base}/{page}" if page else self.base
        return f"{found}?{urlencode(query, quote_via=quote)}" if query else found

    def line(self, page: str = "", query: Mapping[str, object] | None = None) -> str:
        """Where a page is, or why no link is given: a line of a message."""
        return self.to(page, query) or self.why


PAGES = Links(".")  # between the dashboard's own pages, wherever it is served


def links_to(url: str) -> Links:
    """Links below the setting `url`; none where it is not set, is no web address or reaches only its own machine."""
    if not url:
        return Links("", "No link: the setting `url` does not say where the dashboard is.")
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".").lower()
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not host:
        return Links("", "No link: the setting `url` is no web address such as https://kpi.example.com.")
    if _own_machine(host):
        return Links("", f"No link: the setting `url` names this machine alone ({host}).")
    return Links(url.rstrip("/"))


def _own_machine(host: str) -> bool:
    """Whether a host in an address is whoever opens it. 127.1 and 0x7f.0.0.1 are numbers, too."""
    if host == "localhost" or host.endswith((".localhost", ".localdomain")):
        return True
    try:
        number: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            number = ipaddress.IPv4Address(socket.inet_aton(host))
        except OSError:
            return False
    if isinstance(number, ipaddress.IPv6Address) and number.ipv4_mapped is not None:
        number = number.ipv4_mapped
    return number.is_loopback or number.is_unspecified or (number.version == 4 and int(number) >> 24 == 0)
