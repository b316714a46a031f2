"""A visitor: opens addresses in a real Chromium and lets nothing strange pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import Server

Open = Callable[..., Any]


@pytest.fixture
def visit(browser: Any, served_demo: Server) -> Iterator[Open]:
    """Open an address; every request to another host and every script error fails the test."""
    contexts, strangers, errors = [], [], []

    def go(path: str, *, width: int = 1440, height: int = 900, scheme: str = "light", base: str = "") -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        own = base or served_demo.url
        page.on("request", lambda r: strangers.append(r.url) if not r.url.startswith((own, "data:", "blob:")) else None)
        page.on("pageerror", lambda e: errors.append(str(e)))
        page.goto(f"{own}/{path}")
        page.wait_for_selector("h1", timeout=40_000)
        return page

    yield go
    for context in contexts:
        context.close()
    assert strangers == [], "requests to other hosts"
    assert errors == []


def settled(page: Any) -> None:
    page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget]')", timeout=40_000)
    page.wait_for_timeout(400)
