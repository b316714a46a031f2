"""Where the environment names a proxy, it is asked as before, and what is asked of it is judged by its spelling."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from connectors.channels.apprise import AppriseChannel
from connectors.channels.contract import Message
from connectors.errors import OutboundRefused
from connectors.outbound_http import guarded_client


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What a proxy is asked for; it sends whoever asks for /away to metadata."""
    got: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            got.append(self.path)
            self.send_response(307 if self.path.endswith("/away") else 200)
            self.send_header("Location", "http://169.254.169.254/latest")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_port}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, "127.0.0.2")
        yield got
        server.shutdown()
        thread.join()


def test_a_client_asks_the_proxy_for_what_is_permitted_alone(asked: list[str]) -> None:
    with guarded_client((), private=True) as client:
        assert client.get("http://api.invalid/x").status_code == 200
        for host in ("169.254.169.254", "2852039166", "[::ffff:a9fe:a9fe]", "metadata.google.internal"):
            with pytest.raises(OutboundRefused):
                client.get(f"http://{host}/")
        with pytest.raises(OutboundRefused):
            client.get("http://api.invalid/away", follow_redirects=True)
    with guarded_client(("api.invalid",), private=False) as client:
        assert client.get("http://api.invalid/y").status_code == 200
        for host in ("other.invalid", "127.0.0.1", "localhost", "127.0.0.2"):  # the last without the proxy
            with pytest.raises(OutboundRefused):
                client.get(f"http://{host}/")
    assert asked == ["http://api.invalid/x", "http://api.invalid/away", "http://api.invalid/y"]


def test_a_message_asks_the_proxy_for_what_is_permitted_alone(asked: list[str]) -> None:
    channel = AppriseChannel()
    channel.allow = ("api.invalid",)  # the proxy itself, which the environment names, need not be listed
    assert channel.send("json://api.invalid/hook", Message("t", "b")).status == "delivered"
    for url in ("json://other.invalid/hook", "json://169.254.169.254/hook", "json://api.invalid/away"):
        found = channel.send(url, Message("t", "b"))
        assert found.status == "failed" and "outbound_hosts" in found.detail, url
    assert [path.rstrip("/") for path in asked] == ["http://api.invalid/hook", "http://api.invalid/away"]
