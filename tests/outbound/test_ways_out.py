"""Every way out of the server, to an address that is not permitted, in every spelling: nothing connects.

What is not listed is a real server of this machine that counts who connects; with its address listed it is reached.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from connectors.channels.apprise import AppriseChannel
from connectors.channels.contract import Message
from connectors.errors import KpiError, OutboundRefused
from connectors.sources.contract import Source
from connectors.sources.rest import client
from jobs.alerts.incidents import send_test
from jobs.authoring.add import add_source
from jobs.authoring.add_type import add_type
from tests.conftest import ROOT, Builder
from tests.outbound.spellings import hidden, numbers

TARGET, NEAR = "127.0.0.9", "127.0.0.1"


class Counted:
    """Takes connections, answers nothing, and counts them."""

    def __init__(self) -> None:
        self.count = 0
        self._socket = socket.create_server((TARGET, 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                taken, _ = self._socket.accept()
            except OSError:
                return
            self.count += 1
            taken.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def target() -> Iterator[Counted]:
    made = Counted()
    yield made
    made.close()


class Redirecting(BaseHTTPRequestHandler):
    """Sends whoever asks for /N elsewhere."""

    places: tuple[str, ...] = ()

    def do_GET(self) -> None:
        self.send_response(307)
        place = self.places[int(self.path.strip("/").split("/")[0].split(".")[0].split("?")[0])]
        self.send_header("Location", place.encode().decode("latin-1"))
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_HEAD = do_GET

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def near(target: Counted) -> Iterator[str]:
    kind = type("To", (Redirecting,), {"places": tuple(f"http://{item}/" for item in authorities(target.port))})
    with ThreadingHTTPServer((NEAR, 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"{NEAR}:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "USUAL", client.Patience(attempts=1))


def authorities(port: int) -> list[str]:
    """What stands between // and / of an address that leads to the server."""
    plain = [*numbers(TARGET), *(item for item in hidden(TARGET) if item.startswith("["))]
    tricks = [f"{NEAR}@{TARGET}", f"{NEAR}:80@{TARGET}", f"good.example%40{NEAR}@{TARGET}"]
    return [f"{item}:{port}" for item in [*plain, *tricks]]


WAYS: dict[str, Callable[[str], str]] = {
    "api": lambda at: f"type: rest, url: 'http://{at}/', paging: {{type: none}}",
    "token": lambda at: (
        "type: rest, url: 'http://127.0.0.1:9/', paging: {type: none}, "
        f"auth: {{type: oauth2, client_id: a, client_secret: b, token_url: 'http://{at}/'}}"
    ),
    "vendor": lambda at: f"type: unleash, url: 'http://{at}/', token: t, start: 2026-11-01",
    "file": lambda at: f"type: files, path: 'http://{at}/0.csv'",
    "bucket": lambda at: (
        "type: files, path: 's3://b/a.csv', "
        f"access: {{region: r, access_key: a, secret_key: b, endpoint: 'http://{at}'}}"
    ),
    "google": lambda at: f"type: files, path: 'gs://b/a.csv', access: {{anonymous: true, endpoint: 'http://{at}'}}",
    "azure": lambda at: (
        f"type: files, path: 'az://b/a.csv', access: {{account: a, account_key: YQ==, endpoint: 'http://{at}'}}"
    ),
    "postgres": lambda at: f"type: sql, url: 'postgresql://u:p@{at}/db'",
    "mysql": lambda at: f"type: sql, url: 'mysql://u:p@{at}/db'",
}
KEYS = {"api_key": "HOME", "secret_key": "HOME", "start": "2026-11-01"}
HOST_ALONE: dict[str, str] = {
    "host in the query": "postgresql://u:p@127.0.0.1:{port}/db?host={host}",
    "the second host": "postgresql://u:p@/db?host=127.0.0.1:{port}&host={host}:{port}",
    "hostaddr": "postgresql://u:p@127.0.0.1:{port}/db?hostaddr={host}",
    "conninfo": "postgresql:///db?conninfo=host%3D{host}%20port%3D{port}",
    "mysql host in the query": "mysql://u:p@127.0.0.1:{port}/db?host={host}",
}


def source(project: Builder, allow: str, entry: str) -> Source:
    project.settings(f"name: Shop\noutbound_hosts: [{allow}]\n" if allow else "name: Shop\n")
    (project.folder / "sources.yml").write_text(f"- {{name: t, table: t, {entry}}}\n")
    return project.open().sources.all()["t"]


def pulled(project: Builder, allow: str, entry: str) -> KpiError:
    """How a pull fails, which it always does here; an entry that cannot be read fails before it."""
    with pytest.raises(KpiError) as told:
        list(source(project, allow, entry).pull({}))
    return told.value


@pytest.mark.breadth(4, whole=True)
@pytest.mark.parametrize("way", WAYS)
def test_a_source_reaches_no_host_that_is_not_listed(project: Builder, target: Counted, way: str) -> None:
    refused = [pulled(project, NEAR, WAYS[way](at)) for at in authorities(target.port)]
    assert target.count == 0
    assert "source t" in str(refused[0]) and "`outbound_hosts`" in str(refused[0])
    assert sum(isinstance(error, OutboundRefused) for error in refused) > 10, refused
    if way not in ("google", "azure"):  # their clients try for a minute
        pulled(project, TARGET, WAYS[way](f"{TARGET}:{target.port}"))
        assert target.count >= 1


@pytest.mark.parametrize("way", WAYS)
def test_a_source_never_reaches_metadata(project: Builder, way: str) -> None:
    for at in ("169.254.169.254:80", "[::ffff:a9fe:a9fe]:80", "2852039166:80", "[fd00:ec2::254]:80"):
        assert isinstance(pulled(project, "", WAYS[way](at)), OutboundRefused), at
    assert isinstance(pulled(project, "0.0.0.0/0", WAYS[way]("169.254.169.254:80")), OutboundRefused)


@pytest.mark.parametrize("way", HOST_ALONE)
def test_a_host_anywhere_in_a_database_address_is_seen(project: Builder, target: Counted, way: str) -> None:
    for host in [*numbers(TARGET), *(item for item in hidden(TARGET) if item.startswith(":"))]:
        url = HOST_ALONE[way].format(host=host.replace(":", "%3A"), port=target.port)
        pulled(project, NEAR, f"type: sql, url: '{url}'")
    assert target.count == 0
    pulled(project, f"{TARGET}, {NEAR}", f"type: sql, url: '{HOST_ALONE[way].format(host=TARGET, port=target.port)}'")
    assert target.count >= 1


def test_a_file_is_not_redirected_to_what_is_not_listed(project: Builder, target: Counted, near: str) -> None:
    found = [
        pulled(project, NEAR, f"type: files, path: 'http://{near}/{number}.csv'")
        for number in range(len(authorities(target.port)))
    ]
    assert target.count == 0 and sum(isinstance(error, OutboundRefused) for error in found) > 10
    pulled(project, f"{NEAR}, {TARGET}", f"type: files, path: 'http://{near}/0.csv'")
    assert target.count == 1


def test_a_bucket_is_not_redirected_to_what_is_not_listed(project: Builder, target: Counted, near: str) -> None:
    def entry(number: int) -> str:
        access = f"region: r, access_key: a, secret_key: b, endpoint: 'http://{near}'"
        return f"type: files, path: 's3://{number}/a.csv', access: {{{access}}}"

    told = [pulled(project, NEAR, entry(number)) for number in (0, 2, 20)]
    assert target.count == 0 and all(isinstance(error, OutboundRefused) for error in told), told
    pulled(project, f"{NEAR}, {TARGET}", entry(0))
    assert target.count >= 1


def test_an_api_is_not_redirected_at_all(project: Builder, target: Counted, near: str) -> None:
    told = pulled(project, f"{NEAR}, {TARGET}", f"type: rest, url: 'http://{near}/0', paging: {{type: none}}")
    assert "elsewhere" in str(told) and target.count == 0


IN_ONE_PROCESS = """
import json, sys
from connectors.channels import apprise
from connectors.channels.contract import Message
from connectors.outbound_process import guarded
allow, urls = json.loads(sys.argv[1])
guard, told = guarded(tuple(allow)), []
for url in urls:
    guard.refused.clear()
    try:
        status = apprise._send(url, Message("t", "b", "<p>b</p>")).status
    except Exception as error:
        status = type(error).__name__
    told.append((status, len(guard.refused)))
print(json.dumps(told))
"""


def sent(allow: list[str], urls: list[str]) -> list[tuple[str, int]]:
    """What came of a message to each address, and how often it was refused, in one process."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IN_ONE_PROCESS, json.dumps([allow, urls])],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    return [(status, refused) for status, refused in json.loads(done.stdout.strip().splitlines()[-1])]


def messages(port: int, near: str) -> list[str]:
    """Addresses of contact points that lead to the server: at once, by a redirect, by mail."""
    at = authorities(port)
    found = [f"{kind}://{item}/hook" for item in at for kind in ("json", "gotify", "mattermost")]
    found += [f"json://{near}/{number}" for number in range(len(at))]
    return found + [f"mailto://{item}?from=kpi@example.com&to=ana@example.com" for item in at]


def test_no_message_goes_to_what_is_not_listed(target: Counted, near: str) -> None:
    urls = messages(target.port, near)
    told = sent([NEAR], urls)
    assert target.count == 0
    assert all(status != "delivered" for status, _ in told)
    assert sum(refused > 0 for _, refused in told) > len(urls) / 3
    sent([NEAR, TARGET], [urls[0], f"json://{near}/0", f"mailto://{TARGET}:{target.port}?from=a@b.de&to=a@b.de"])
    assert target.count >= 3


def test_a_refused_message_says_why_and_is_surely_not_delivered(target: Counted, near: str) -> None:
    channel = AppriseChannel()
    channel.allow = (NEAR,)
    for url in (f"json://{TARGET}:{target.port}/hook", f"json://{near}/0", f"mailto://{TARGET}?from=a@b.de&to=a@b.de"):
        found = channel.send(url, Message("t", "b", "<p>b</p>"))
        assert found.status == "failed" and "`outbound_hosts` of settings.yml" in found.detail, url
    channel.allow = ()
    assert "link-local" in channel.send("json://169.254.169.254/hook", Message("t", "b")).detail
    assert target.count == 0


@pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")  # that apprise imports
def test_what_is_added_or_tried_by_hand_goes_the_same_way(project: Builder, target: Counted) -> None:
    at = f"{TARGET}:{target.port}"
    project.settings(f"name: Shop\noutbound_hosts: [{NEAR}]\ncontact_points: [{{name: team, url: 'json://{at}/'}}]\n")
    opened = project.open()
    for origin, table in ((f"http://{at}/a.csv", None), (f"postgresql://u:p@{at}/db", "t"), (f"mysql://{at}/db", "t")):
        with pytest.raises(OutboundRefused, match="outbound_hosts"):
            list(add_source(opened, origin, "t", table))
    with pytest.raises(OutboundRefused, match="outbound_hosts"):
        list(add_type(opened, "amplitude", {"url": f"http://{at}", **KEYS}, None, "events"))
    assert "not listed" in send_test(opened, "team").detail
    assert target.count == 0 and not (project.folder / "sources.yml").exists()
