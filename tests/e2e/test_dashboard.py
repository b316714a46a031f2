"""The dashboard in a real Chromium, over a real server."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.conftest import ROOT, Builder, Server, run_cli
from tests.e2e.conftest import Open, settled

pytestmark = pytest.mark.breadth(8, whole=True)

PAGES = (
    "",
    "kpi?kpi=error_free_sessions",
    "kpi?kpi=activation&by=channel&range=365d",
    "kpi?kpi=week_4_retention",
    "kpi?kpi=nps",
    "kpi?kpi=trial_to_paid&by=channel",
    "kpi?kpi=quick_ratio",
    "kpis",
    "data",
    "alerts",
    "kpi?kpi=sign_ups&rule=try_limit",
    "launches",
    "launch?launch=new_editor",
    "snapshots?week=2026-W47&compare=2026-W46",
)
SHAPES = {
    "kpi?kpi=activation&by=channel&range=365d": ".js-plotly-plot .legendtext",
    "kpi?kpi=error_free_sessions": "[data-testid=kpi-value]",
    "kpi?kpi=week_4_retention": ".bw-triangle tbody tr",
    "kpi?kpi=nps": ".bw-voices li",
    "kpi?kpi=quick_ratio": ".st-key-lifecycle",
    "kpi?kpi=trial_to_paid&by=channel": ".bw-list tbody tr",
    "kpi?kpi=sign_ups&rule=try_limit": "[data-testid=would]",
    "launches": ".bw-launch",
    "launch?launch=new_editor": ".bw-score",
    "snapshots?week=2026-W47&compare=2026-W46": ".bw-compare tbody tr",
}


def test_the_overview_is_filled_and_a_card_opens_its_kpi(visit: Open) -> None:
    page = visit("")
    assert (
        page.inner_text("h1")
        == "2 of 14 off track, 1 of them worsening; worst Error-free sessions, 0.8 points under target"
    )
    cards = page.locator(".card")
    cards.first.wait_for()
    assert cards.count() == 14
    value = cards.first.locator(".number").inner_text()
    cards.first.click()
    page.wait_for_url(re.compile(r"/kpi\?kpi=error_free_sessions"))
    page.wait_for_selector("[data-testid=kpi-value]")
    assert page.inner_text("[data-testid=kpi-value]") == value


def test_a_filter_is_in_the_address_and_survives_a_reload(visit: Open) -> None:
    page = visit("")
    page.locator(".card").first.wait_for()
    page.locator(".st-key-segment [role=combobox], .st-key-segment input").first.click()
    whole = page.locator(".card .number").first.inner_text()
    page.get_by_role("option", name="Platform: android").click()
    page.wait_for_url(re.compile(r"segment=platform"))
    expect(page.locator(".card .number").first).not_to_have_text(whole, timeout=20_000)
    filtered = page.locator(".card .number").first.inner_text()
    page.reload()
    page.locator(".card").first.wait_for()
    assert "segment=platform%3Aandroid" in page.url
    expect(page.locator(".card .number").first).to_have_text(filtered)
    assert page.locator(".card .label").first.inner_text() == "Error-free sessions"
    assert float(filtered.rstrip("%")) < 97


def test_a_kpi_pages_choices_come_from_its_address(visit: Open) -> None:
    page = visit("kpi?kpi=activation&range=365d&by=channel")
    page.locator(".js-plotly-plot .legendtext").first.wait_for()
    names = set(page.locator(".js-plotly-plot .legendtext").all_text_contents())
    assert {"organic", "campaign"} <= names
    assert page.locator(".js-plotly-plot .annotation-text", has_text="Referral campaign").count() == 1
    page.get_by_text("Where this comes from").click()
    expect(page.get_by_text("How it is counted")).to_be_visible()
    assert "Owner" in page.locator(".bw-facts").inner_text()


def test_customers_words_can_be_limited_to_a_group(visit: Open) -> None:
    page = visit("kpi?kpi=nps")
    page.locator(".bw-voices li").first.wait_for()
    page.get_by_role("radio", name="Detractors").or_(page.get_by_role("button", name="Detractors")).first.click()
    page.wait_for_url(re.compile("who=detractors"))
    expect(page.locator(".bw-voices li.bw-promoters")).to_have_count(0, timeout=20_000)
    assert page.locator(".bw-voices li.bw-detractors").count() >= 8


def test_sync_now_loads_what_is_new(visit: Open, served_demo: Server) -> None:
    page = visit("data")
    page.get_by_role("button", name="Sync now").click()
    page.get_by_text(re.compile("Synced: ")).wait_for(timeout=90_000)
    assert page.get_by_text("37 rows could not be read").count() >= 1


def test_search_finds_a_synonym(visit: Open) -> None:
    page = visit("kpis?search=registrations")
    page.get_by_role("link", name="Sign-ups").wait_for()
    assert page.get_by_text("1 of 16 KPIs").is_visible()


# The pages of types each in one scheme, half in light and half in dark: they share their colours.
SCHEMES = [
    (path, scheme)
    for path in PAGES
    for i, scheme in enumerate(("light", "dark"))
    if path not in SHAPES or list(SHAPES).index(path) % 2 == i
]


@pytest.mark.breadth(2)
@pytest.mark.parametrize(("path", "scheme"), SCHEMES)
def test_a_page_fits_a_phone_and_has_no_serious_accessibility_finding(visit: Open, path: str, scheme: str) -> None:
    """Opened on a phone, then made wide: a page is drawn once for both."""
    page = visit(path, scheme=scheme, width=390, height=844)
    settled(page)
    if path in SHAPES:
        page.locator(SHAPES[path]).first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "a phone scrolls sideways"
    if path == "":
        page.locator(".card").first.wait_for()
        assert (page.locator(".st-key-filters").bounding_box() or {})["height"] <= 56, "one row"
        heights = page.locator(".card").evaluate_all("cards => cards.map(c => c.getBoundingClientRect().height)")
        assert max(heights) <= 66
    page.set_viewport_size({"width": 1440, "height": 900})
    settled(page)
    found = Axe().run(page).response["violations"]
    bad = [
        (v["id"], v["impact"], [n["html"][:160] for n in v["nodes"][:3]])
        for v in found
        if v["impact"] in ("serious", "critical")
    ]
    assert bad == []


OTHERS = ("", "kpis", "data", "alerts", "launches", "launch", "snapshots")
SLOW_GATES = [pytest.param(path, marks=pytest.mark.slow) for path in OTHERS]


@pytest.mark.breadth(1)
@pytest.mark.parametrize("path", ["kpi?kpi=orders", *SLOW_GATES])
def test_a_deep_link_opened_first_meets_the_gate(visit: Open, tmp_path: Path, path: str) -> None:
    """A fresh server whose gate says no: the very first request is a page's own address."""
    project = Builder(tmp_path / "closed")
    (project.folder / "files" / "a.csv").write_text("at,secret\n2026-11-02,5\n2026-11-03,7\n")
    project.source("- {name: t, type: files, table: t, path: files/a.csv}")
    project.write("datasets", "t", "name: t\nsource: t\ntime_dimension: at\n")
    project.kpi("orders", "dataset: t\nagg: count\nlabel: Orders of the closed project")
    assert run_cli("sync", "--project", str(project.folder)).returncode == 0
    project.settings("sign_in: true\n")
    server = Server(project.folder)
    try:
        page = visit(path, base=server.url)
        settled(page)
        assert page.inner_text("h1") == "Sign in"
        body = page.inner_text("body")
        assert "Orders" not in body and "generation" not in body.lower() and page.locator(".card").count() == 0
    finally:
        server.stop()


def test_answers_carry_security_headers_and_are_compressed(served_demo: Server) -> None:
    request = urllib.request.Request(served_demo.url + "/", headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request) as answer:
        headers = answer.headers
    assert headers["content-encoding"] == "gzip" and "frame-ancestors 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_the_readmes_screenshot_exists() -> None:
    assert (ROOT / "docs" / "images" / "overview.png").stat().st_size > 20_000


def test_an_unknown_page_says_so_and_offers_the_nearest(visit: Open) -> None:
    page = visit("launchs")
    page.wait_for_selector("h1")
    assert page.inner_text("h1") == "No page “launchs”" and not page.locator(".card").count()
    assert not page.locator("[role=dialog]").count(), "Streamlit's own words lead to the first page"
    page.get_by_role("link", name="Launches", exact=True).last.click()
    page.wait_for_url(re.compile(r"/launches$"))
    page.wait_for_selector(".bw-launch")


def test_the_first_page_is_found_by_its_name(visit: Open) -> None:
    page = visit("overview?area=Growth")
    page.locator(".card").first.wait_for()
    assert not page.locator("[role=dialog]").count()
    assert "area=Growth" in page.url
