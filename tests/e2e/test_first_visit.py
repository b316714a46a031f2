"""What a browser gets and shows from the first byte on: weight, shape, nothing that jumps, the way to each page."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError

import pytest
from playwright.sync_api import expect

from benchmarks.first_visit import SHIFTS
from tests.conftest import Server
from tests.e2e.conftest import Open, settled
from ui.shell.front import FOREVER

pytestmark = pytest.mark.breadth(6, whole=True)

PAGES = (
    "",
    "kpis",
    "kpi?kpi=sign_ups",
    "kpi?kpi=error_free_sessions&by=app_version&range=28d",
    "launches",
    "launch?launch=new_editor",
    "alerts",
    "snapshots",
    "data",
)


class Visitor:
    """A browser with an empty cache, which counts the bytes that come."""

    def __init__(self, browser: Any, url: str, width: int) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 844 if width < 600 else 900})
        self.page, self.url, self.bytes = self.context.new_page(), url, 0
        self.page.add_init_script(SHIFTS)
        network = self.context.new_cdp_session(self.page)
        network.send("Network.enable")
        network.on("Network.loadingFinished", self._came)

    def _came(self, told: dict[str, Any]) -> None:
        self.bytes += int(told["encodedDataLength"])

    def open(self, path: str) -> tuple[int, float]:
        """Bytes of the visit, and by how much its layout shifted."""
        self.bytes = 0
        self.page.goto(f"{self.url}/{path}")
        self.page.wait_for_selector("h1", timeout=60_000)
        settled(self.page)
        return self.bytes, float(self.page.evaluate("window.shifted"))


@pytest.fixture
def visitor(browser: Any, served_demo: Server) -> Iterator[Any]:
    made: list[Visitor] = []

    def make(width: int) -> Visitor:
        made.append(Visitor(browser, served_demo.url, width))
        return made[-1]

    yield make
    for one in made:
        one.context.close()


@pytest.mark.breadth(2)
@pytest.mark.parametrize(("path", "width"), [*((path, 390) for path in PAGES), ("", 1440), ("kpi?kpi=sign_ups", 1440)])
def test_nothing_jumps_and_the_weight_is_small(visitor: Any, path: str, width: int) -> None:
    one = visitor(width)
    first, shifted = one.open(path)
    again, _ = one.open(path)
    most = 1_100_000 if path in ("", "kpis") else 2_800_000
    assert first <= most and again <= 60_000, (first, again)
    assert shifted <= 0.1
    icons = one.page.locator("[data-testid=stIconMaterial]").evaluate_all(
        "icons => icons.filter(i => i.offsetParent).map(i => [i.textContent, i.offsetWidth, i.offsetHeight])"
    )
    assert [icon for icon in icons if icon[1] > 1.6 * icon[2]] == [], "an icon that ui/static/symbols.woff2 lacks"


@pytest.mark.breadth(1)
@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("kpi?kpi=nps", "[data-testid=kpi-value]"),
        ("launch?launch=new_editor", ".bw-headline"),
        ("launches", ".bw-launch"),
    ],
)
def test_what_stands_at_the_top_waits_for_no_figure(browser: Any, served_demo: Server, path: str, seen: str) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.add_init_script(SHIFTS)
    held: list[Any] = []
    page.route(re.compile(r"/PlotlyChart\."), lambda asked: held.append(asked))  # it comes when we let it
    try:
        page.goto(f"{served_demo.url}/{path}")
        page.locator(seen).first.wait_for(timeout=60_000)
        assert held and page.locator(".js-plotly-plot").count() == 0
        for request in held:
            request.continue_()
        page.unroute_all(behavior="ignoreErrors")
        page.locator(".js-plotly-plot .cartesianlayer").first.wait_for(timeout=60_000)
        settled(page)
        assert float(page.evaluate("window.shifted")) <= 0.1
    finally:
        context.close()


def test_a_font_is_kept_whatever_its_age(served_demo: Server) -> None:
    with urllib.request.urlopen(f"{served_demo.url}/app/static/inter-latin.woff2", timeout=30) as answer:
        assert answer.status == 200 and answer.headers["cache-control"] == FOREVER
    with pytest.raises(HTTPError) as gone:
        urllib.request.urlopen(f"{served_demo.url}/app/static/none.woff2", timeout=30)
    with gone.value as answer:  # it holds its connection
        assert answer.status == 404 and "max-age" not in answer.headers.get("cache-control", "")


def test_the_page_has_a_shape_before_any_script_runs(browser: Any, served_demo: Server) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1440, "height": 900})
    page = context.new_page()
    try:
        page.goto(served_demo.url)
        assert page.title() == "Bellwether"
        cards = page.locator(".bw-first .bw-grid i")
        assert cards.count() >= 12 and (cards.first.bounding_box() or {})["height"] == pytest.approx(178, abs=1)
        page.goto(f"{served_demo.url}/kpi?kpi=sign_ups")
        assert page.locator(".bw-first .bw-chart").count() == 2
    finally:
        context.close()


@pytest.mark.parametrize("accept", ["gzip", "identity"])
def test_the_first_page_is_whole_however_it_is_asked_for(served_demo: Server, accept: str) -> None:
    asked = {"Accept-Encoding": accept, "If-None-Match": '"x"', "Range": "bytes=0-10"}
    with urllib.request.urlopen(urllib.request.Request(f"{served_demo.url}/kpi", headers=asked)) as answer:
        body = answer.read()
        assert answer.status == 200 and int(answer.headers["content-length"] or len(body)) == len(body)
        if accept == "identity":
            assert b"bw-first" in body and body.rstrip().endswith(b"</html>") and b"SourceSans" not in body
        else:
            assert answer.headers["content-encoding"] == "gzip"


def test_the_way_to_a_detail_and_on_to_its_neighbours(visit: Open) -> None:
    page = visit("kpi?kpi=nps")
    settled(page)
    assert page.locator("[data-testid=stTopNavLink]").all_text_contents() == [
        "Overview",
        "KPIs",
        "Launches",
        "Alerts",
        "Snapshots",
        "Data",
    ]
    assert page.title() == "NPS · Bellwether"
    page.get_by_role("navigation", name="Breadcrumb").get_by_role("link", name="Voice").click()
    page.wait_for_url(re.compile(r"/kpis\?area=Voice"))
    expect(page.locator("h1")).to_have_text("Voice", timeout=30_000)
    page.get_by_role("link", name="NPS").first.click()
    page.wait_for_url(re.compile("kpi=nps"))
    page.get_by_role("link", name=re.compile("^(Previous|Next): ")).first.click()
    page.wait_for_url(re.compile("kpi=(?!nps)"))
    expect(page).to_have_title(re.compile("^(?!NPS).+ · Bellwether$"), timeout=30_000)


def test_number_status_sentence_and_chart_are_on_the_first_screen(visit: Open) -> None:
    page = visit("kpi?kpi=sign_ups")
    page.locator(".js-plotly-plot .cartesianlayer").wait_for()
    settled(page)
    plot = page.locator(".js-plotly-plot .nsewdrag").first  # what the pointer can be over: the plot without its axes
    assert (page.get_by_test_id("kpi-value").bounding_box() or {})["y"] < 250
    box = plot.bounding_box() or {}
    assert box["y"] + box["height"] <= 575
    assert page.locator("[data-testid=stDataFrame]").count() == 1
    page.get_by_role("tab", name="Definition").click()
    page.get_by_text("name: sign_ups").first.wait_for()
    page.get_by_role("tab", name="Where this comes from").click()
    page.get_by_text("How it is counted").wait_for()
    assert page.get_by_text("SELECT").first.is_visible() is False, "SQL is folded"


def test_the_demos_questions_are_answered_by_one_click(visit: Open) -> None:
    page = visit("")
    page.get_by_role("link", name="Did the new editor pay off?").click()
    page.wait_for_url(re.compile("launch=new_editor"))
    page.locator("[data-testid=forest] li").nth(3).wait_for(timeout=30_000)
    assert "verdict" in page.inner_text("body")
    page = visit("")
    page.get_by_role("link", name="What broke on Android?").click()
    page.wait_for_url(re.compile("kpi=error_free_sessions"))
    page.get_by_text(re.compile("android accounts for", re.IGNORECASE)).first.wait_for(timeout=30_000)


@pytest.mark.slow
def test_the_three_paths_by_keyboard_alone(visit: Open) -> None:
    """PM: overview → card → launch; analyst: KPIs → definition; exec: snapshot."""
    page = visit("")
    settled(page)
    _tab_to(page, "Did the new editor pay off?")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("launch=new_editor"))
    page = visit("kpi?kpi=sign_ups")
    settled(page)
    _tab_to(page, "Values")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.get_by_text("name: sign_ups").first.wait_for()
    page = visit("")
    settled(page)
    _tab_to(page, "Snapshots")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/snapshots"))


def _tab_to(page: Any, words: str, most: int = 60) -> None:
    for _ in range(most):
        page.keyboard.press("Tab")
        if words in str(page.evaluate("document.activeElement.innerText || ''"))[:80].split("\n")[0]:
            return
    pytest.fail(f"{words} is not reached by Tab")
