"""Alerts in a real Chromium: from the incident to its place and an acknowledgement; a threshold that moves."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Open, settled

pytestmark = pytest.mark.breadth(2)


def shot(page: Any, name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    page.screenshot(path=str(tmp_path_factory.getbasetemp() / f"{name}.png"))


def test_three_clicks_from_the_incident_to_its_place_and_an_acknowledgement(
    visit: Open, tmp_path_factory: pytest.TempPathFactory
) -> None:
    page = visit("")
    banner = page.locator(".bw-firing")
    banner.wait_for()
    assert "Error-free sessions since" in banner.inner_text() and "android" not in banner.inner_text(), "one incident"
    shot(page, "alert_1_overview", tmp_path_factory)
    banner.get_by_role("link", name="Error-free sessions").click()  # one: the exact view
    page.wait_for_url(re.compile(r"kpi=error_free_sessions&rule=thresholds"))
    settled(page)
    own = page.locator(".st-key-alert_error_free_sessions_thresholds")
    card = own.locator(".bw-alert")
    expect(card).to_contain_text("Critical")
    expect(card).to_contain_text("expected 98.8% or more")
    expect(card).to_contain_text("Platform android accounts for 96% of the change: 99.6% → 96.0%.")
    expect(card).to_contain_text("Also fires: android (rule crashes).")
    shot(page, "alert_2_place", tmp_path_factory)
    own.get_by_role("button", name="Acknowledge").click()  # two
    expect(card).to_contain_text("Acknowledged by", timeout=20_000)
    shot(page, "alert_3_acknowledged", tmp_path_factory)
    page = visit("alerts")
    expect(page.locator(".bw-alert", has_text="Error-free sessions")).to_contain_text("Acknowledged by")
    page = visit("")
    page.locator(".bw-firing").wait_for()
    assert "Error-free" not in page.locator(".bw-firing").inner_text()


def test_the_page_has_what_fires_what_waits_and_what_was(visit: Open) -> None:
    page = visit("alerts")
    settled(page)
    assert re.fullmatch(r"\d alerts are firing", page.inner_text("h1"))
    labels = page.locator(".bw-alert .bw-chip").all_inner_texts()
    assert labels[0] == "Critical" and labels == sorted(labels), "critical first"
    expect(page.get_by_role("heading", name="Data is late")).to_be_visible()
    expect(page.locator(".bw-alert", has_text="Source support_desk")).to_have_count(1)
    expect(page.get_by_text("No one is notified yet")).to_be_visible()
    expect(page.get_by_role("heading", name="History")).to_be_visible()


def test_a_silence_takes_an_alert_out_of_the_firing_ones(visit: Open) -> None:
    page = visit("alerts")
    card = page.locator(".st-key-alert_nps_thresholds")
    card.get_by_role("button", name="Silence").click()
    page.get_by_role("button", name="1 day").click()
    expect(page.get_by_role("heading", name="Silenced")).to_be_visible(timeout=20_000)
    expect(page.locator(".bw-alert", has_text="Silenced until")).to_contain_text("NPS")


def test_a_threshold_that_moves_says_at_once_what_it_would_have_done(visit: Open) -> None:
    page = visit("kpi?kpi=p95_load_time&rule=try_limit&limit=2.4&range=365d")
    settled(page)
    would = page.locator("[data-testid=would]")
    expect(would).to_contain_text(re.compile(r"incidents? in the last 12 months"))
    before = would.inner_text()
    expect(page.locator("code", has_text='critical: "> 2.4"')).to_have_count(1, timeout=20_000)
    slider = page.locator(".st-key-limit input[type=range]")
    slider.focus()
    for _ in range(8):
        slider.press("ArrowLeft")
    expect(would).not_to_have_text(before, timeout=20_000)
    assert re.search(r"limit=[\d.]+", page.url) and "limit=2.4&" not in page.url + "&"
    page.reload()
    settled(page)
    expect(would).not_to_have_text(before, timeout=20_000)


@pytest.mark.slow
def test_an_expected_range_is_drawn_as_a_band(visit: Open) -> None:
    page = visit("kpi?kpi=daily_active_users")
    page.locator(".js-plotly-plot .legendtext", has_text="Expected").wait_for()
    page.get_by_role("tab", name="Alerts").click()
    expect(page.locator("[data-testid=would]")).to_contain_text("In the last 90 days: sensitive", timeout=20_000)
