"""Changes have the sign of the difference, wherever they are computed or told; none is made up against zero."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.alerts.replay import replay
from metrics.engine.periods import known_complete
from metrics.kpi_views.card import card
from metrics.kpi_views.kpi_page import kpi_page
from metrics.snapshots.comparing import compared
from metrics.transforms.percent_change import percent_change, relative_change
from tests.conftest import Builder, known, run_cli
from tests.sampling import sampled
from tests.snapshots.conftest import take

pytestmark = pytest.mark.breadth(6)

FIRST = pd.Timestamp("2026-01-05")  # a Monday
VALUES = [-100.0, -50.0, -75.0, 0.0, 10.0, -5.0]
CHANGES = [math.nan, 0.5, -0.5, 1.0, math.nan, -1.5]
WORDS = ["–", "from −100 to −50", "from −50 to −75", "from −75 to 0", "from 0 to 10", "from 10 to −5"]
NOW = datetime(2026, 2, 16, 4, tzinfo=UTC)
numbers = st.integers(-(10**9), 10**9).map(lambda cents: cents / 100) | st.sampled_from([0.0, -1.0, 1.0, math.nan])


def net(project: Builder, values: list[float], kpi: str = "", now: datetime = NOW) -> Builder:
    """One row a week, of whole weeks: it is observed to the end of the last."""
    weeks = [FIRST + pd.Timedelta(weeks=i) for i in range(len(values))]
    rows = [{"at": at, "v": v, "part": "a"} for at, v in zip(weeks, values, strict=True)]
    rows += [{"at": weeks[-1] + pd.Timedelta(days=6), "v": 0.0, "part": "a"}]
    project.rows("flows", pd.DataFrame(rows), dimensions="[part]", watermark="whole_days")
    project.kpi("net", f"dataset: flows\nagg: sum\nexpr: v\ngrain: week\n{kpi}")
    project.sync(now)
    return project


@sampled(fast=200, slow=500, full=3000)
@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=20))
def test_a_relative_change_has_the_sign_of_the_difference(pairs: list[tuple[float, float]]) -> None:
    value, base = (np.array(side) for side in zip(*pairs, strict=True))
    for now, then, found in zip(value, base, relative_change(value, base), strict=True):
        if math.isnan(now) or math.isnan(then) or then == 0:
            assert math.isnan(found)
        else:
            assert np.sign(found) == np.sign(now - then) and abs(found) * abs(then) == pytest.approx(abs(now - then))
            assert found == relative_change(now, then)
    pd.testing.assert_series_equal(
        percent_change(pd.Series(value)), pd.Series(relative_change(value, np.append(np.nan, value[:-1])))
    )


@pytest.mark.parametrize("by", [None, "part"])
@pytest.mark.parametrize("how", ["previous_period", "previous_range"])
def test_a_comparison_has_the_sign_of_the_difference(project: Builder, how: Any, by: str | None) -> None:
    frame = net(project, VALUES).ask("net", compare="previous_period", by=by).frame
    assert list(frame["change"]) == pytest.approx(CHANGES, nan_ok=True)
    assert list(frame["difference"])[1:] == [50, -25, 75, 10, -15]
    one = project.ask("net", start=date(2026, 1, 12), end=date(2026, 1, 19), compare=how, by=by).frame
    assert list(one["change"]) == [0.5]
    total = project.ask(
        "net", start=date(2026, 1, 19), end=date(2026, 1, 26), compare="previous_range", grain="total", by=by
    ).frame
    assert list(total["change"]) == [-0.5]


def test_percent_change_and_a_comparison_agree(project: Builder) -> None:
    net(project, VALUES, "transforms: [{percent_change: {periods: 1, as: growth}}]")
    frame = project.ask("net", compare="previous_period").frame
    assert list(frame["growth"]) == pytest.approx(list(frame["change"]), nan_ok=True)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_card_page_and_snapshot_say_from_where_a_percentage_means_nothing(project: Builder, count: int) -> None:
    now = (FIRST + pd.Timedelta(weeks=count, hours=4)).to_pydatetime().replace(tzinfo=UTC)
    net(project, VALUES[:count], "owner: ana@example.com", now)
    context = project.open().context(now)
    words, good = WORDS[count - 1], VALUES[count - 1] > VALUES[count - 2]
    own = card(context, "net")
    assert (own.change, own.change_is) == (words, "good" if good else "bad")
    page = kpi_page(context, "net", compare="previous_range", range_="all")
    assert (page.card.change, page.card.change_is) == (own.change, own.change_is)
    line = known(take(project, now=now).line("net"))
    assert (line.change_text, line.change_is) == (words, own.change_is) and f", {words} vs the week before" in (
        line.sentence
    )
    assert line.change == (None if math.isnan(CHANGES[count - 1]) else CHANGES[count - 1])
    shown = run_cli("snapshot", "show", "--project", str(project.folder), check=True)
    assert words in shown.stdout


def test_the_pages_table_and_two_weeks_side_by_side_say_it_too(project: Builder) -> None:
    net(project, VALUES)
    page = kpi_page(project.open().context(NOW), "net", compare="previous_range", range_="28d")
    assert list(page.table["Change"]) == ["from −50 to −5", "from −100 to 10", "–", "–"]
    earlier, later = take(project, "2026-W02", now=NOW), take(project, "2026-W03", now=NOW)
    assert [pair.change for pair in compared(earlier, later)] == ["from −100 to −50"]


def test_the_running_period_says_it_too(project: Builder) -> None:
    net(project, [*VALUES[:2], -75.0], now=datetime(2026, 1, 22, 4, tzinfo=UTC))
    page = kpi_page(project.open().context(datetime(2026, 1, 22, 4, tzinfo=UTC)), "net")
    assert "(from −50 to −75)" in page.so_far


@pytest.mark.parametrize(("limit", "fires"), [("< -20%", [2, 5]), ("> 20%", [1, 3])])
def test_a_rule_judges_by_the_sign_of_the_difference(project: Builder, limit: str, fires: list[int]) -> None:
    rule = f'{{name: move, compare: previous_period, thresholds: {{critical: "{limit}"}}}}'
    net(project, VALUES, f"alerts: [{rule}]")
    rows = replay(project.open(), "net")
    opened = [r for r in rows if r["event"] == "opened"]
    assert [(pd.Timestamp(r["period"]) - FIRST).days // 7 for r in opened] == fires
    bound = VALUES[fires[0] - 1] + abs(VALUES[fires[0] - 1]) * (-0.2 if limit.startswith("<") else 0.2)
    assert bound in opened[0]["expected"]


def test_a_rule_of_shares_neither_opens_nor_closes_against_zero(project: Builder) -> None:
    rule = '{name: move, compare: previous_period, thresholds: {critical: "< -20%"}}'
    net(project, [100.0, 0.0, 50.0, 50.0, 50.0], f"alerts: [{rule}]")
    events = [((pd.Timestamp(r["period"]) - FIRST).days // 7, r["event"]) for r in replay(project.open(), "net")]
    assert (1, "opened") in events and (2, "resolved") not in events and (3, "resolved") in events


def test_a_target_of_zero_can_be_missed(project: Builder) -> None:
    net(
        project, [0.0, 3.0, 0.0], "direction: down_is_good\ntargets: [{value: 0}]\nalerts: [{name: t, compare: target}]"
    )
    events = [((pd.Timestamp(r["period"]) - FIRST).days // 7, r["event"]) for r in replay(project.open(), "net")]
    assert events == [(1, "opened"), (2, "resolved")]


def test_a_total_has_no_change_against_a_range_that_was_not_observed(project: Builder) -> None:
    asked: dict[str, Any] = {"end": date(2026, 1, 26), "compare": "previous_range", "grain": "total"}
    row = net(project, VALUES).ask("net", start=date(2026, 1, 12), **asked).frame.iloc[0]
    assert row["value"] == -125 and pd.isna(row["change"]) and pd.isna(row["difference"])


@pytest.mark.parametrize("joined", [[True, False, None], [math.nan, math.nan], [True, True], [pd.NaT], []])
def test_a_period_that_a_join_left_without_is_not_complete(joined: list[Any]) -> None:
    """In whatever type the column is then, without a warning of what pandas will refuse."""
    found = known_complete(pd.Series(joined))
    assert found.dtype == bool
    assert found.tolist() == [one is True for one in joined]
