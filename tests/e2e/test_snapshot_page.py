"""Snapshots in a real Chromium: an exec on a phone reads last week and forwards it, a PM adds a note and compares."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from pypdf import PdfReader

from jobs.project.project import open_project
from jobs.snapshots.archived import document_of
from jobs.snapshots.render import render
from tests.conftest import Server
from tests.e2e.conftest import Open, settled

pytestmark = pytest.mark.breadth(2)

LINK = "snapshots?snapshot=weekly&week=2026-W47"


def downloaded(page: Any, label: str) -> bytes:
    with page.expect_download(timeout=30_000) as waiting:
        page.get_by_role("button", name=label, exact=True).click()
    return Path(waiting.value.path()).read_bytes()


def test_an_exec_on_a_phone_reads_last_week_asks_where_a_number_comes_from_and_forwards_it(visit: Open) -> None:
    page = visit(LINK, width=390, height=844)
    settled(page)
    assert (
        page.inner_text("h1")
        == "2 of 14 off track, both of them worsening; worst Error-free sessions, 0.8 points under target."
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    first = page.locator(".bws ul.sum li").first
    expect(first).to_contain_text(
        re.compile(r"^Error-free sessions is off track and worsening: 98\.4% on Sun 22 Nov, ")
    )
    assert page.locator("h1").bounding_box()["y"] < 844 / 2 and first.bounding_box()["y"] < 844, "on the first screen"
    block = page.locator(".bws article").filter(has=page.get_by_role("heading", name="Error-free sessions", exact=True))
    origin = page.locator(".bws .app details").filter(
        has=page.locator("summary", has_text=re.compile("^Error-free sessions$"))
    )
    assert not origin.locator("dl").is_visible(), "folded"
    block.get_by_text("Where this comes from").click()  # one tap, which unfolds it
    expect(origin.locator("dl")).to_contain_text("kpi query error_free_sessions --as-of ")
    expect(origin.get_by_text("Open the KPI as it is now")).to_be_visible()
    chart = block.locator("img")
    assert "Last 12 months" in chart.get_attribute("alt")
    assert chart.evaluate("image => image.complete && image.naturalWidth > 0")
    page.get_by_role("link", name="p95 load time").first.click()  # a cell of the grid leads to its KPI
    expect(page.get_by_role("heading", name="p95 load time")).to_be_in_viewport()
    front = page.locator(".bws .front").bounding_box()
    assert front["height"] <= 1.5 * 844, "headline, bullets and grid"
    data = downloaded(page, "PDF")
    text = PdfReader(io.BytesIO(data)).pages[0].extract_text()
    assert data.startswith(b"%PDF-") and "2 of 14 off track" in text


def test_a_pm_adds_a_note_compares_weeks_and_previews_the_mail(visit: Open, served_demo: Server) -> None:
    page = visit(LINK)
    settled(page)
    frozen = document_of(open_project(served_demo.log.parent), week="2026-W47")
    numbers = [line.text for line in frozen.lines]
    assert page.locator(".bws .num").all_inner_texts() == numbers == page.locator(".bws .gv").all_inner_texts()
    page.get_by_role("button", name="Add a note").click()
    page.get_by_label("What should a reader know?").fill("The fix for Android 8.2 is out since Sunday.")
    page.get_by_label("What should a reader know?").press("Control+Enter")
    page.get_by_role("button", name="Save note").click()
    expect(page.locator(".bws blockquote")).to_contain_text("The fix for Android 8.2 is out", timeout=20_000)
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("No recipients: write `recipients`")).to_be_visible(timeout=20_000)
    page.get_by_text("Preview the mail").click()
    mail = page.frame_locator("[data-testid=stPopoverBody] iframe")
    expect(mail.get_by_text("No link: the setting")).to_be_visible(timeout=30_000)
    assert mail.locator("img").first.evaluate("image => image.complete && image.naturalWidth > 0")
    page = visit(f"{LINK}&compare=2026-W44")
    row = page.locator(".bw-compare tbody tr").filter(has_text="New editor adoption")
    expect(row).to_contain_text("+21.8 points", timeout=20_000)
    page.get_by_role("link", name="2–8 Nov 2026").click()
    page.wait_for_url(re.compile("week=2026-W45"))
    settled(page)
    expect(page.locator(".bws .q").first).to_contain_text("2–8 Nov 2026, week 45")


def test_printed_from_the_browser_the_page_is_the_snapshot_alone(visit: Open) -> None:
    page = visit(LINK)
    settled(page)
    data = PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True)))
    text = [" ".join(p.extract_text().split()) for p in data.pages]
    assert len(text) <= 5 and "2 of 14 off track" in text[0] and "Activation" in text[0]
    assert "Growth" not in text[0] and "Compare two weeks" not in " ".join(text) and "More files" not in text[0]
    page.set_viewport_size({"width": 695, "height": 1024})  # a sheet less its margins
    page.emulate_media(media="print")
    right = "[...document.querySelectorAll('.bws *')].map(e => e.getBoundingClientRect().right)"
    assert page.evaluate(f"Math.max(...{right}) <= innerWidth + 1"), "cut at the edge of the paper"
    page.emulate_media(media="screen")


def test_the_file_is_accessible_without_a_server_and_fits_a_phone(
    browser: Any, demo_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "week.html"
    opened = open_project(demo_folder)
    path.write_bytes(render(opened, document_of(opened), "html"))
    for scheme in ("light", "dark"):
        context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme, offline=True)
        page, asked = context.new_page(), []
        page.on("request", lambda request: asked.append(request.url))  # noqa: B023
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate("document.fonts.ready.then(() => document.fonts.check('600 15px Inter'))")
        found = Axe().run(page).response["violations"]
        assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        context.close()
