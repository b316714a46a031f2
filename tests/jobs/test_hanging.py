"""Servers that hang in every way: a sync has published before it tells anybody, and waits no longer than it says."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from connectors.channels.apprise import AppriseChannel
from tests.conftest import Builder
from tests.jobs.conftest import GOOD, LOW, day, make, messages

LIMIT, BEGIN = 3.0, 4.0


def silent(client: socket.socket) -> None:
    """Takes everything, answers nothing."""
    while client.recv(65_536):
        pass


def half(client: socket.socket) -> None:
    """Begins an answer and stops."""
    client.sendall(b"220 mail.exa")
    silent(client)


def drip(client: socket.socket) -> None:
    """A byte a second, for ever."""
    for letter in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 10_000:
        client.sendall(bytes([letter]))
        time.sleep(1)


@pytest.fixture
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A server that accepts and then behaves as the test's parameter says."""
    server = socket.create_server(("127.0.0.1", 0), backlog=64)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = server.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    def serve(client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            request.param(client)

    threading.Thread(target=accept, daemon=True).start()
    yield server.getsockname()[1]
    server.close()


@pytest.mark.breadth(2)
@pytest.mark.slow
@pytest.mark.parametrize("port", [silent, half, drip], indirect=True)
@pytest.mark.parametrize(
    "kind", ["json://127.0.0.1:{port}/x", "mailto://127.0.0.1:{port}?from=a@b.example&to=c@d.example"]
)
def test_a_sync_waits_no_longer_than_it_says(
    project: Builder, monkeypatch: pytest.MonkeyPatch, port: int, kind: str
) -> None:
    monkeypatch.setattr("jobs.outbox.deliver.BEGIN_SECONDS", BEGIN)
    monkeypatch.setattr(AppriseChannel.__init__, "__defaults__", (LIMIT,))
    names = [f"c{number}" for number in range(6)]
    url = kind.format(port=port)
    points = "".join(f"  - {{name: {name}, url: '{url}'}}\n" for name in names)
    make(project, {**GOOD, 5: 10}, LOW.replace("[team]", f"[{', '.join(names)}]"))
    project.settings(f"timezone: UTC\nname: Shop\ncontact_points:\n{points}")
    started = time.monotonic()
    done = project.sync(day(6))
    assert done.published and time.monotonic() - started < BEGIN + LIMIT + 4
    kept = messages(project)
    assert len(kept) == 6 and {message.status for message in kept} == {"pending"}, "none is lost"
    assert [message for message in kept if message.attempts], "some were tried"
    assert [message for message in kept if not message.attempts], "the others wait for the next call"
