"""Sign-in in a real Chromium with a real OpenID provider: who may see, who may not, and what a wrong set-up says."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from itsdangerous import TimestampSigner
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

from jobs.audit.listing import Search, listed
from tests.conftest import ROOT, Builder, Server
from tests.web.oidc import CLIENT, SECRET

pytestmark = pytest.mark.breadth(3, whole=True)

COOKIE_SECRET = "canary-of-the-cookie-7f3a-0123456789abcdef"
SEEN = "Seen by the signed-in only"
WHOLE = {
    "redirect_uri": "{server}/oauth2callback",
    "cookie_secret": COOKIE_SECRET,
    "client_id": CLIENT,
    "client_secret": SECRET,
    "server_metadata_url": "{issuer}/.well-known/openid-configuration",
}


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as found:
        return int(found.getsockname()[1])


class Place:
    """A provider, and a dashboard that asks it. The dashboard's secrets are read when it starts."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.person = folder, folder / "person"
        self.person.write_text("ana@example.com")
        self.issuer = f"http://127.0.0.1:{(port := free_port())}"
        command = [sys.executable, str(ROOT / "tests/web/oidc.py"), str(port), str(self.person)]
        self.provider = subprocess.Popen(command, cwd=ROOT)
        project = self.project = Builder(folder / "project")
        project.rows("events", pd.DataFrame({"at": pd.to_datetime(["2026-11-01", "2026-11-02"]), "v": [1, 2]}))
        project.kpi("k", f"label: {SEEN}\ndataset: events\nagg: count")
        project.settings(
            "name: Shop\nsign_in: true\nsign_in_domains: ['@Example.com', teams.example]\neditors: [ana@example.com]\n"
            "session_length: 12h\n"
        )
        project.sync()

    def serve(self, secrets: str | None) -> Server:
        """Start the dashboard with a secrets.toml; {server} and {issuer} in it are filled in."""
        port = free_port()
        home = self.folder / f"home_{port}"  # a server that runs would read another one's secrets anew
        told = home / ".streamlit" / "secrets.toml"
        told.parent.mkdir(parents=True)
        if secrets is not None:
            server = f"http://127.0.0.1:{port}"
            told.write_text(secrets.replace("{server}", server).replace("{issuer}", self.issuer))
        before = os.environ["HOME"]
        os.environ["HOME"] = str(home)
        try:
            return Server(self.project.folder, port=port)
        finally:
            os.environ["HOME"] = before


def toml(values: dict[str, str]) -> str:
    return "[auth]\n" + "".join(f"{key} = '{value}'\n" for key, value in values.items())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("sign_in"))
    yield made
    made.provider.terminate()
    made.provider.wait(timeout=10)


@pytest.fixture(scope="module")
def served(place: Place) -> Iterator[Server]:
    server = place.serve(toml(WHOLE))
    yield server
    server.stop()
    for canary in (COOKIE_SECRET, SECRET):
        assert canary not in server.log.read_text()


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def test_who_is_of_the_domain_signs_in_and_sees(tab: Any, place: Place, served: Server) -> None:
    place.person.write_text("ana@example.com")
    tab.goto(f"{served.url}/kpi?kpi=k")
    tab.get_by_role("button", name="Sign in").wait_for(timeout=40_000)
    assert SEEN not in tab.inner_text("body")
    tab.get_by_role("button", name="Sign in").click()
    tab.get_by_text(SEEN).first.wait_for(timeout=40_000)
    cookies = {cookie["name"]: cookie for cookie in tab.context.cookies()}
    assert cookies["_streamlit_user"]["httpOnly"]
    before = listed(place.project.open().state, Search(what="signed_in", who="ana@example.com")).entries
    assert before[0].via == "page" and before[0].details == f'{{"by": "{place.issuer}"}}'
    tab.goto(f"{served.url}/kpi?kpi=k")
    tab.get_by_text(SEEN).first.wait_for(timeout=40_000)
    assert listed(place.project.open().state, Search(what="signed_in", who="ana@example.com")).entries == before
    assert tab.request.get(f"{served.url}/media/none.csv").status == 404, "who is signed in may ask for files"


@pytest.mark.parametrize(
    "person", ["eve@other.example", "eve@example.com.other.example", "eve@example.com unconfirmed", "example.com"]
)
def test_who_is_not_sees_a_page_that_says_so_and_no_data(tab: Any, place: Place, served: Server, person: str) -> None:
    place.person.write_text(person)
    tab.goto(served.url)
    tab.get_by_role("button", name="Sign in").click(timeout=40_000)
    tab.get_by_text("This account may not see this dashboard.").wait_for(timeout=40_000)
    tab.get_by_role("button", name="Sign out").wait_for(timeout=40_000)  # the last of the page
    said = tab.inner_text("body")
    assert SEEN not in said and "@example.com" in said and person.split()[0] in said
    refused = listed(place.project.open().state, Search(what="sign_in_refused")).entries
    assert refused[0].who.split()[0] == person.split()[0] or person == "example.com"
    assert tab.request.get(f"{served.url}/media/none.csv").status == 403


def test_files_are_for_who_is_signed_in(served: Server) -> None:
    for cookie in ("", "_streamlit_user=forged", '_streamlit_user="eyJpc19sb2dnZWRfaW4iOnRydWV9.x.y"'):
        asked = urllib.request.Request(f"{served.url}/media/none.csv", headers={"Cookie": cookie})
        with pytest.raises(urllib.error.HTTPError) as told:
            urllib.request.urlopen(asked, timeout=10)
        assert told.value.code == 403
        told.value.close()


def cookie_of(age: timedelta, monkeypatch: pytest.MonkeyPatch, **more: str) -> str:
    """What Streamlit sets when ana signs in, signed that long ago. more: other claims, such as `origin`."""
    claims = {"is_logged_in": True, "email": "ana@example.com", "email_verified": True, "provider": "default", **more}
    at = datetime.now(UTC) - age
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _: int(at.timestamp()))
    return create_signed_value(COOKIE_SECRET, "_streamlit_user", json.dumps(claims)).decode()


@pytest.mark.parametrize(
    ("age", "status"),
    [(timedelta(0), 404), (timedelta(hours=11, minutes=58), 404), (timedelta(hours=12, minutes=2), 403)]
    + [(timedelta(days=40), 403), (timedelta(hours=-2), 403)],
)
def test_files_are_for_as_long_as_a_session_lasts(
    served: Server, monkeypatch: pytest.MonkeyPatch, age: timedelta, status: int
) -> None:
    cookie = f"_streamlit_user={cookie_of(age, monkeypatch, origin=served.url)}"
    asked = urllib.request.Request(f"{served.url}/media/none.csv", headers={"Cookie": cookie})
    with pytest.raises(urllib.error.HTTPError) as told:
        urllib.request.urlopen(asked, timeout=10)
    assert told.value.code == status
    told.value.close()


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({}, 404),
        ({"origin": "https://other.example"}, 403),
        ({"origin": ""}, 403),
        ({"provider": "gone"}, 403),
        ({"provider": ""}, 403),
    ],
)
def test_who_signed_in_elsewhere_or_with_a_provider_that_went_is_nobody(
    served: Server, monkeypatch: pytest.MonkeyPatch, more: dict[str, str], status: int
) -> None:
    cookie = cookie_of(timedelta(0), monkeypatch, **{"origin": served.url, **more})
    asked = urllib.request.Request(f"{served.url}/media/none.csv", headers={"Cookie": f"_streamlit_user={cookie}"})
    with pytest.raises(urllib.error.HTTPError) as told:
        urllib.request.urlopen(asked, timeout=10)
    assert told.value.code == status
    told.value.close()


def test_a_session_that_ended_says_so(tab: Any, served: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    cookie = {"name": "_streamlit_user", "url": served.url}
    tab.context.add_cookies([{**cookie, "value": cookie_of(timedelta(hours=11), monkeypatch, origin=served.url)}])
    tab.goto(f"{served.url}/kpi?kpi=k")
    tab.get_by_text(SEEN).first.wait_for(timeout=40_000)
    tab.context.add_cookies([{**cookie, "value": cookie_of(timedelta(hours=13), monkeypatch, origin=served.url)}])
    tab.goto(f"{served.url}/kpi?kpi=k")
    tab.get_by_text("Your session has ended: one lasts 12 hours here.").wait_for(timeout=40_000)
    tab.get_by_role("button", name="Sign in").wait_for(timeout=40_000)
    assert SEEN not in tab.inner_text("body")


def test_who_signed_in_sees_their_account_makes_a_token_and_signs_out(tab: Any, place: Place, served: Server) -> None:
    place.person.write_text("ana@example.com groups=growth,data")
    tab.goto(f"{served.url}/account")
    tab.get_by_role("button", name="Sign in").click(timeout=40_000)
    tab.get_by_text(SEEN).first.wait_for(timeout=40_000)
    tab.get_by_role("link", name="Account").click()
    tab.get_by_role("heading", name="Account").wait_for(timeout=40_000)
    tab.get_by_text("ana@example.com").first.wait_for(timeout=40_000)
    assert "data, growth" in tab.inner_text("body")
    tab.get_by_label("Name of a new token").fill("scraper")
    tab.get_by_role("button", name="Create token").click()
    tab.get_by_text("It is not shown again").wait_for(timeout=40_000)
    secret = tab.locator("code").filter(has_text="kpi_").inner_text().strip()

    def metrics(token: str) -> int:
        asked = tab.request.get(f"{served.url}/_stcore/metrics", headers={"Authorization": f"Bearer {token}"})
        return int(asked.status)

    assert (metrics(secret), metrics(f"{secret}x"), metrics("")) == (200, 403, 403)
    tab.reload()
    tab.get_by_role("button", name="Revoke").wait_for(timeout=40_000)
    assert secret not in tab.content(), "it was shown once"
    tab.get_by_role("button", name="Revoke").click()
    tab.get_by_text("by ana@example.com").nth(1).wait_for(timeout=40_000)
    assert metrics(secret) == 403
    tab.get_by_role("button", name="Sign out").click()
    tab.get_by_role("button", name="Sign in").wait_for(timeout=40_000)
    assert tab.request.get(f"{served.url}/media/none.csv").status == 403


def test_two_providers_are_two_buttons(tab: Any, place: Place) -> None:
    shared = {name: WHOLE[name] for name in ("redirect_uri", "cookie_secret")}
    each = toml({name: WHOLE[name] for name in WHOLE if name not in shared})
    server = place.serve(
        toml(shared) + each.replace("[auth]", "[auth.staff]") + each.replace("[auth]", "[auth.partners]")
    )
    place.person.write_text("bo@teams.example")
    try:
        tab.goto(server.url)
        tab.get_by_role("button", name="Sign in with Staff").wait_for(timeout=40_000)
        tab.get_by_role("button", name="Sign in with Partners").click()
        tab.get_by_text(SEEN).first.wait_for(timeout=40_000)
    finally:
        server.stop()


def without(key: str) -> str:
    return toml({k: v for k, v in WHOLE.items() if k != key})


@pytest.mark.breadth(2)
@pytest.mark.slow
@pytest.mark.parametrize(
    ("secrets", "words"),
    [
        (None, "There is no [auth]"),
        ("[other]\na = 'b'\n", "There is no [auth]"),
        ("[auth\n", "There is no [auth]"),
        (without("client_secret"), "[auth] lacks client_secret"),
        (toml({**WHOLE, "cookie_secret": "short"}), "shorter than 32"),
        (toml({**WHOLE, "redirect_uri": "{server}/else"}), "does not end in /oauth2callback"),
        (toml({**WHOLE, "server_metadata_url": "nothing"}), "is no web address"),
        (toml(WHOLE) + "[auth.staff]\nclient_id = 'a'\n", "[auth.staff] lacks client_secret, server_metadata_url"),
        (toml(WHOLE) + toml(WHOLE).replace("[auth]", "[auth.our_staff]"), "write our-staff"),
    ],
)
def test_a_wrong_set_up_says_what_to_do(tab: Any, place: Place, secrets: str | None, words: str) -> None:
    server = place.serve(secrets)
    try:
        tab.goto(f"{server.url}/kpi?kpi=k")
        tab.get_by_text(words).wait_for(timeout=40_000)
        tab.get_by_text("Write into").wait_for(timeout=40_000)  # the last of the page
        said = tab.inner_text("body")
        assert "secrets.toml" in said and SEEN not in said and COOKIE_SECRET not in said
    finally:
        server.stop()
