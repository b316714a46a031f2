"""Adoption against counting by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from tests.conftest import Builder
from tests.launches.conftest import card, launch

NOW = datetime(2026, 11, 9, 3, tzinfo=UTC)
ROWS = [  # user, at, platform, what
    ("ann", "2026-10-30", "web", "new"),
    ("ann", "2026-11-02", "web", "old"),
    ("ann", "2026-11-02 13:00", "web", "new"),
    ("ann", "2026-11-05", "ios", "new"),  # tried on her first day since launch, came back
    ("bob", "2026-11-02", "web", "old"),
    ("bob", "2026-11-06", "web", "new"),  # four days later
    ("cat", "2026-11-03", "ios", "old"),  # never
    ("dan", "2026-11-08", "ios", "new"),  # on the last day
    ("eve", "2026-10-20", "web", "new"),  # not seen since launch
    ("fay", "2026-11-04", "android", "new"),  # not of the audience
]


def product(project: Builder, more: str) -> None:
    frame = pd.DataFrame([{"who": w, "at": pd.Timestamp(at), "platform": p, "what": x} for w, at, p, x in ROWS])
    project.rows("acts", frame, entity="who", dimensions="[platform, what]", watermark="whole_days")
    project.kpi("acted", "dataset: acts\nagg: count")
    launch(project, f"on: 2026-11-02\nsuccess: [{{kpi: acted}}]\n{more}")
    project.sync(NOW)


def test_shares_of_the_audience_by_hand(project: Builder) -> None:
    product(project, "audience: platform != 'android'\nadoption: {dataset: acts, used: what = 'new'}")
    found = card(project, NOW).adoption
    assert found is not None
    assert (found.audience, found.used, found.again) == (4, 3, 1)
    assert found.share == pytest.approx(3 / 4)
    curve = {f"{day:%d}": share for day, share in found.curve}
    assert curve == {"02": 1 / 2, "03": 1 / 3, "04": 1 / 3, "05": 1 / 3, "06": 2 / 3, "07": 2 / 3, "08": 3 / 4}
    within = {s.name: (s.used, s.of) for s in found.within}
    assert within == {"D1": (2, 4), "D7": (2, 2), "D28": (0, 0)}, "only of those who are there that long"
    by = dict(found.segments)
    assert {s.name: (s.used, s.of) for s in by["platform"]} == {"web": (2, 2), "ios": (1, 2)}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("", "The launch does not say how using it is seen"),
        (
            "audience: platform = 'tv'\nadoption: {dataset: acts, used: what = 'new'}",
            "The audience is empty: no row of acts since 2 Nov is of it.",
        ),
    ],
)
def test_without_adoption_it_says_why(project: Builder, more: str, words: str) -> None:
    product(project, more)
    found = card(project, NOW)
    assert found.adoption is None and found.adoption_why.startswith(words)


def test_readiness_sees_whether_tracking_is_there(project: Builder) -> None:
    product(project, "adoption: {dataset: acts, used: what = 'neww'}")
    states = {check.words: check.state for check in card(project, NOW).readiness}
    assert states["No usage in the data yet: no row of acts matches `what = 'neww'`."] == "missing"


@pytest.mark.breadth(3)
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("adoption: {dataset: act, used: what = 'new'}", "unknown dataset 'act'"),
        ("adoption: {dataset: acts, used: count(*) > 1}", "a condition on rows has no aggregate"),
        ("audience: platform =", "cannot be parsed"),
        ("control: platform = 'web' OR what = 'new'", "does not name segments of one dimension"),
        ("control: nonsense", "unknown KPI 'nonsense'"),
        ("controls: [platform = 'ios', nonsense]", "unknown KPI 'nonsense'"),
        ("control: platform = 'ios'\ncontrols: [platform = 'web']", "write either `control` or `controls`"),
        ("audience: platform = 'web'\ncontrol: platform != 'ios'", "has web of the audience"),
        ("audience: platform != 'web'\ncontrols: [platform != 'ios']", "has segments that neither of them names"),
        ("control: acted", "'acted' is judged by this launch"),
        ("guardrails: [{kpi: acted, limit: '2 or so'}]", "is not a threshold"),
        ("guardrails: [{kpi: actd}]", "Did you mean 'acted'?"),
        ("success: [{kpi: acted, expect: much}]", "'much' is no effect"),
        ("until: 2026-10-01", "before it starts on"),
        ("rollout: [{on: 2026-11-09}, {on: 2026-11-02}]\non:", "not in the order of their days"),
        ("feedback: voice", "unknown KPI 'voice'"),
    ],
)
def test_what_is_wrong_with_a_launch_is_told_with_its_line(project: Builder, text: str, told: str) -> None:
    frame = pd.DataFrame([{"who": "a", "at": pd.Timestamp("2026-11-01"), "platform": "web", "what": "new"}])
    project.rows("acts", frame, entity="who", dimensions="[platform, what]")
    project.kpi("acted", "dataset: acts\nagg: count")
    project.sync(NOW)
    start = "" if text.endswith("\non:") else "on: 2026-11-02\n"
    body = "" if text.startswith("success") else "success: [{kpi: acted}]\n"
    project.write("launches", "wizard", f"name: wizard\n{start}{body}{text.removesuffix('on:')}\n")
    problems = [p for p in project.open().catalogue().problems if p.level == "error"]
    assert len(problems) == 1 and problems[0].file.endswith("launches/wizard.yml") and problems[0].line >= 1
    assert told in f"{problems[0].message} {problems[0].hint}"
