"""The client in one file: it needs pandas alone, gives what the API does, asks again, and speaks the server's words."""

from __future__ import annotations

import ast
import http.server
import json
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from client import bellwether
from client.bellwether import Bellwether, BellwetherError
from jobs.access.tokens import create
from jobs.project.clock import utc_now
from jobs.project.project import open_project
from tests.conftest import Server, run_cli


@pytest.fixture(scope="module")
def dashboard(served_demo: Server) -> Iterator[Bellwether]:
    folder = served_demo.log.parent
    made = create(open_project(folder).state, "client", ["read"], timedelta(days=1), by="t", now=utc_now())
    yield Bellwether(f"{served_demo.url}/", made.secret)


def test_it_can_be_copied_alone() -> None:
    names = set()
    for node in ast.walk(ast.parse(Path(bellwether.__file__).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module).split(".")[0])
    assert names - set(sys.stdlib_module_names) == {"pandas"}


def test_it_gives_what_the_verbs_print(dashboard: Bellwether, served_demo: Server) -> None:
    def cli(*arguments: str) -> Any:
        return json.loads(run_cli(*arguments, "--json", "--project", str(served_demo.log.parent)).stdout)

    assert list(dashboard.kpis()["name"]) == [row["name"] for row in cli("list")]
    found = dashboard.query("sign_ups", by="platform", where=["platform=web", "platform=ios"])
    rows = cli("query", "sign_ups", "--by", "platform", "--where", "platform=web", "--where", "platform=ios")["rows"]
    assert list(found["value"]) == [row["value"] for row in rows] and found["period"].dtype.kind == "M"
    assert list(dashboard.query("nps", grain="total")["period"]) == ["total"]
    whole, parts = dashboard.values("nps", "sign_ups"), dashboard.values("nps", "sign_ups", limit=7)
    pd.testing.assert_frame_equal(whole, parts)
    assert len(whole) == sum(len(cli("query", name)["rows"]) for name in ("nps", "sign_ups"))
    assert {one["kpi"] for one in dashboard.values("nps", by="country", limit=1).attrs["problems"]} <= {"nps"}
    assert len(dashboard.alerts()) == len(cli("alerts", "status"))
    week = cli("snapshot", "list")[0]["week"]
    assert dashboard.snapshot(week) == cli("snapshot", "show", "--week", week)


def test_errors_have_the_words_of_the_server(dashboard: Bellwether, served_demo: Server) -> None:
    for ask, status, words in (
        (lambda: dashboard.query("never"), 404, "unknown KPI 'never'"),
        (lambda: dashboard.query("nps", grain="fortnight"), 422, "fortnight"),
        (dashboard.sync, 403, "may not start a sync"),
        (Bellwether(served_demo.url, "kpi_x").kpis, 401, "kpi token create"),
    ):
        with pytest.raises(BellwetherError, match=words) as found:
            ask()
        assert found.value.status == status
    with pytest.raises(BellwetherError, match="is not reached"):
        Bellwether("http://127.0.0.1:9", "x").kpis()
    with pytest.raises(BellwetherError, match="no address"):
        Bellwether("file:///etc", "x")


class Busy(http.server.BaseHTTPRequestHandler):
    """Busy twice, then it answers; one path leads elsewhere."""

    seen: list[str] = []

    def do_GET(self) -> None:
        self.seen.append(self.path)
        if "/alerts" in self.path:
            self.send_response(302)
            self.send_header("Location", "/api/v1/kpis")
            self.end_headers()
            return
        self.send_response(200 if len(self.seen) > 2 else (429, 503)[len(self.seen) - 1])
        self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(json.dumps({"rows": [{"name": "a"}], "next": None}).encode())

    def log_message(self, *_: Any) -> None:
        pass


def test_it_asks_again_and_goes_nowhere_else() -> None:
    server = http.server.HTTPServer(("127.0.0.1", 0), Busy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    assert list(Bellwether(url, "x").kpis()["name"]) == ["a"] and len(Busy.seen) == 3
    with pytest.raises(BellwetherError, match="302"):
        Bellwether(url, "x").alerts()
    assert len(Busy.seen) == 4, "the token went nowhere else"
    Busy.seen.clear()
    with pytest.raises(BellwetherError) as found:
        Bellwether(url, "x", tries=2).kpis()
    assert found.value.status == 503
    server.shutdown()
    server.server_close()
