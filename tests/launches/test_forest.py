"""The picture of a launch says what its numbers say."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.launches.board import page_of
from jobs.project.project import open_project
from metrics.catalog.types.simple import Simple
from metrics.launches.forest import rows
from metrics.launches.impact import Words
from metrics.launches.reading import Reading, ReadingResult
from metrics.launches.scorecard import KpiScore
from tests.conftest import NOW
from tests.sampling import sampled

KPI = Simple(name="k", dataset="d", agg="count")
SIZE = st.floats(-1e6, 1e6, allow_nan=False).filter(lambda x: abs(x) > 1e-6)


@sampled(fast=50, slow=500, full=5000)
@given(ends=st.lists(SIZE, min_size=3, max_size=3), wish=st.none() | SIZE, kept=st.booleans())
def test_places_are_in_the_order_of_the_numbers_and_nothing_is_the_middle(
    ends: list[float], wish: float | None, kept: bool
) -> None:
    low, effect, high = sorted(ends)
    day = date(2026, 11, 1)
    reading = Reading("k", 14 if kept else 0, day, day, Words.UP, effect=effect, low=low, high=high)
    score = KpiScore(KPI, "success", "", ReadingResult(reading))
    (row,) = rows([score], [wish], ["hoped"])
    assert row.interim and row.slug == "quiet", "a look of today is no verdict"
    numbers = [low, effect, high, *([wish] if wish is not None else [])]
    places = [row.low, row.effect, row.high, *([row.wish] if wish is not None else [])]
    assert all(place is not None and 0 <= place <= 100 for place in places)
    pairs: list[Any] = sorted(zip(numbers, places, strict=True))
    assert [place for _, place in pairs] == sorted(place for _, place in pairs)
    assert all((place - 50) * number >= 0 for number, place in pairs)
    assert max(abs(place - 50) for _, place in pairs) > 40, "the farthest end uses the room"


def test_without_a_reading_it_says_why() -> None:
    day = date(2026, 11, 1)
    score = KpiScore(KPI, "success", "", ReadingResult(Reading("k", 0, day, day, why="Too early.")))
    (row,) = rows([score], [None], [""])
    assert (row.text, row.effect, row.low, row.slug) == ("Too early.", None, None, "quiet")


@pytest.mark.parametrize("name", ["new_editor", "guided_onboarding", "mobile_onboarding"])
def test_the_demos_launches_lead_with_decision_picture_and_lights(demo_folder: Any, name: str) -> None:
    page = page_of(open_project(demo_folder), name, now=NOW)
    assert [row.name for row in page.forest] == [block.name for block in page.blocks]
    assert [light.name for light in page.lights] == [block.name for block in page.blocks if block.guard]
    for row, block in zip(page.forest, page.blocks, strict=True):
        assert row.text == "no verdict yet" or row.effect is not None or block.verdict == "no verdict yet"
        if block.slug != "quiet":
            assert row.slug == block.slug and not row.interim
    assert page.phase == "planned" or page.next_step
    assert all((said.endswith(".") and said[0].isupper()) or said[0].isalnum() for said, _ in page.headline)
    if name == "new_editor":
        assert page.adoption is not None and [w for w in page.adoption.bridge if w.startswith("New editor adoption is")]
        assert not any("Stickiness" in words for words in page.adoption.bridge)
