"""A proxy that signs people in: only the named one may say who asks, to pages and to files, and only once each."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest

from tests.conftest import ROOT, Builder, Server
from tests.web.named_proxy import OWN, NamedProxy

SEEN = "Seen by the signed-in only"
ANA = "X-Forwarded-Email: ana@example.com\r\nX-Forwarded-Groups: data,growth\r\n"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    project = Builder(tmp_path_factory.mktemp("proxied") / "project")
    project.rows("events", pd.DataFrame({"at": pd.to_datetime(["2026-11-01", "2026-11-02"]), "v": [1, 2]}))
    project.kpi("k", f"label: {SEEN}\ndataset: events\nagg: count")
    project.settings(
        "name: Shop\nsign_in: true\nsign_in_domains: [example.com]\nsign_in_groups: [growth]\n"
        f"editors: [ana@example.com]\nsign_in_proxy: {{addresses: [{OWN}]}}\n"
    )
    project.sync()
    server = Server(project.folder)
    yield server
    server.stop()


def status(server: Server, *headers: tuple[str, str], origin: str = OWN) -> int:
    """Of asking for a file that is not there: 404 to whoever may see the pages, else 403."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20, source_address=(origin, 0))
    connection.putrequest("GET", "/media/none.csv")
    for name, value in headers:
        connection.putheader(name, value)
    connection.endheaders()
    found = connection.getresponse().status
    connection.close()
    return found


EMAIL, GROUPS = ("X-Forwarded-Email", "ana@example.com"), ("X-Forwarded-Groups", "growth")


def test_whom_the_named_proxy_names_may_see(served: Server) -> None:
    assert status(served, EMAIL, GROUPS) == 404
    assert status(served, ("x-forwarded-email", "Ana@Example.com"), ("X-FORWARDED-GROUPS", "data, growth")) == 404


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (EMAIL,),
        (GROUPS,),
        (("X-Forwarded-Email", "ana@other.example"), GROUPS),
        (("X-Forwarded-Email", "ana"), GROUPS),
        (("X-Forwarded-Email", ""), GROUPS),
        (EMAIL, EMAIL, GROUPS),
        (EMAIL, ("x-forwarded-email", "eve@example.com"), GROUPS),
        (EMAIL, ("X-Forwarded-Groups", "data"), GROUPS),
        (EMAIL, ("X-Forwarded-Groups", "growth-guests")),
        (("X_Forwarded_Email", "ana@example.com"), GROUPS),
        (("X-Auth-Request-Email", "ana@example.com"), GROUPS),
    ],
)
def test_what_names_nobody_who_may_see_is_refused(served: Server, headers: tuple[tuple[str, str], ...]) -> None:
    assert status(served, *headers) == 403


@pytest.mark.parametrize(
    "more",
    [
        (),
        (("X-Forwarded-For", OWN),),
        (("X-Forwarded-For", f"{OWN}, 127.0.0.1"),),
        (("X-Forwarded-For", f"{OWN}:1234"),),
        (("X-Real-IP", OWN),),
        (("Forwarded", f"for={OWN}"),),
        (("X-Kpi-Vouched", "guessed"),),
        (("X-Kpi-Vouched", ""),),
    ],
)
def test_no_other_machine_may_say_who_asks(served: Server, more: tuple[tuple[str, str], ...]) -> None:
    for origin in ("127.0.0.1", "127.0.0.3"):
        assert status(served, EMAIL, GROUPS, *more, origin=origin) == 403


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def test_a_page_through_the_proxy_and_past_it(tab: Any, served: Server) -> None:
    proxy = NamedProxy(served.port, ANA)
    try:
        tab.goto(f"http://127.0.0.1:{proxy.port}/kpi?kpi=k")
        tab.get_by_text(SEEN).first.wait_for(timeout=40_000)
        tab.goto(f"http://127.0.0.1:{proxy.port}/account")
        tab.get_by_role("heading", name="Account").wait_for(timeout=40_000)
        tab.get_by_text("ana@example.com").first.wait_for(timeout=40_000)
        tab.get_by_role("button", name="Create token").wait_for(timeout=40_000)
        said = tab.inner_text("body")
        assert "data, growth" in said and "your team's proxy" in said and "Sign out" not in said
    finally:
        proxy.stop()
    tab.set_extra_http_headers(dict([EMAIL, GROUPS]))
    tab.goto(f"{served.url}/kpi?kpi=k")
    tab.get_by_text("did not come through it").wait_for(timeout=40_000)
    assert SEEN not in tab.inner_text("body")


def test_a_server_that_was_started_otherwise_vouches_for_nobody(served: Server, tmp_path: Path) -> None:
    """uvicorn takes who connects from a header of this machine's other programs then."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), "--server.port", str(port)]
    environment = {name: value for name, value in os.environ.items() if name != "FORWARDED_ALLOW_IPS"}
    environment |= {"KPI_PROJECT": str(served.log.parent)}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    there = cast("Server", SimpleNamespace(port=port))
    try:
        for _ in range(300):
            with suppress(OSError):
                status(there)
                break
            time.sleep(0.1)
        for more in ((), (("X-Forwarded-For", OWN),), (("X-Forwarded-For", f"{OWN}:1234"),)):
            for origin in (OWN, "127.0.0.1"):
                assert status(there, EMAIL, GROUPS, *more, origin=origin) == 403
    finally:
        process.terminate()
        process.wait(timeout=20)
    assert "start with `kpi run`" in (tmp_path / "log").read_text()
