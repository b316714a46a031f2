"""A visitor: opens addresses in a real Chromium and lets nothing strange pass."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import Server

Open = Callable[..., Any]


# Resolves when nothing has changed on the page for 300 ms: plots and frames draw themselves after the server is done.
QUIET = """() => new Promise(done => {
  const end = () => { seen.disconnect(); done() };
  let timer = setTimeout(end, 300);
  const seen = new MutationObserver(() => { clearTimeout(timer); timer = setTimeout(end, 300) });
  seen.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
  setTimeout(end, 10000);
})"""


# The browser's own clock, where the suite's was moved (benchmarks/clocks.py): Chromium bears no libfaketime.
MOVED = """window.Date = new Proxy(Date, {
  construct: (real, given) => given.length ? new real(...given) : new real(real.now() + %(ahead)d),
  get: (real, key) => key === "now" ? () => real.now() + %(ahead)d : Reflect.get(real, key),
})"""


@pytest.fixture(scope="session")
def tab(browser: Any) -> Iterator[Any]:
    """One tab for all tests: it has the scripts compiled, so that a visit costs a third of one in a new tab."""
    context = browser.new_context()
    if ahead := int(os.environ.get("FAKETIME", "0s").removesuffix("s")):
        context.add_init_script(MOVED % {"ahead": 1000 * ahead})
    yield context.new_page()
    context.close()


@pytest.fixture
def visit(tab: Any, served_demo: Server) -> Iterator[Open]:
    """Open an address anew; a request to another host, a script error and what the policy stops fail it."""
    strangers, errors, own, refused = [], [], [served_demo.url], []

    def asked(request: Any) -> None:
        if not request.url.startswith((own[0], "data:", "blob:")):
            strangers.append(request.url)

    def failed(error: Any) -> None:
        errors.append(str(error))

    def said(message: Any) -> None:
        if "Content Security Policy" in message.text:
            refused.append(message.text)

    def go(path: str, *, width: int = 1440, height: int = 900, scheme: str = "light", base: str = "") -> Any:
        own[0] = base or served_demo.url
        tab.set_viewport_size({"width": width, "height": height})
        tab.emulate_media(color_scheme=scheme)
        tab.goto(f"{own[0]}/{path}")
        tab.wait_for_selector("h1", timeout=40_000)
        return tab

    tab.on("request", asked)
    tab.on("pageerror", failed)
    tab.on("console", said)
    yield go
    if tab.url.startswith("http"):
        tab.evaluate("localStorage.clear(); sessionStorage.clear()")
    tab.context.clear_cookies()
    tab.remove_listener("request", asked)
    tab.remove_listener("pageerror", failed)
    tab.remove_listener("console", said)
    tab.goto("about:blank")
    assert strangers == [], "requests to other hosts"
    assert errors == []
    assert refused == [], "the page needs what its policy does not let it do"


def settled(page: Any) -> None:
    """The server is done, and so is the page."""
    until(page, "!document.querySelector('[data-testid=stStatusWidget], [data-testid=stSkeleton], [data-stale=true]')")
    page.evaluate(QUIET)


def until(page: Any, words: str, seconds: float = 40.0) -> None:
    """Wait until an expression is true. Playwright's own way evaluates it in the page, whose policy forbids that."""
    ends = time.monotonic() + seconds
    while not page.evaluate(words):
        assert time.monotonic() < ends, f"not within {seconds} s: {words}"
        page.wait_for_timeout(50)
