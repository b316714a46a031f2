"""HTTP to addresses that a file or a form names: each connection, of each hop, goes to an address that was permitted.

The name stays in Host and in the handshake of TLS. Where the environment names a proxy (HTTPS_PROXY, NO_PROXY), that
one connects, so of the target only its spelling is judged.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import httpcore
import httpx
from httpx._utils import get_environment_proxies  # what httpx itself asks; a transport of one's own switches it off

from connectors.outbound import permitted, permitted_by_proxy

CONNECTIONS, KEPT, KEPT_SECONDS = 100, 20, 5.0  # as httpx has it


class _Permitted(httpcore.SyncBackend):
    """Opens TCP connections to what is permitted, address after address of a name."""

    def __init__(self, allow: tuple[str, ...], *, private: bool) -> None:
        self._allow, self._private = allow, private

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Raises OutboundRefused; httpcore.ConnectError, ConnectTimeout."""
        try:
            addresses = permitted(host, port, self._allow, private=self._private)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        for address in addresses[:-1]:
            try:
                return super().connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue  # the next may answer
        return super().connect_tcp(addresses[-1], port, timeout, local_address, socket_options)


class _Direct(httpx.HTTPTransport):
    """Connects itself."""

    def __init__(self, allow: tuple[str, ...], *, private: bool) -> None:
        context = httpx.create_ssl_context()
        super().__init__(verify=context)
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=CONNECTIONS,
            max_keepalive_connections=KEPT,
            keepalive_expiry=KEPT_SECONDS,
            network_backend=_Permitted(allow, private=private),
        )


class _Proxied(httpx.HTTPTransport):
    """Lets a proxy connect."""

    def __init__(self, proxy: str, allow: tuple[str, ...], *, private: bool) -> None:
        super().__init__(proxy=httpx.Proxy(proxy))
        self._allow, self._private = allow, private

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Raises OutboundRefused."""
        permitted_by_proxy(request.url.host, self._allow, private=self._private)
        return super().handle_request(request)


def guarded_client(allow: tuple[str, ...], *, private: bool, **options: Any) -> httpx.Client:
    """A client that connects to nothing but what is permitted (connectors/outbound.py), redirects included.

    options: of httpx.Client. Its requests raise OutboundRefused beside what httpx raises.
    """
    mounts = {
        pattern: None if proxy is None else _Proxied(proxy, allow, private=private)
        for pattern, proxy in get_environment_proxies().items()
    }
    return httpx.Client(transport=_Direct(allow, private=private), mounts=mounts, **options)
