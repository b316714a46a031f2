"""Numbers, changes, statuses and sentences as people read them."""

from __future__ import annotations

import math
import re
from datetime import date
from typing import Any

import pandas as pd
import pytest

from metrics.catalog.targets import target_at
from metrics.catalog.types.simple import Simple
from metrics.kpi_views.card import good_or_bad
from metrics.kpi_views.status import LABELS, status_of
from metrics.presentation import format as fmt
from metrics.presentation.sparkline import sparkline
from tests.conftest import ROOT


def kpi(**keys: Any) -> Simple:
    return Simple.model_validate({"name": "x", "dataset": "d", "agg": "count", **keys})


@pytest.mark.parametrize(
    ("format_", "value", "text"),
    [
        ("percent", 0.4123, "41.2%"),
        ("0.0%", 0.085, "8.5%"),
        ("0%", 0.085, "8%"),
        ("#,##0", 10512.4, "10,512"),
        ("currency USD", 64_700, "$64,700"),
        ("currency EUR", 9.5, "€9.50"),
        ("duration", 2.74, "2.74 s"),
        ("duration", 0.35, "350 ms"),
        ("duration", 750, "12.5 min"),
        ("number", 3.14159, "3.14"),
        ("number", -3, "−3"),
        ("number", 12.1 + 25.9 - 1e-14, "38"),  # added up in another order
        ("number", 38.004, "38.00"),
        ("0.0 pts", 4.25, "4.2 pts"),
        ("number", math.nan, "–"),
    ],
)
def test_values(format_: str, value: float, text: str) -> None:
    assert fmt.value_text(value, kpi(format=format_)) == text


def test_large_amounts_are_short_on_cards() -> None:
    assert fmt.value_text(64_700, kpi(format="currency USD"), compact=True) == "$64.7k"
    assert fmt.value_text(16_157, kpi(format="#,##0"), compact=True) == "16,157"
    assert fmt.value_text(1_234_567, kpi(), compact=True) == "1.2m"


def test_rates_change_in_points_and_counts_in_percent() -> None:
    assert fmt.change_text(0.4, 0.412, kpi(format="percent")) == "−1.2 points"
    assert fmt.change_text(103.4, 100, kpi()) == "+3.4%"
    assert fmt.change_text(8, 10, kpi(delta="points")) == "−2.0 points"
    assert fmt.change_text(math.nan, 1, kpi()) == fmt.change_text(1, None, kpi()) == ""
    assert fmt.gap_text(0.984, 0.992, kpi(format="percent")) == "0.8 points under target"
    assert fmt.gap_text(110, 100, kpi()) == "10.0% over target"
    assert fmt.gap_text(2.65, 2.2, kpi(format="duration")) == "0.4 s over target"


def test_colours_follow_meaning_not_sign() -> None:
    assert good_or_bad(1.1, 1, kpi()) == "good"
    assert good_or_bad(1.1, 1, kpi(direction="down_is_good")) == "bad"
    assert good_or_bad(1.1, 1, kpi(direction="neutral")) == good_or_bad(1, 1, kpi()) == "neutral"
    assert [good_or_bad(*sides, kpi()) for sides in ((-50, -100), (10, 0), (-75, -50))] == ["good", "good", "bad"]


@pytest.mark.parametrize(
    ("before", "value", "text"),
    [
        (-100, -50, "from −$100.00 to −$50.00"),
        (100, -50, "from $100.00 to −$50.00"),
        (-100, 50, "from −$100.00 to $50.00"),
        (0, 10, "from $0.00 to $10.00"),
        (100, 0, "−100.0%"),
        (100, 150, "+50.0%"),
    ],
)
def test_a_percentage_is_said_only_where_it_means_something(before: float, value: float, text: str) -> None:
    assert fmt.change_text(value, before, kpi(format="currency USD")) == text


def test_a_gap_to_a_target_below_zero_is_told_in_its_unit() -> None:
    assert fmt.gap_text(-120, -100, kpi()) == "20 under target"
    assert fmt.gap_text(-20, 100, kpi()) == "120 under target"


@pytest.mark.parametrize(
    ("value", "slug"), [(0.42, "on_track"), (0.40, "on_track"), (0.399, "at_risk"), (0.36, "off_track")]
)
def test_status_from_thresholds(value: float, slug: str) -> None:
    item = kpi(format="percent", thresholds={"warning": "< 40%", "critical": "< 37%"})
    assert status_of(item, value, 0.40).slug == slug


def test_status_from_target_and_without_and_late() -> None:
    assert status_of(kpi(), 100, 100).slug == "on_track"  # on target is on track
    assert status_of(kpi(), 99, 100).slug == "off_track"
    assert status_of(kpi(direction="down_is_good"), 99, 100).slug == "on_track"
    assert status_of(kpi(), 99, None).slug == "no_target"
    assert status_of(kpi(), None, 100).slug == "waiting_for_data"
    assert status_of(kpi(), 99, 100, ["late"]).slug == "waiting_for_data"


def test_thresholds_relative_to_a_target() -> None:
    item = kpi(thresholds={"warning": "< -5% of target", "critical": "< -10% of target"})
    assert [status_of(item, v, 100).slug for v in (96, 94, 89)] == ["on_track", "at_risk", "off_track"]
    assert [status_of(item, v, -100).slug for v in (-95, -104, -106, -111)] == ["on_track"] * 2 + [
        "at_risk",
        "off_track",
    ]


def test_a_target_path_is_linear_and_holds_its_ends() -> None:
    item = kpi(targets=[{"path": {"2026-W01": 100, "2026-W03": 200}}])
    days = ["2025-12-01", "2025-12-29", "2026-01-05", "2026-01-12", "2026-06-01"]
    assert [target_at(item, pd.Timestamp(d), "day") for d in days] == [100, 100, 150, 200, 200]


def test_periods() -> None:
    assert fmt.period_text(pd.Timestamp("2026-11-16"), "week") == "16–22 Nov"
    assert fmt.period_text(pd.Timestamp("2020-04-20"), "week", 2026) == "20–26 Apr 2020"
    assert fmt.period_text(pd.Timestamp("2026-10-26"), "week") == "26 Oct – 1 Nov"
    assert fmt.period_text(pd.Timestamp("2026-10-01"), "month") == "October 2026"
    assert fmt.period_text(pd.Timestamp("2026-10-01"), "quarter") == "Q4 2026"


def test_a_sparkline_has_gaps_where_values_are_unknown() -> None:
    drawn = sparkline([1, 2, math.nan, 3], 2.0, "words")
    assert drawn.line.count("M") == 2 and drawn.target_y is not None
    assert sparkline([math.nan], None, "words").line == ""


@pytest.mark.parametrize("this_year", [0, 2019, 2020, 2021])
@pytest.mark.parametrize("first_weekday", range(7))
def test_a_week_over_new_year_names_both_years(first_weekday: int, this_year: int) -> None:
    for start in pd.date_range("2015-01-01", "2027-12-31", freq="D"):
        last = start + pd.Timedelta(days=6)
        if start.weekday() != first_weekday:
            continue
        text = fmt.period_text(start, "week", this_year)
        years = re.findall(r"\b20\d\d\b", text)
        if start.year != last.year:
            assert years == [f"{start.year}", f"{last.year}"], text
        else:
            assert years == ([] if start.year == this_year else [f"{start.year}"]), text


def test_several_days_over_new_year_have_their_years() -> None:
    assert fmt.days_text([date(2020, 12, 25), date(2020, 12, 26)]) == ["25 Dec", "26 Dec"]
    assert fmt.days_text([date(2020, 12, 25), date(2021, 1, 1)]) == ["25 Dec 2020", "1 Jan 2021"]


FORMS = "metrics/snapshots/formats/forms"


@pytest.mark.parametrize(
    "form", ["ui/shell/theme.css", "ui/kpi/component/cards.css", f"{FORMS}/common.typ", f"{FORMS}/sheet.css"]
)
def test_every_status_has_its_colour_in_every_form(form: str) -> None:
    """A PDF with a status that its form does not know is an error; a page would show it without a colour."""
    words = set(re.findall(r"[a-z]+(?:_[a-z]+)*", (ROOT / form).read_text()))
    assert {*LABELS} - words == set()
