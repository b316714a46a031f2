"""What a server answers and what not, over real sockets: hosts, origins, closed addresses, headers."""

from __future__ import annotations

import base64
import http.client
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urljoin

import pytest

from jobs.operations.hosts import Hosts, is_loopback
from tests.conftest import Builder, Server, run_cli
from ui.shell.middleware import inline_scripts
from ui.shell.nested import redirected

TOKEN = "a-token-for-metrics"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A project with its own address, and a token for metrics."""
    project = Builder(tmp_path_factory.mktemp("door") / "project")
    project.settings("name: Shop\nurl: https://kpi.example.com\n")
    os.environ["KPI_METRICS_TOKEN"] = TOKEN
    try:
        server = Server(project.folder)
    finally:
        del os.environ["KPI_METRICS_TOKEN"]
    yield server
    server.stop()


def ask(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
    """Status, text and headers of an answer; `Host` as it is given."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, "" if answer.status == 101 else answer.read().decode(), dict(answer.getheaders())
    connection.close()
    return found


def websocket(server: Server, **headers: str) -> int:
    """Status of asking for the page's websocket: 101 = it stands."""
    key = base64.b64encode(os.urandom(16)).decode()
    asked = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Key": key, "Sec_WebSocket_Version": "13"}
    return ask(server, "/_stcore/stream", **asked, **headers)[0]


STRANGE = (
    "evil.example",
    "evil.example:8501",
    "127.0.0.1.evil.example",
    "kpi.example.com.evil.example",
    "10.0.0.7",
    "",
    "a b",
)


@pytest.mark.parametrize("host", STRANGE)
@pytest.mark.parametrize("path", ["/", "/kpi", "/_stcore/health", "/media/abc.csv", "/app/static/favicon.svg"])
def test_a_foreign_host_is_refused(served: Server, path: str, host: str) -> None:
    status, text, _ = ask(served, path, Host=host)
    assert status in (400, 421) and "<title>" not in text
    assert status == 400 or "settings.yml" in text, "it says what to do"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:99", "localhost:8501", "kpi.example.com", "KPI.Example.com.", "[::1]:1"]
)
def test_our_own_hosts_are_answered(served: Server, host: str) -> None:
    assert ask(served, "/", Host=host)[0] == 200


def test_a_websocket_of_a_foreign_host_or_origin_is_refused(served: Server) -> None:
    own = f"127.0.0.1:{served.port}"
    assert websocket(served, Host=own) == 101
    assert websocket(served, Host=own, Origin=f"http://{own}") == 101
    assert websocket(served, Host=own, Origin="https://kpi.example.com") == 101, "a proxy that passes on to us"
    assert websocket(served, Host="kpi.example.com", Origin="https://kpi.example.com") == 101
    assert websocket(served, Host="evil.example", Origin="http://evil.example") == 403
    for origin in (
        "http://evil.example",
        "null",
        "http://localhost:3000",
        "http://127.0.0.1:1",
        "https://kpi.example.com.evil.example",
    ):
        assert websocket(served, Host=own, Origin=origin) == 403, origin


CLOSED = (
    "/_stcore/agent/openapi.json", "/_stcore/agent/interact", "/_stcore/agent/mcp", "//_stcore//agent/openapi.json",
    "/_stcore/agent/openapi.json/", "/_stcore/%61gent/openapi.json", "/openapi.json", "/docs", "/redoc",
    "/_stcore/script-health-check",
)  # fmt: skip


@pytest.mark.parametrize("path", CLOSED)
def test_schema_and_agent_api_are_closed(served: Server, path: str) -> None:
    status, text, _ = ask(served, path)
    assert status in (400, 404) and "openapi" not in text.lower()
    assert ask(served, path, "POST")[0] in (400, 404, 405)


def test_metrics_need_the_token(served: Server) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
    ):
        for path in ("/_stcore/metrics", "//_stcore/metrics", "/_stcore/metrics/", "/_stcore/metrics?families=x"):
            status, text, _ = ask(served, path, **headers)
            assert status in (400, 403) and "# TYPE" not in text, path
    assert ask(served, "/_stcore/metrics", Authorization=f"bearer {TOKEN}")[0] == 200
    status, text, _ = ask(served, "/_stcore/metrics", Authorization=f"Bearer {TOKEN}")
    assert status == 200 and "# EOF" in text


@pytest.mark.parametrize(
    "end", ["%0A", "%0a", "%0D", "%0D%0A", "/%0A", "%00", "%09", "%7F", "%0A/", "%E2%80%A8", "%20"]
)
def test_a_control_character_leads_past_no_door(served: Server, end: str) -> None:
    """A route that ends before a line break would take it."""
    for path in (*CLOSED, "/_stcore/metrics", "/_stcore/%6detrics", "/_stcore%0A/metrics", "%0A/_stcore/metrics"):
        status, text, _ = ask(served, path + end)
        assert status in (400, 403, 404) or "<title>" in text, path
        assert "# TYPE" not in text and '"openapi"' not in text, path
    assert ask(served, f"/kpi{end}")[0] in (200, 302, 400, 404)


def test_the_door_stands_below_a_base_path_too(tmp_path: Path) -> None:
    project = Builder(tmp_path / "project")
    os.environ["STREAMLIT_SERVER_BASE_URL_PATH"] = "kpis"
    try:
        server = Server(project.folder, health="/kpis/_stcore/health")
    finally:
        del os.environ["STREAMLIT_SERVER_BASE_URL_PATH"]
    try:
        assert ask(server, "/kpis/")[0] == 200
        for path in ("/kpis/_stcore/metrics", "//kpis//_stcore/metrics", "/kpis/_stcore/metrics/", "/_stcore/metrics"):
            assert ask(server, path)[0] in (400, 403, 404), path
        assert ask(server, "/kpis/_stcore/agent/openapi.json")[0] == 404
    finally:
        server.stop()


def test_who_waits_for_the_state_store_stops_nobody_else(tmp_path: Path) -> None:
    project = Builder(tmp_path / "project")
    secret = run_cli("token", "create", "a", "--scope", "metrics", "--project", str(project.folder)).stdout.strip()
    server = Server(project.folder)
    locked = sqlite3.connect(project.folder / "data" / "state.sqlite", isolation_level=None)
    try:
        locked.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(ask, server, "/_stcore/metrics", Authorization=f"Bearer {secret}")
            time.sleep(0.5)
            began = time.monotonic()
            assert ask(server, "/_stcore/health")[0] == 200
            assert time.monotonic() - began < 2 and not waiting.done(), "its use is being noted"
            locked.execute("ROLLBACK")
            assert waiting.result()[0] == 200
    finally:
        locked.close()
        server.stop()


def test_every_answer_has_the_headers(served: Server) -> None:
    for path in ("/", "/kpi", "/static/nothing.js", "/media/none", "/app/static/favicon.svg"):
        _, _, headers = ask(served, path, Host="kpi.example.com")
        found = {name.lower(): value for name, value in headers.items()}
        told = found["content-security-policy"]
        assert "unsafe-eval" not in told and "connect-src 'self' ws://kpi.example.com wss://kpi.example.com;" in told
        (scripts,) = re.findall(r"script-src ([^;]*)", told)
        assert "unsafe-inline" not in scripts and inline_scripts() and inline_scripts()[0] in scripts
        assert "frame-ancestors 'self'" in told and "object-src 'none'" in told
        assert found["x-content-type-options"] == "nosniff" and found["referrer-policy"] == "same-origin"
        assert "*" not in found.get("access-control-allow-origin", "") or path.startswith("/app/static/")


def test_no_other_page_may_send_messages(served: Server) -> None:
    _, text, _ = ask(served, "/_stcore/host-config")
    assert "streamlit" not in text


@pytest.mark.parametrize(
    ("address", "host", "answered"),
    [
        ("127.0.0.1", "10.0.0.7", False), ("0.0.0.0", "10.0.0.7", True), ("0.0.0.0", "[fe80::1]:8501", True),
        ("0.0.0.0", "evil.example", False),
        ("0.0.0.0", "10.0.0.7.evil.example", False), ("10.0.0.7", "10.0.0.7:80", True),
        ("127.0.0.1", "127.0.0.1:99999", False),
        ("127.0.0.1", "a@127.0.0.1", False), ("127.0.0.1", "127.0.0.1/", False),
    ],
)  # fmt: skip
def test_which_hosts_are_ours(address: str, host: str, answered: bool) -> None:
    assert Hosts(address, "https://kpi.example.com").answers(host) == answered


@pytest.mark.parametrize(
    ("host", "inside"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.8.8.8", True), ("0.0.0.0", False), ("::", False),
     ("", False), ("10.0.0.7", False), ("no-such-host.invalid", False)],
)  # fmt: skip
def test_what_reaches_no_further_than_this_machine(host: str, inside: bool) -> None:
    assert is_loopback(host) == inside


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7"])
def test_without_sign_in_nobody_else_is_served(project: Builder, host: str) -> None:
    done = run_cli("run", "--host", host, "--project", str(project.folder))
    assert done.returncode == 1
    assert "nobody has to sign in" in done.stderr and "--allow-open" in done.stderr and "sign_in: true" in done.stderr


@pytest.mark.parametrize(
    ("path", "leads"),
    [
        ("/kpi/nps", "/kpi?kpi=nps"),
        ("/kpi/a b&c/", "/kpi?kpi=a+b%26c"),
        ("/launch/new_editor", "/launch?launch=new_editor"),
        ("/kpis/growth/nps", "/kpis-growth-nps"),
        ("/kpi/nps/weekly", "/kpi-nps-weekly"),
    ],
)
def test_an_address_of_several_parts_leads_to_a_page(served: Server, path: str, leads: str) -> None:
    status, _, headers = ask(served, quote(path))
    assert status == 302 and urljoin(f"http://kpi.example.com{quote(path)}", headers["location"]).endswith(leads)
    assert "content-security-policy" in headers
    for prefix in ("/any/base", ""):  # of a proxy: it goes back by as many parts as there were
        target = urljoin(f"http://kpi.example.com{prefix}{quote(path)}", redirected(path, ""))
        assert target == f"http://kpi.example.com{prefix}{leads}"


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/kpi", "/kpi/", "/_stcore/health", "/app/static/favicon.svg", "/static/js/none.js", "//evil.example"),
        *("/kpi/_stcore/health", "/kpi/_stcore/host-config", "/launch/static/js/none.js"),
    ],
)
def test_no_other_address_leads_elsewhere(served: Server, path: str) -> None:
    assert ask(served, path)[0] != 302 and redirected(path, "") == ""
    assert redirected(f"/base{path}", "/base") == ""
