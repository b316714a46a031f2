"""The proxy that connects for clients which follow redirects by themselves."""

from __future__ import annotations

import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing

import pytest

from connectors.outbound_proxy import Proxy, proxy

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut"


@pytest.fixture
def far() -> Iterator[tuple[str, list[bytes]]]:
    """A server that keeps what it is sent, answers, and breaks off."""
    got: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                taken, _ = server.accept()
            except OSError:
                return
            with taken:
                got.append(taken.recv(1 << 16))
                taken.sendall(ANSWER)

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"127.0.0.1:{server.getsockname()[1]}", got
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def said(by: Proxy, *requests: bytes, password: str = "") -> bytes:
    """All that is answered to requests on one connection."""
    key = b64encode(f"kpi:{password or by.password}".encode())
    with closing(socket.create_connection(("127.0.0.1", by.server_address[1]))) as near:
        near.settimeout(10)
        for request in requests:
            near.sendall(request.replace(b"KEY", b"Proxy-Authorization: Basic " + key))
        read = b""
        while piece := near.recv(1 << 16):
            read += piece
        return read


def test_a_request_is_passed_on_as_it_was_signed_and_a_cut_answer_stays_cut(far: tuple[str, list[bytes]]) -> None:
    at, got = far
    with proxy(()) as by:
        asked = f"GET http://{at}/b/a%2Fb?x=%20 HTTP/1.1\r\nHost: {at}\r\nKEY\r\nConnection: keep-alive\r\nX: y\r\n\r\n"
        assert said(by, asked.encode()) == ANSWER
    assert got == [f"GET /b/a%2Fb?x=%20 HTTP/1.1\r\nHost: {at}\r\nX: y\r\nConnection: close\r\n\r\n".encode()]


def test_a_tunnel_is_passed_on(far: tuple[str, list[bytes]]) -> None:
    at, got = far
    with proxy(()) as by:
        found = said(by, f"CONNECT {at} HTTP/1.1\r\nHost: {at}\r\nKEY\r\n\r\nhello".encode())
    assert found == b"HTTP/1.1 200 Connection established\r\n\r\n" + ANSWER and got == [b"hello"]


def test_it_connects_to_what_is_permitted_for_who_knows_its_password(far: tuple[str, list[bytes]]) -> None:
    at, got = far
    with proxy(("8.8.8.8",)) as by:
        for request in (f"GET http://{at}/ HTTP/1.1", f"CONNECT {at} HTTP/1.1"):
            assert b" 403 " in said(by, f"{request}\r\nKEY\r\n\r\n".encode())
            assert b" 407 " in said(by, f"{request}\r\n\r\n".encode())
            assert b" 407 " in said(by, f"{request}\r\nKEY\r\n\r\n".encode(), password="x")
        assert [error.code for error in by.refused] == ["outbound"] * 2
        for request in (f"GET https://{at}/", f"GET http://8.8.8.8@{at}/", f"CONNECT 8.8.8.8@{at}", "GET /", "x y z w"):
            assert b" 400 " in said(by, f"{request} HTTP/1.1\r\nKEY\r\n\r\n".encode()), request
        assert b" 400 " in said(by, b"x\r\n\r\n")
    with proxy(()) as by, closing(socket.create_server(("127.0.0.1", 0))) as free:
        nobody = free.getsockname()[1]
        free.close()
        assert b" 502 " in said(by, f"CONNECT 127.0.0.1:{nobody} HTTP/1.1\r\nKEY\r\n\r\n".encode())
    assert got == []
