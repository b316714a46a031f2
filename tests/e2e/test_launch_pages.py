"""Launches in a real Chromium, as a PM: make one, see it on the chart, read an older verdict, export, decide."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Open, settled


def shot(page: Any, name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    page.screenshot(path=str(tmp_path_factory.getbasetemp() / f"{name}.png"), full_page=True)


def test_a_pm_makes_a_launch_sees_it_on_the_chart_and_reads_an_older_verdict(
    visit: Open, tmp_path_factory: pytest.TempPathFactory
) -> None:
    page = visit("launches")
    settled(page)
    expect(page.locator(".bw-launch")).to_have_count(3)
    page.get_by_text("New launch or mark").click()
    page.get_by_label("Name", exact=True).fill("Checklist on phones")
    page.get_by_label("Name", exact=True).press("Tab")
    page.get_by_label("What is it built to do?").fill("More first documents on phones.")
    page.get_by_label("What is it built to do?").press("Tab")
    settled(page)
    page.locator(".st-key-launch_success input").fill("Activation")
    page.get_by_role("option", name="Activation", exact=True).click()
    page.keyboard.press("Escape")
    page.get_by_label("Activation: expected effect").fill("+4pp")
    page.get_by_label("Activation: expected effect").press("Tab")
    settled(page)
    shot(page, "launch_1_form", tmp_path_factory)
    page.get_by_role("button", name="Save").first.click()
    page.wait_for_url(re.compile(r"/launch\?launch=checklist_on_phones"), timeout=30_000)
    settled(page)
    assert page.inner_text("h1") == "Checklist on phones"
    expect(page.locator(".bw-headline")).to_contain_text("It is too early for a verdict: 0 of 7 days are complete.")
    page = visit("kpi?kpi=activation&range=365d")
    page.locator(".js-plotly-plot .annotation-text", has_text="Checklist on phones").wait_for(timeout=30_000)
    page = visit("launch?launch=guided_onboarding")
    settled(page)
    expect(page.locator(".bw-headline")).to_contain_text(re.compile(r"Activation is up [4-6]\.\d points \("))
    first = page.locator(".bw-score").first
    first.get_by_text("Verdicts and today").click()
    for day in ("D+7", "D+14", "D+28"):
        expect(first.get_by_role("row", name=re.compile(rf"^{re.escape(day)} "))).to_contain_text("moved up by")
    expect(first.locator("tr", has_text="D+28")).to_contain_text("Published")
    shot(page, "launch_2_verdict", tmp_path_factory)


def test_a_scorecard_is_exported_and_decided_upon(visit: Open, tmp_path: Path) -> None:
    page = visit("launch?launch=new_editor")
    settled(page)
    headline = page.locator(".bw-headline")
    expect(headline).to_contain_text("Stickiness is up")
    expect(headline).to_contain_text("1 of 2 guardrails is breached: p95 load time.")
    expect(headline).to_contain_text("NPS of those who used it is")
    expect(headline).to_contain_text("below that of the others")
    for name, begins in (("Export HTML", "<!doctype html>"), ("Export Markdown", "# New editor")):
        with page.expect_download() as download:
            page.get_by_role("button", name=name).click()
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        text = path.read_text()
        assert text.startswith(begins) and "Stickiness is up" in text and "<script" not in text
    page.get_by_label("Only with this word").or_(page.get_by_placeholder("Only with this word")).first.fill("slow")
    page.keyboard.press("Enter")
    expect(page.locator(".bw-voices li").first).to_contain_text("low", timeout=20_000)
    page.get_by_role("button", name="Decide").click()
    page.get_by_label("Why").fill("Stickiness is up; speed first.")
    page.get_by_role("button", name="Save decision").click()
    expect(page.get_by_text("Stickiness is up; speed first.")).to_have_count(1, timeout=20_000)
    expect(page.locator("p b", has_text="Keep")).to_have_count(1)
