"""What a provider never said, or said to somebody else, signs nobody in; and no other page acts in a reader's name."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from api.routes import PREFIX, RESOURCES
from connectors.state.tables import metadata
from tests.conftest import Server
from tests.web.tabs import Tab, clicked
from tests.web.test_every_address import METHODS, PAGES
from tests.web.test_sign_in import SEEN, WHOLE, Place, toml

LATER = int(time.time()) + 3600
FORGED: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://evil.example"},
    "an issuer with more": {"iss": "{issuer}/"},
    "no issuer": {"iss": None},
    "another audience": {"aud": "somebody-else"},
    "other audiences": {"aud": ["somebody-else", "dashboards"]},
    "no audience": {"aud": None},
    "for another party": {"aud": ["dashboard", "somebody-else"], "azp": "somebody-else"},
    "another nonce": {"nonce": "x"},
    "no nonce": {"nonce": None},
    "an end that is over": {"iat": LATER - 9000, "exp": LATER - 7200},
    "no end": {"exp": None},
    "an end in words": {"exp": "soon"},
    "not yet": {"nbf": LATER, "iat": LATER},
    "no beginning": {"iat": None},
    "nobody": {"sub": None},
    "another key": {"key": "other"},
    "unsigned": {"alg": "none"},
    "signed with the public key": {"alg": "HS256"},
    "signed with the client's secret": {"alg": "HS256", "key": "secret"},
    "no address": {"email": None, "email_verified": None},
    "an address that is not confirmed": {"email_verified": False},
    "an address that is confirmed in words": {"email_verified": "false"},
    "an address of two": {"email": ["ana@example.com", "eve@evil.example"]},
    "an address in an address": {"email": "ana@example.com@evil.example"},
    "an address as a name": {"email": None, "name": "ana@example.com", "preferred_username": "ana@example.com"},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("forged"))
    yield made
    made.provider.terminate()
    made.provider.wait(timeout=10)


@pytest.fixture(scope="module")
def served(place: Place) -> Iterator[Server]:
    server = place.serve(toml(WHOLE))
    yield server
    server.stop()


def began(server: Server) -> str:
    """The address that the page's own button leads to."""
    with Tab(server.port) as tab:
        text = tab.opens("", "", [clicked(tab.opens(), "Sign in")])
    found = re.search(r'auth_redirect \{\s+url: "([^"]+)"', text)
    assert found is not None
    return found[1]


@contextmanager
def signed_in(server: Server) -> Iterator[httpx.Client]:
    """A browser after the provider has sent it back."""
    with httpx.Client(base_url=server.url, follow_redirects=True, timeout=30) as browser:
        assert browser.get(began(server)).status_code == 200
        yield browser


def cookies_of(browser: httpx.Client) -> str:
    return "; ".join(f"{one.name}={one.value}" for one in browser.cookies.jar)


def sees(server: Server, browser: httpx.Client) -> bool:
    """Whether files and pages are shown. Both must say the same."""
    with Tab(server.port, {"Cookie": cookies_of(browser)}) as tab:
        page = SEEN in tab.opens("kpi", "kpi=k")
    file = browser.get("/media/none.csv").status_code
    assert file == (404 if page else 403)
    return page


def test_what_is_true_signs_in(place: Place, served: Server) -> None:
    for said in ({}, {"aud": ["dashboard", "somebody-else"], "azp": "dashboard"}, {"email": "Ana@Example.com"}):
        place.person.write_text(f"ana@example.com {json.dumps(said)}")
        with signed_in(served) as browser:
            assert sees(served, browser), said


@pytest.mark.breadth(5, whole=True)
@pytest.mark.parametrize("what", sorted(FORGED))
def test_what_is_forged_signs_nobody_in(place: Place, served: Server, what: str) -> None:
    place.person.write_text("ana@example.com " + json.dumps(FORGED[what]).replace("{issuer}", place.issuer))
    with signed_in(served) as browser:
        assert not sees(served, browser)
        assert "Traceback" not in browser.get("/").text


def test_an_answer_of_the_provider_is_good_once_and_for_who_asked(place: Place, served: Server) -> None:
    place.person.write_text("ana@example.com {}")
    with httpx.Client(base_url=served.url) as asker, httpx.Client(base_url=served.url) as other:
        to_provider = asker.get(began(served)).headers["location"]
        back = httpx.get(to_provider).headers["location"]
        other.get(back)
        assert not sees(served, other), "whoever gets hold of the address has no session for it"
        asker.get(back.replace("state=", "state=x"))
        assert not sees(served, asker)
        asker.get(back)
        assert sees(served, asker)
        asker.cookies.delete("_streamlit_user")
        asker.get(back)
        assert not sees(served, asker)


def raw(server: Server, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    answer.read()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}
    connection.close()
    return found


def kept(place: Place) -> dict[str, list[tuple[Any, ...]]]:
    """All that the state store holds, but who signed in."""
    with place.project.open().state.reading() as connection:
        names = [name for name in metadata.tables if not name.startswith("audit")]
        return {
            name: sorted(map(tuple, connection.exec_driver_sql(f"SELECT * FROM {name}")), key=repr) for name in names
        }


KINDS = ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "application/json")


def test_another_page_s_forms_change_nothing(place: Place, served: Server) -> None:
    """Every address that takes more than GET, with the cookies of who is signed in, as a form of elsewhere sends it."""
    place.person.write_text("ana@example.com {}")
    with signed_in(served) as browser:
        cookies = cookies_of(browser)
        assert sees(served, browser)
        browser.get("/")
        before, synced = kept(place), place.project.open().sync_log.read()
        own = f"http://localhost:{served.port}"
        with Tab(served.port, {"Cookie": cookies}) as tab:
            tab.opens()
            paths = [PREFIX + one.path for one in RESOURCES if one.method != "GET"]
            paths += ["/", "/account", "/data", f"/_stcore/upload_file/{tab.session}/x", "/_stcore/agent/interact"]
            for path in paths:
                for method in METHODS[2:]:
                    for kind in KINDS:
                        there = {"Cookie": cookies, "Content-Type": kind, "Origin": "https://evil.example"}
                        status, headers = raw(served, method, path, b"{}", there)
                        assert status in (204, 400, 401, 403, 404, 405), (path, method, kind)
                        assert status != 204 or method == "OPTIONS"
                        assert headers.get("access-control-allow-origin") in (None, served.url, own)
        assert kept(place) == before
        assert place.project.open().sync_log.read() == synced


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_page_signs_nobody_out_or_in(place: Place, served: Server, site: str) -> None:
    place.person.write_text("ana@example.com {}")
    way = began(served)
    with signed_in(served) as browser:
        cookies = cookies_of(browser)
        for path in ("/auth/logout", way):
            status, headers = raw(served, "GET", path, b"", {"Cookie": cookies, "Sec-Fetch-Site": site})
            assert status == 403 and "set-cookie" not in headers, path
        assert sees(served, browser)
        for own in ("same-origin", "none"):
            assert raw(served, "GET", way, b"", {"Sec-Fetch-Site": own})[0] == 302
        browser.get("/auth/logout", headers={"Sec-Fetch-Site": "same-origin"})
        assert not sees(served, browser)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:3000"])
def test_another_page_opens_no_tab_with_a_reader_s_cookies(place: Place, served: Server, origin: str) -> None:
    place.person.write_text("ana@example.com {}")
    with signed_in(served) as browser:
        cookies = cookies_of(browser)
        asked = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        asked |= {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Cookie": cookies, "Origin": origin}
        assert raw(served, "GET", "/_stcore/stream", b"", asked)[0] == 403


def test_no_page_changes_anything_by_being_opened(place: Place, served: Server) -> None:
    """Also for who may do everything: a link from elsewhere is only ever looked at."""
    place.person.write_text("ana@example.com {}")
    with signed_in(served) as browser:
        cookies = cookies_of(browser)
        with Tab(served.port, {"Cookie": cookies}) as tab:
            tab.opens()
            before = kept(place)
            for page in PAGES:
                for query in (
                    "kpi=k&delete=1&revoke=a&sync=1&ack=1&undo=1&launch=k",
                    "action=sync&token=x&decide=keep",
                ):
                    tab.opens(page, query)
        assert kept(place) == before
