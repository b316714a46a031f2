"""A KPI that fires, and a real web server that is told."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from connectors.state import alerts as store
from tests.conftest import Builder

START = datetime(2026, 11, 1, tzinfo=UTC)


def day(number: int, hour: int = 1) -> datetime:
    return START + timedelta(days=number, hours=hour)


@dataclass
class Web:
    """A real HTTP server: what it was sent, and how it answers next."""

    got: list[dict[str, Any]] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)  # status codes, "hang" or "cut"; then 200
    port: int = 0

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}/hook-secret-token?rto=2"


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as state:
        yield state


@contextmanager
def serving() -> Iterator[Web]:
    state = Web()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.got.append(body)
            answer = state.answers.pop(0) if state.answers else 200
            if answer == "hang":
                time.sleep(6)
            elif answer == "cut":
                self.connection.close()
            else:
                self.send_response(answer)
                self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()


def make(project: Builder, values: dict[int, float], rule: str, *, contact: str = "", more: str = "") -> None:
    """One row a day at noon; the KPI's owner is ana@example.com."""
    points = f"contact_points: [{{name: team, url: '{contact}'}}]\n" if contact else ""
    project.settings(f"timezone: UTC\nname: Shop\n{points}{more}")
    write(project, values)
    project.kpi("k", f"label: Orders\ndataset: events\nagg: sum\nexpr: v\nowner: ana@example.com\nalerts:\n  - {rule}")
    if not (project.folder / "sources.yml").exists():
        project.source("- {name: events, type: files, table: events, path: files/events.parquet, load: replace}")
        project.write("datasets", "events", "name: events\nsource: events\ntime_dimension: at\nwatermark: whole_days\n")


def write(project: Builder, values: dict[int, float]) -> None:
    days = [pd.Timestamp(START.date()) + pd.Timedelta(days=n, hours=12) for n in values]
    pd.DataFrame({"at": days, "v": list(values.values())}).to_parquet(project.folder / "files" / "events.parquet")


def events(project: Builder) -> list[tuple[str, str]]:
    with project.open().state.reading() as connection:
        found = store.history(connection)
    return [(item.rule, item.closed_why or "open") for item in reversed(found)]


def messages(project: Builder) -> list[store.Delivery]:
    with project.open().state.reading() as connection:
        return list(reversed(store.deliveries(connection)))


GOOD = dict.fromkeys(range(5), 100.0)
LOW = '{name: low, thresholds: {critical: "< 50", warning: "< 80"}, notify: [team]}'
