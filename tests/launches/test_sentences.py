"""What is said of a verdict: in one sentence, what changed since the one before, and of each who used it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from metrics.catalog.types.simple import Simple
from metrics.catalog.types.survey import Survey
from metrics.launches import words
from metrics.launches.page import _hoped
from metrics.launches.reading import Reading, ReadingResult
from metrics.launches.scorecard import KpiScore

DAY = date(2026, 10, 5)
RATE = Simple(name="activation", dataset="d", agg="avg", expr="v", format="percent")
COUNT = Simple(name="visits", dataset="d", agg="count")
NPS = Survey(name="nps", label="NPS", type="survey", dataset="d", score="s", delta="points", format="0")
UP = Reading(
    "activation", 28, DAY, DAY, "moved up", effect=0.046, low=0.021, high=0.071, smallest=0.025, sampling=0.021
)


@pytest.mark.parametrize(
    ("wish", "reading", "said"),
    [
        ("+4pp", UP, "Activation is up 4.6 points (+2.1 to +7.1), as hoped."),
        ("", UP, "Activation is up 4.6 points (+2.1 to +7.1)."),
        ("+9pp", UP, "Activation is up 4.6 points (+2.1 to +7.1), less than the +9 points hoped for."),
        ("+1pp", UP, "Activation is up 4.6 points (+2.1 to +7.1), more than the +1 point hoped for."),
        ("-2pp", UP, "Activation is up 4.6 points (+2.1 to +7.1), against the −2 points hoped for."),
        ("45%", replace(UP, level=0.437), "Activation is up 4.6 points (+2.1 to +7.1), below the 45% hoped for."),
        ("40%", replace(UP, level=0.437), "Activation is up 4.6 points (+2.1 to +7.1), at or above the 40% hoped for."),
        (
            "+4pp",
            replace(UP, verdict="no clear change", low=-0.01, smallest=0.031),
            "Activation shows no clear change: an effect below 3.1 points cannot be seen.",
        ),
        (
            "-2pp",
            replace(UP, verdict="moved down", effect=-0.046, low=-0.071, high=-0.021),
            "Activation is down 4.6 points (−7.1 to −2.1), more than the −2 points hoped for.",
        ),
    ],
)
def test_a_verdict_in_one_sentence(wish: str, reading: Reading, said: str) -> None:
    score = KpiScore(RATE, "success", wish, ReadingResult(reading))
    assert words.sentence(RATE, reading, _hoped(score, reading)) == said


def test_what_changed_since_the_reading_before() -> None:
    early = replace(UP, days=7, effect=0.049, smallest=0.047)
    assert words.between(RATE, early, UP) == "since D+7: +4.9 → +4.6 points, ±4.7 → ±2.5"
    assert words.between(RATE, replace(early, verdict="", effect=None), UP) == ""
    assert words.between(RATE, replace(early, relative=True), UP) == "", "shares are no points"


def test_the_effect_of_each_who_used_it_with_what_that_assumes() -> None:
    told = words.per_adopter(RATE, UP, 0.5)
    assert told == (
        "On average 50% had used it. If nobody else was touched, and both were alike before, it is +9.2 points for "
        "those who did (+4.2 to +14.2)."
    )
    assert (
        words.per_adopter(RATE, UP, 0.02)
        == words.per_adopter(RATE, UP, 0.99)
        == words.per_adopter(RATE, UP, None)
        == ""
    )
    assert words.per_adopter(RATE, replace(UP, verdict="no clear change"), 0.5) == ""


def test_what_sampling_alone_gives() -> None:
    assert words.sampling(RATE, UP) == "Sampling alone: ±2.1 points."
    few = replace(UP, sampling=2.6, floor=True)
    assert words.sampling(NPS, few) == "Sampling alone: ±2.6 points, so the interval is no narrower."
    assert words.sampling(COUNT, replace(UP, relative=True, sampling=0.031)) == "Sampling alone: ±3.1%."
    assert words.sampling(RATE, replace(UP, sampling=None)) == words.sampling(RATE, replace(UP, verdict="")) == ""
