"""The API's description: it is what the code gives, it is valid, and whatever it allows to ask is answered in words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import jsonschema
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from api import asking
from api.limits import Rates
from api.routes import description, routes
from jobs.access.tokens import create
from jobs.project.clock import utc_now
from jobs.project.project import open_project
from tests.conftest import copied_demo
from tests.sampling import sampled

KEPT = Path(__file__).resolve().parents[2] / "docs" / "schema" / "openapi.json"
READS = [path for path, methods in description()["paths"].items() if "get" in methods]
NAMES = ("nps", "activation", "sign_ups", "p95_load_time", "week_4_retention", "quick_ratio", "guided_onboarding")
# What is near to right goes further than noise.
WORDS = (
    *NAMES, "week", "day", "month", "total", "hour", "platform", "country", "platform=web", "country=(none)", "=",
    "a=b", "2026-11-01", "2026-W40", "2026-W46", "9999-12-31", "0001-01-01", "2026-02-30", "previous_period", "to_date",
    "same_period_last_year", "launch", "firing", "Growth", "0", "-1", "1", "5000", "1e9", "null", "", " ", "'; --",
    "../..", "%00", "\x00", "’", "{x}", "[]", "W1s=",
)  # fmt: skip
TEXTS = st.one_of(st.sampled_from(WORDS), st.text(max_size=12))
# A part of an address; what has a control character the door refuses before (tests/web/test_door.py).
NAMED = TEXTS.filter(
    lambda text: bool(text.strip("./ ")) and "/" not in text and not re.search(r"[\x00-\x1f\x7f]", text)
)


class Client:
    """Asks the routes in this process, on a loop of its own."""

    def __init__(self, portal: BlockingPortal, secret: str) -> None:
        self.portal, self.secret = portal, secret
        transport = httpx.ASGITransport(app=Starlette(routes=routes("")))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")

    def get(self, path: str, query: Sequence[tuple[str, str]] = (), *, token: bool = True) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.secret}"} if token else {}
        address = f"{path}?{urlencode(list(query))}" if query else path
        return self.portal.call(partial(self.client.get, address, headers=headers))


@pytest.fixture(scope="module")
def client(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The routes over the demo, in this process, with a token that may ask as often as it likes."""
    folder = copied_demo(demo_folder, tmp_path_factory.mktemp("fuzzed") / "demo")
    now = utc_now()
    made = create(open_project(folder).state, "fuzz", ["read", "sync"], timedelta(days=1), by="t", now=now)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KPI_PROJECT", str(folder))
        patch.setattr(asking, "RATES", Rates(10**9, 1.0))
        asking.project.cache_clear()
        with start_blocking_portal() as portal:
            yield Client(portal, made.secret)
        asking.project().close()
        asking.project.cache_clear()


def parameters(path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = description()["paths"][path]["get"]["parameters"]
    return found


@st.composite
def questions(draw: st.DrawFn) -> tuple[str, str, list[tuple[str, str]]]:
    """A path of the description, its address, and parameters: mostly those it has, some right and some not."""
    path = draw(st.sampled_from(READS))
    address, query = path, []
    for parameter in parameters(path):
        if parameter["in"] == "path":
            text = draw(NAMED)
            address = address.replace(f"{{{parameter['name']}}}", quote(text, safe=""))
        elif draw(st.integers(0, 3)) == 0:
            count = draw(st.integers(1, 3)) if parameter["schema"].get("type") == "array" else 1
            query += [(parameter["name"], draw(TEXTS)) for _ in range(count)]
    if draw(st.integers(0, 19)) == 0:
        query.append((draw(TEXTS), draw(TEXTS)))
    return path, address, query


@sampled(fast=30, slow=150, full=2000, shrink=False)
@given(question=questions())
def test_whatever_is_asked_is_answered(client: Client, question: tuple[str, str, list[tuple[str, str]]]) -> None:
    path, address, query = question
    answer = client.get(address, query)
    assert answer.status_code in (200, 404, 409, 422, 503), answer.text
    allowed = description()["paths"][path]["get"]["responses"][str(answer.status_code)]["content"]
    kind = answer.headers["content-type"]
    assert kind in allowed
    schema = {**allowed[kind]["schema"], "components": description()["components"]}
    jsonschema.Draft202012Validator(schema).validate(answer.json())


def test_the_kept_description_is_what_the_code_gives() -> None:
    assert json.loads(KEPT.read_text()) == json.loads(json.dumps(description())), "`make schema` writes it"


def test_the_description_is_served_without_a_token(client: Client) -> None:
    answer = client.get("/api/v1/openapi.json", token=False)
    assert answer.status_code == 200 and answer.json() == json.loads(KEPT.read_text())
    assert answer.json()["openapi"].startswith("3.1")


def test_every_operation_says_what_it_takes_and_gives() -> None:
    names = []
    for path, methods in description()["paths"].items():
        for method, told in methods.items():
            names.append(told["operationId"])
            assert told["summary"].endswith(".") and "scope" in told["description"], (path, method)
            assert {"401", "403", "404", "422", "429", "503"} < set(told["responses"])
            assert all(one.get("description") or one["in"] == "path" for one in told["parameters"])
    assert len(set(names)) == len(names) >= 10


def test_a_token_that_asks_too_often_waits(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "RATES", Rates(3, 60.0))
    found = [client.get("/api/v1/alerts") for _ in range(5)]
    assert [answer.status_code for answer in found] == [200, 200, 200, 429, 429]
    assert 1 <= int(found[-1].headers["retry-after"]) <= 20 and "asks more than 3 times" in found[-1].json()["detail"]


def test_a_bucket_fills_evenly() -> None:
    now = [0.0]
    rates = Rates(2, 10.0, lambda: now[0])
    assert [rates.wait("a"), rates.wait("a"), rates.wait("a"), rates.wait("b")] == [0, 0, 5, 0]
    now[0] = 5.0
    assert [rates.wait("a"), rates.wait("a")] == [0, 5]
    now[0] = 1000.0
    assert [rates.wait("a") for _ in range(3)] == [0, 0, 5], "no more than a full one"


def test_a_failure_of_ours_is_told_without_its_words(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("canary-of-a-traceback")

    monkeypatch.setattr("api.asking.AsOf", broken)
    answer = client.get("/api/v1/alerts")
    assert answer.status_code == 500 and "canary" not in answer.text
    assert answer.headers["content-type"] == "application/problem+json"
