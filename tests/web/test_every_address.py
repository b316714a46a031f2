"""Every address of a server that people sign in to, asked by somebody who has not: refused, or nothing of the project.

The list is the server's own: an address that a later version adds, ours or Streamlit's, fails until it stands here.
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pandas as pd
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg

from tests.conftest import ROOT, Builder, Server
from tests.web.named_proxy import OWN
from tests.web.tabs import Tab

CANARY = "canary7f3a"
ANA = {"X-Forwarded-Email": "ana@example.com", "X-Forwarded-Groups": ""}
OPENED = "the server shows project"  # said once, unless what is kept for all readers was thrown away
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
LISTING = """
import json, app
from starlette.routing import Mount
def each(routes, before=""):
    for one in routes:
        if isinstance(one, Mount) and one.routes:
            yield from each(one.routes, before + one.path)
        else:
            yield before + one.path
print(json.dumps(sorted({*each(app.app._build_starlette_app().routes)})))
"""
UP = "..%2f..%2f..%2f"
PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
# Address as the server lists it → what is asked there, and the statuses that a stranger gets; 404 and 405 are good.
NOTHING_THERE: set[int] = set()
SAYS_NOTHING = {200, 204, 304}
ADDRESSES: dict[str, tuple[tuple[str, ...], set[int]]] = {
    "/healthz": (("/healthz",), SAYS_NOTHING),
    "/readyz": (("/readyz",), SAYS_NOTHING),
    "/metrics": (("/metrics", "/metrics?accept=x"), {401}),
    "/api": (("/api",), NOTHING_THERE),
    "/api/v1/kpis": (("/api/v1/kpis", "/api/v1/kpis?limit=5000"), {401}),
    "/api/v1/kpis/{name}": ((f"/api/v1/kpis/{CANARY}", "/api/v1/kpis/none"), {401}),
    "/api/v1/values": (("/api/v1/values",), {401}),
    "/api/v1/alerts": (("/api/v1/alerts",), {401}),
    "/api/v1/launches": (("/api/v1/launches",), {401}),
    "/api/v1/launches/{name}": ((f"/api/v1/launches/{CANARY}",), {401}),
    "/api/v1/snapshots": (("/api/v1/snapshots",), {401}),
    "/api/v1/snapshots/{week}": (("/api/v1/snapshots/2026-W46",), {401}),
    "/api/v1/sync": (("/api/v1/sync",), {401}),
    "/api/v1/openapi.json": (("/api/v1/openapi.json",), SAYS_NOTHING),
    "/_stcore/health": (("/_stcore/health",), SAYS_NOTHING),
    "/_stcore/host-config": (("/_stcore/host-config",), SAYS_NOTHING),
    "/_stcore/metrics": (("/_stcore/metrics",), {403}),
    "/_stcore/stream": (("/_stcore/stream",), SAYS_NOTHING),  # a page of HTML, without an upgrade
    "/media/{file_id:path}": (("/media/none.csv", f"/media/{UP}settings.yml", "/media/"), {400, 403}),
    "/_stcore/upload_file/{session_id}/{file_id}": (("/_stcore/upload_file/{session}/x",), {403}),
    "/component/{path:path}": (("/component/none", f"/component/none/{UP}{UP}etc/passwd"), {204, 400}),
    "/_stcore/bidi-components/{path:path}": (
        ("/_stcore/bidi-components/none/index.js", f"/_stcore/bidi-components/{UP}app.py"),
        {204, 400},
    ),
    "/app/static/{path:path}": (
        ("/app/static/favicon.svg", f"/app/static/{UP}app.py", "/app/static/../../.streamlit/secrets.toml"),
        {200, 204, 400},
    ),
    "/auth/login": (("/auth/login", "/auth/login?provider=default", "/auth/login?provider=a.b.c"), {302, 307}),
    "/auth/logout": (("/auth/logout",), {302, 307}),
    "/oauth2callback": (("/oauth2callback", "/oauth2callback?code=a&state=b", "/oauth2callback?error=x"), {302, 307}),
    "/_stcore/agent/interact": (("/_stcore/agent/interact",), NOTHING_THERE),
    "/_stcore/agent/mcp": (("/_stcore/agent/mcp",), NOTHING_THERE),
    "/_stcore/agent/openapi.json": (("/_stcore/agent/openapi.json",), NOTHING_THERE),
    "": (  # Streamlit's own page and its parts, for every other address
        (
            *("/", "/index.html", "/nothing", f"/kpi?kpi={CANARY}", "/kpi/none", "/launch/none"),
            *("/settings.yml", "/.streamlit/secrets.toml", "/data/state.sqlite", "/audit.key", f"/{UP}app.py"),
            *(f"/{page}" for page in PAGES),
        ),
        {200, 302, 400},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A fresh server whose every text of the project has a mark. A proxy signs people in."""
    project = Builder(tmp_path_factory.mktemp("every") / "project")
    at = pd.date_range("2026-11-01", "2026-11-22", freq="D")
    project.rows("t", pd.DataFrame({"at": at, "place": CANARY, "v": 1}), dimensions="[place]")
    said = "".join(f"{key}: {CANARY} {key}\n" for key in ("label", "description", "owner", "area"))
    project.kpi(CANARY, f'dataset: t\nagg: count\n{said}alerts: [{{name: low, thresholds: {{critical: "> 0"}}}}]')
    project.write(
        "launches", CANARY, f"name: {CANARY}\nlabel: {CANARY}\non: 2026-11-02\nsuccess: [{{kpi: {CANARY}}}]\n"
    )
    (project.folder / "snapshots").mkdir()
    project.write("snapshots", "weekly", f"name: weekly\ntitle: {CANARY}\nschedule: {{wait: 0d}}\n")
    project.settings(
        f"name: {CANARY}\ntimezone: UTC\nsign_in: true\nsign_in_proxy: {{addresses: [{OWN}]}}\n"
        "editors: [ana@example.com]\n"
    )
    assert not project.sync().failed
    server = Server(project.folder)
    yield server
    server.stop()


def asked(server: Server, path: str, method: str = "GET", headers: dict[str, str] | None = None) -> tuple[int, str]:
    """Status, and head and body as one text."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request(method, path, headers=headers or {})
    answer = connection.getresponse()
    found = answer.status, f"{answer.headers}\n{answer.read().decode(errors='replace')}"
    connection.close()
    return found


def tells(text: str) -> str:
    """What of the project or of the machine is in an answer; empty = nothing."""
    found = re.search(rf"{CANARY}|from __future__|root:|cookie_secret|SQLite format", text)
    return found[0] if found else ""


def test_the_list_is_the_server_s_own() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LISTING], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == sorted(ADDRESSES)


@pytest.mark.breadth(9, whole=True)
@pytest.mark.parametrize("address", sorted(ADDRESSES))
def test_a_stranger_gets_nothing_at_any_address(served: Server, address: str) -> None:
    paths, statuses = ADDRESSES[address]
    with Tab(served.port) as tab:  # a session of their own, which is as good as none
        tab.opens()
        for path in paths:
            for method in METHODS:
                status, text = asked(served, path.replace("{session}", tab.session), method)
                assert status in statuses | {404, 405}, (path, method)
                told = text.replace(path, "")  # what was asked for may stand in the answer
                assert not tells(told), (path, method, tells(told))


@pytest.mark.breadth(3, whole=True)
@pytest.mark.parametrize("stem", ["", "nothing", *PAGES])
def test_a_stranger_sees_the_sign_in_on_every_page(served: Server, stem: str) -> None:
    for query in ("", f"kpi={CANARY}&launch={CANARY}&week=2026-W46&snapshot=weekly&role=admin&by=place"):
        for headers in ({}, ANA, {"X-Kpi-Vouched": "guessed", **ANA}, {"Cookie": "_streamlit_user=forged"}):
            with Tab(served.port, headers) as tab:
                first, again = tab.opens(stem, query), tab.opens(stem, query)
            for text in (first, again):
                assert "Sign in" in text and "did not come through it" in text
                assert not tells(text.replace(query, "")), tells(text)


def test_who_is_signed_in_sees_the_marks(served: Server) -> None:
    """That the tests above would find them, and that a file which is there is kept from strangers."""
    with Tab(served.port, ANA, address=OWN) as tab:
        pages = {page: tab.opens(page, f"kpi={CANARY}&launch={CANARY}") for page in PAGES}
        assert {page for page, text in pages.items() if not tells(text)} <= {"account", "audit"}
        path = tab.takes(re.findall(r'deferred_file_id: "([^"]+)"', tab.opens("kpi", f"kpi={CANARY}"))[0])
        assert asked(served, path)[0] == 403 == asked(served, path, headers=ANA)[0]
        with httpx.Client(transport=httpx.HTTPTransport(local_address=OWN)) as client:
            taken = client.get(served.url + path, headers=ANA)
        assert taken.status_code == 200 and "period" in taken.text


def test_a_tab_that_is_no_page_of_ours_changes_nothing(served: Server) -> None:
    """Streamlit's protocol has a word that empties all caches, for every reader, and others for who develops an app."""
    with Tab(served.port, ANA, address=OWN) as tab:
        tab.opens()
    before = served.log.read_text().count(OPENED)
    with Tab(served.port) as tab:
        tab.opens()
        for message in (BackMsg(clear_cache=True), BackMsg(load_git_info=True), BackMsg(set_run_on_save=True)):
            tab.says(message)
        text = tab.opens()
    assert "git_info_changed" not in text
    with Tab(served.port, ANA, address=OWN) as tab:
        tab.opens()
    assert served.log.read_text().count(OPENED) == before > 0
