"""A file at an address: as it is served, after redirects, with its password for its own host alone."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import SourceError
from connectors.sources.files import download

PACKED = gzip.compress(b"at,x\n2026-11-01,1\n")


@pytest.fixture
def served() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Address of a server, and what it was asked for with which Authorization; it answers at localhost, too."""
    asked: list[tuple[str, str]] = []

    class Web(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("Authorization", "")))
            place = {"/moved.gz": f"http://localhost:{self.server.server_port}/a.gz"}.get(self.path)  # type: ignore[attr-defined]
            self.send_response(302 if place else 404 if "none" in self.path else 200)
            if place:
                self.send_header("Location", place)
            if "/cut" not in self.path:
                self.send_header("Content-Encoding", "gzip")
            body = b"" if place else PACKED
            self.send_header("Content-Length", str(len(body) + ("/cut" in self.path)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Web) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_a_file_is_saved_as_it_is_and_its_password_stays_with_its_host(
    served: tuple[str, list[tuple[str, str]]], tmp_path: Path
) -> None:
    at, asked = served
    download(f"http://ana:p%40ss@{at}/moved.gz", tmp_path / "a.gz", where="source t", allow=("127.0.0.1", "localhost"))
    assert (tmp_path / "a.gz").read_bytes() == PACKED
    assert asked == [("/moved.gz", "Basic YW5hOnBAc3M="), ("/a.gz", "")]


@pytest.mark.parametrize(("path", "words"), [("none.gz", "HTTP 404 Not Found"), ("cut.gz", "without sending complete")])
def test_what_is_not_answered_in_whole_is_told(
    served: tuple[str, list[tuple[str, str]]], tmp_path: Path, path: str, words: str
) -> None:
    with pytest.raises(SourceError, match=words) as told:
        download(f"http://{served[0]}/{path}", tmp_path / "a.gz", where="source t", allow=())
    assert told.value.retryable and "source t" in str(told.value)
