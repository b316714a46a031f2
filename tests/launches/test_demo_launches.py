"""The story of the demo, read by its scorecards."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from jobs.alerts.incidents import read_state
from jobs.demo import MARKS
from jobs.launches.board import board, page_of
from jobs.launches.scorecards import card_of, read_again
from jobs.project.project import Project, open_project
from tests.conftest import NOW, ROOT, copied_demo, known


@pytest.fixture(scope="module")
def demo(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("launches") / "demo"
    copied_demo(demo_folder, folder)
    return open_project(folder)


def test_guided_onboarding_moved_activation_up_with_mobile_as_its_control(demo: Project) -> None:
    card = card_of(demo, "guided_onboarding", now=NOW)
    activation = card.scores[0]
    assert [k.reading.days for k in activation.kept] == [7, 14, 28] and card.phase == "read"
    for item in activation.kept:
        reading = item.reading
        assert reading.verdict == "moved up" and reading.control == "platform other than web"
        assert known(reading.low) < 0.05 < known(reading.high), "the true five points"
        assert "directional" not in reading.badges and "uncalibrated" not in reading.badges
    notes = " ".join(activation.kept[-1].reading.notes)
    assert "Activation was redefined on 13 Oct 2026" in notes
    page = page_of(demo, "guided_onboarding", now=NOW)
    assert re.match(
        r"Activation is up [4-6]\.\d points \(\+\d\.\d to \+\d\.\d\), (as|more than .*) hoped", page.summary
    )
    rows = page.blocks[0].readings
    assert not rows[0].between and re.match(r"since D\+7: \+\d\.\d+ → ", rows[1].between) and " → ±" in rows[2].between


def test_the_new_editor_is_a_decision_to_take(demo: Project) -> None:
    card = card_of(demo, "new_editor", now=NOW)
    by = {score.kpi.name: score for score in card.scores}
    assert by["stickiness"].kept[-1].reading.verdict == "moved up"
    early = by["stickiness"].kept[0].reading
    assert (early.days, early.verdict, early.why) == (7, "", "No whole week in the 7 days since launch.")
    p95 = by["p95_load_time"].guard
    assert p95 is not None and p95.holds is False and f"{p95.since:%Y-%m-%d}" == "2026-11-18"
    assert card.voice is not None and card.voice.apart is not None
    assert card.voice.apart.words == "moved down" and known(card.voice.apart.low) < -6 < known(card.voice.apart.high)
    assert card.adoption is not None and card.adoption.used > 3000
    page = page_of(demo, "new_editor", now=NOW)
    assert "1 of 2 guardrails is breached: p95 load time." in page.summary
    assert "NPS of those who used it is" in page.summary and "below that of the others" in page.summary


def test_every_verdict_of_the_demo_is_read_again_identically(demo: Project) -> None:
    for name in ("guided_onboarding", "new_editor"):
        rows = read_again(demo, name, now=NOW)
        assert rows and all(row["identical"] for row in rows), rows


def test_the_board_has_one_running_one_planned_one_read(demo: Project) -> None:
    found = board(demo, now=NOW)
    assert [i.title for i in found.running] == ["New editor"]
    assert [i.title for i in found.planned] == ["Mobile onboarding"]
    assert [i.title for i in found.read] == ["Guided onboarding"]
    assert {light.title: light.slug for light in found.running[0].lights} == {"p95 load time": "bad", "NPS": "good"}
    assert found.headline.endswith("1 with a guardrail breached. 2 with a verdict and no decision.")


def test_the_demos_dated_launches_stay_out_of_git() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert [name for name in MARKS if f"/metrics/definitions/launches/{name}.yml" not in ignored] == []


def test_no_incident_is_older_than_the_launch_that_its_kpi_is_judged_from(demo: Project) -> None:
    catalogue, found = demo.catalogue(), read_state(demo, now=NOW)
    told = [item for item in found.history if item.kpi]
    for item in told:
        limits = catalogue.kpi(item.kpi).thresholds
        named = limits.since if limits else None
        launch = catalogue.launch(named) if isinstance(named, str) else catalogue.launch_of(item.kpi)
        assert launch is None or pd.Timestamp(item.opened_period) >= pd.Timestamp(launch.starts_on), item
    grown = [item for item in told if item.kpi in ("new_mrr", "weekly_active_users")]
    assert all(pd.Timestamp(item.opened_period) >= pd.Timestamp("2026-08-01") for item in grown), (
        "not of the year when the app was small"
    )
    assert {item.kpi for item in told} >= {"new_editor_adoption", "p95_load_time", "nps"}
    assert [item.segment for item in found.open if item.kpi == "error_free_sessions"] == [""], "android is part of it"
