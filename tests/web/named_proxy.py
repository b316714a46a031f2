"""A reverse proxy that says who asks: what comes in goes on from an address of its own, with headers that it adds."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

OWN = "127.0.0.2"  # where it connects from; this machine answers to all of 127.0.0.0/8


class NamedProxy:
    """Passes connections on to a server of this machine, a request each: the head gets `headers`."""

    def __init__(self, port: int, headers: str) -> None:
        self._to, self.headers = port, headers
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        self._socket.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                taken, _ = self._socket.accept()
                threading.Thread(target=self._pass_on, args=(taken,), daemon=True).start()

    def _pass_on(self, taken: socket.socket) -> None:
        with taken, socket.create_connection(("127.0.0.1", self._to), source_address=(OWN, 0)) as given:
            head = b""
            while b"\r\n\r\n" not in head and (more := taken.recv(65_536)):
                head += more
            first, _, rest = head.partition(b"\r\n")
            ends = b"" if b"upgrade: websocket" in head.lower() else b"Connection: close\r\n"
            kept = b"\r\n".join(line for line in rest.split(b"\r\n") if ends == b"" or not _keeps_open(line))
            given.sendall(first + b"\r\n" + self.headers.encode() + ends + kept)
            back = threading.Thread(target=_copy, args=(given, taken), daemon=True)
            back.start()
            _copy(taken, given)
            back.join()


def _keeps_open(line: bytes) -> bool:
    return line.lower().startswith(b"connection:")


def _copy(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65_536):
            other.sendall(data)
    with suppress(OSError):
        other.shutdown(socket.SHUT_WR)
