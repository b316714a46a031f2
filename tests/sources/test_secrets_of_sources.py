"""Keys of every source type: none is in what is said, written, shown or backed up, whatever the API answers.

A type is set up by its own example: each ${NAME} of it is a canary, each key's file has one. The API repeats all that
was sent. A type whose example has no secret needs a place in PLACES, which says where one stands; else the test fails.
"""

from __future__ import annotations

import random
import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from connectors.sources.contract import source_types
from connectors.sources.rest.budget import Budget
from tests.conftest import Builder, run_cli
from tests.fakes import amplitude, ga4, github, mixpanel, plain, posthog, stripe, zendesk
from tests.fakes.server import Fake, impatient
from tests.sampling import SEED
from tests.sources.vendors import FAMILIES
from tests.test_pages import run as page
from tests.test_secrets import forms, written

pytestmark = [pytest.mark.breadth(3), pytest.mark.filterwarnings("default")]
# Where a secret stands in the entry of a type whose example has none. ADDRESS is that of the server.
PLACES = {
    "files": "- {name: files, type: files, table: files, path: 'http://ana:${CANARY_A}@ADDRESS/a.csv?k=${CANARY_B}'}",
    "sql": "- {name: sql, type: sql, table: sql, url: 'postgresql://ana:${CANARY_A}@ADDRESS/db?password=${CANARY_B}'}",
}
USUAL = ("host", "accept", "accept-encoding", "connection", "user-agent")
REFUSALS = ("401", "403", "404", "500")
ODD = ("html", "json")  # answers of status 200 that are none; of a file they would be its rows
VERBS = (("sync", "--debug", "--json", "--events"), ("status", "--json"), ("doctor", "--json"), ("validate", "--json"))


class Echo:
    """An API that repeats what it was sent, in an answer that a test chooses."""

    def __init__(self) -> None:
        self.kind = ""
        self.heard: list[str] = []
        methods = ["GET", "POST"]
        self.app = Starlette(routes=[Route("/{path:path}", self.answer, methods=methods)])

    async def answer(self, request: Request) -> Response:
        """All of the request."""
        body = (await request.body()).decode("utf-8", "replace")
        own = {k: v for k, v in request.headers.items() if k not in USUAL and not k.startswith("content")}
        said = f"{own} {request.url.query} {body} {request.url}"  # an error shows the first letters
        self.heard.append(said)
        if self.kind == "html":
            return PlainTextResponse(f"<html>{said}</html>")
        told = {"error": {"message": said}, "message": said, "detail": said, "error_description": said}
        return JSONResponse(told, 200 if self.kind == "json" else int(self.kind))


def entry(kind: str, address: str, folder: Path) -> tuple[str, dict[str, str]]:
    """The entry of sources.yml of a type, and its canaries: variable → value."""
    text = PLACES.get(kind) or source_types()[kind].example
    names = sorted(set(re.findall(r"\$\{(\w+)\}", text)))
    canaries = {name: f"cnry-{kind}-{n}-7f3a9c51e0" for n, name in enumerate(names)}
    if found := re.search(r"key_file: ([\w.-]+)", text):
        (folder / found[1]).write_text(key(found[1], address))
        text = text.replace(found[1], str(folder / found[1]))
        canaries["a key's file"] = (folder / found[1]).read_text().partition("KEY-----")[2].strip("\\n\n")[:50]
    text = text.replace("ADDRESS", address.partition("://")[2]).replace("2026-01-01", "2026-11-20")
    if kind not in PLACES and "url" in source_types()[kind].Options.model_fields:
        text = re.sub(r"(?m)\burl: [^,}\n]+", f"url: {address}", text)
        if "url:" not in text:
            text = re.sub(r"(\btype: \w+)(, |\n  )", rf"\1\2url: {address}\2", text, count=1)
    return text, canaries


def key(name: str, address: str) -> str:
    """A key's file: Google's JSON, or a PEM."""
    if name.endswith(".json"):
        return ga4.key_file(address)
    made: Any = ec.generate_private_key(ec.SECP256R1())
    return str(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def leaks(canaries: dict[str, str], place: str, said: bytes) -> list[str]:
    return [f"{name} in {place}" for name, value in canaries.items() if any(form in said for form in forms(value))]


def told(project: Builder, canaries: dict[str, str], place: str) -> list[str]:
    """What the verbs say, each by itself."""
    found = []
    for verb in VERBS:
        done = run_cli(*verb, "--project", str(project.folder))
        found += leaks(canaries, f"{place}: {' '.join(verb)}", (done.stdout + done.stderr).encode())
    return found


def kept(project: Builder, canaries: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: Any) -> list[str]:
    """What is in logs, on the page of the data, in every file and in a backup."""
    run_cli("backup", str(project.folder / "b.zip"), "--project", str(project.folder), check=True)
    shown = page(monkeypatch, project.folder, "data")
    assert not shown.exception
    found = leaks(canaries, "page", "".join(str(getattr(node, "proto", "")) for node in shown.main).encode())
    found += leaks(canaries, "log", caplog.text.encode())
    return found + [leak for name, data in written(project.folder) for leak in leaks(canaries, name, data)]


@pytest.mark.parametrize("kind", source_types())
def test_no_key_is_anywhere(
    project: Builder, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, caplog: Any, kind: str
) -> None:
    impatient(monkeypatch)
    monkeypatch.setattr(Budget, "take", lambda _: None)
    monkeypatch.setenv("KPI_LOG_LEVEL", "debug")
    echo = Echo()
    project.rows("others", pd.DataFrame({"at": [pd.Timestamp("2026-11-20")]}))
    with Fake(echo.app) as fake:
        text, canaries = entry(kind, fake.url, tmp_path_factory.mktemp("keys"))
        assert canaries, f"the example of {kind} has no secret: give it a place in PLACES"
        for name, value in canaries.items():
            if name.isidentifier():
                monkeypatch.setenv(name, value)
        project.source(text)
        assert project.open().sources.read()[1] == [], text
        found = []
        for echo.kind in REFUSALS if kind in PLACES else (*REFUSALS, *ODD):
            found += told(project, canaries, echo.kind)
    found += told(project, canaries, "nobody answers")
    assert found + kept(project, canaries, monkeypatch, caplog) == []
    if kind not in PLACES and "key_file" not in text:
        keys = [form.decode() for value in canaries.values() for form in forms(value)]
        heard = any(form in said for form in keys for said in echo.heard)
        assert heard, "the API was sent a key, so it could repeat it"


# The keys that a fake accepts.
KEYS = {
    "posthog": [posthog.KEY],
    "mixpanel": [mixpanel.PASSWORD],
    "amplitude": [amplitude.API_KEY, amplitude.SECRET_KEY],
    "stripe": [stripe.KEY],
    "zendesk": [zendesk.TOKEN],
    "github": [github.TOKEN],
    "rest": [plain.KEY],
    "ga4": [],
}


@pytest.mark.parametrize("kind", FAMILIES)
def test_no_key_that_works_is_anywhere(
    project: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any, kind: str
) -> None:
    """Pulled with it, then refused: rows and cursors of a key that works, the errors of one that is revoked."""
    impatient(monkeypatch)
    chance = random.Random(SEED)
    vendor = next(iter(FAMILIES[kind].values()))(chance)
    vendor.happen(chance)
    with Fake(vendor.app) as served:
        vendor.entry(project, served)
        sources, canaries = (project.folder / "sources.yml").read_text(), {}
        for number, value in enumerate(KEYS[kind]):
            assert value in sources
            canaries[f"FAKE_KEY_{number}"] = value
            sources = re.sub(f"'?{re.escape(value)}'?", f'"${{FAKE_KEY_{number}}}"', sources)
            monkeypatch.setenv(f"FAKE_KEY_{number}", value)
        if kind == "ga4":
            (project.folder / "ga4.json").rename(tmp_path / "ga4.json")
            sources = sources.replace("ga4.json", str(tmp_path / "ga4.json"))
            canaries = {"private key": ga4.private_key().splitlines()[1], "token": "ya29.number-"}
        (project.folder / "sources.yml").write_text(sources)
        assert not project.sync(now=vendor.now).failed
        found = told(project, canaries, "it works")
        vendor.fake.revoked = True
        found += told(project, canaries, "it is revoked")
        assert project.sync(now=vendor.now + timedelta(hours=5)).failed
    assert found + kept(project, canaries, monkeypatch, caplog) == []


def test_the_search_finds_a_key(project: Builder) -> None:
    """In every form in which a request has it."""
    canaries = {"A": "cnry-a-0-7f3a9c51e0"}
    for form in forms(canaries["A"]):
        (project.folder / "x.txt").write_bytes(b"a" + form)
        assert [leak for name, data in written(project.folder) for leak in leaks(canaries, name, data)]
    assert quote(canaries["A"]).encode() in forms(canaries["A"])
