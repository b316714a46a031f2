"""A KPI against its target: by complete periods of the target's grain, from its beginning on; pages and rules alike."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from jobs.alerts.replay import replay
from metrics.kpi_views.card import Card, card
from metrics.kpi_views.kpi_page import kpi_page
from tests.conftest import Builder

pytestmark = pytest.mark.breadth(6)

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
KPI = "dataset: events\nagg: sum\nexpr: v\ngrain: day\nformat: number\n"
LAUNCH = "name: editor\nlabel: New editor\non: 2026-11-04\nsuccess: [{kpi: k}]\n"


def make(project: Builder, values: dict[str, float], keys: str, *, launches: str = "", kpi: str = KPI) -> None:
    frame = pd.DataFrame({"at": [pd.Timestamp(day) + pd.Timedelta(hours=9) for day in values], "v": values.values()})
    project.rows("events", frame, watermark="whole_days")
    project.kpi("k", kpi + keys)
    if launches:
        project.write("launches", launches.split("\n")[0].removeprefix("name: "), launches)
    project.sync(NOW)


def days(first: str, last: str, value: float) -> dict[str, float]:
    return {f"{day:%Y-%m-%d}": value for day in pd.date_range(first, last)}


def shown(project: Builder) -> Card:
    return card(project.open().context(NOW), "k")


def opened(project: Builder, **options: Any) -> list[str]:
    return [r["period"] for r in replay(project.open(), "k", **options) if r["event"] == "opened"]


MONTHS = {**days("2026-08-01", "2026-10-31", 10.0), **days("2026-11-01", "2026-11-22", 1.0)}


@pytest.mark.breadth(1)
@pytest.mark.parametrize("target", ["value: 330", "path: {2026-08: 200, 2026-10: 330}, between: step"])
def test_a_target_by_month_is_held_against_months(project: Builder, target: str) -> None:
    rule = "alerts: [{name: missed, compare: target, thresholds: {critical: '< -5%'}}]"
    make(project, MONTHS, f"targets: [{{grain: month, {target}}}]\n{rule}")
    found = shown(project)
    assert (found.target, found.gap) == ("Target 330 (October 2026)", "6.1% under target (October 2026)")
    assert (found.status.slug, found.status.why) == ("off_track", "October 2026: 6.1% under target.")
    assert found.spark.target_y is None, "a month's number is no line among days"
    wanted = ["2026-10-01"] if "path" in target else ["2026-08-01"]
    assert opened(project) == wanted, "whole months, of which November is none yet"
    assert {r["period"][-3:] for r in replay(project.open(), "k")} == {"-01"}
    by_day, by_month = (kpi_page(project.open().context(NOW), "k", grain=g, range_="all") for g in ("day", "month"))
    assert by_day.chart.target is None
    assert by_month.chart.target is not None and by_month.chart.target[1][2] == 330


def test_thresholds_of_a_months_target_are_of_months(project: Builder) -> None:
    limits = 'thresholds: {warning: "< 0% of target", critical: "< -10% of target"}'
    make(project, MONTHS, f"targets: [{{grain: month, value: 330}}]\n{limits}")
    found = shown(project)
    assert (found.status.slug, found.status.why) == ("at_risk", "October 2026: 310 is below 330.")
    assert opened(project) == ["2026-08-01"]


def test_thresholds_of_values_stay_those_of_days(project: Builder) -> None:
    make(project, MONTHS, 'targets: [{grain: month, value: 330}]\nthresholds: {critical: "< 0.5"}')
    found = shown(project)
    assert (found.status.slug, found.status.why) == ("on_track", "Within its thresholds.")
    assert found.gap == "6.1% under target (October 2026)"


def test_without_a_complete_month_there_is_nothing_to_hold_against(project: Builder) -> None:
    make(project, days("2026-11-05", "2026-11-22", 1.0), "targets: [{grain: month, value: 330}]")
    assert (shown(project).status.slug, shown(project).target) == ("no_target", "")
    assert "No complete month" in shown(project).status.why


def test_the_target_of_home_goes_before_one_of_months(project: Builder) -> None:
    make(project, MONTHS, "targets: [{grain: month, value: 330}, {value: 1}]")
    assert (shown(project).status.slug, shown(project).target) == ("on_track", "Target 1")


GROWN = {**days("2026-10-01", "2026-11-07", 5.0), **days("2026-11-08", "2026-11-22", 20.0)}
LIMITS = [
    'thresholds: {critical: "< 10"}',
    "targets: [{value: 10}]\nalerts: [{name: missed, compare: target}]",
    'alerts: [{name: low, thresholds: {critical: "< 10"}}]',
]


@pytest.mark.parametrize("limits", LIMITS)
def test_nothing_fires_before_the_launch_that_a_kpi_belongs_to(project: Builder, limits: str) -> None:
    make(project, GROWN, limits, launches=LAUNCH)
    assert opened(project) == ["2026-11-04"]


@pytest.mark.parametrize("limits", LIMITS)
def test_without_a_launch_a_kpi_is_judged_from_its_first_full_period(project: Builder, limits: str) -> None:
    make(project, GROWN, limits)
    assert opened(project) == ["2026-10-01"]


STATED = [
    'thresholds: {critical: "< 10", since: 2026-11-02}',
    "targets: [{value: 10, since: 2026-11-02}]\nalerts: [{name: missed, compare: target}]",
    'alerts: [{name: low, thresholds: {critical: "< 10"}, since: 2026-11-02}]',
]


@pytest.mark.parametrize("limits", STATED)
def test_what_the_file_says_goes_before_the_launch(project: Builder, limits: str) -> None:
    make(project, GROWN, limits)
    assert opened(project) == ["2026-11-02"]


@pytest.mark.parametrize("limits", [text.replace("2026-11-02", "later") for text in STATED])
def test_the_file_may_name_another_launch(project: Builder, limits: str) -> None:
    project.write("launches", "later", "name: later\nlabel: Later\non: 2026-11-06\nkind: campaign\n")
    make(project, GROWN, limits, launches=LAUNCH)
    assert opened(project) == ["2026-11-06"]


@pytest.mark.parametrize("wrong", [False, True])
def test_with_a_launch_that_is_not_there_nothing_has_begun(project: Builder, wrong: bool) -> None:
    if wrong:
        project.write("launches", "later", "name: later\non: 2026-11-31\n")
    make(project, GROWN, STATED[0].replace("2026-11-02", "later"))
    found = shown(project)
    assert "with a launch that is not there; `kpi validate` says which" in found.status.why
    assert found.value != "–" and opened(project) == []


def test_a_rule_against_a_target_begins_with_the_later_of_both(project: Builder) -> None:
    rule = "alerts: [{name: missed, compare: target, since: 2026-10-20}]"
    make(project, GROWN, f"targets: [{{value: 10, since: 2026-11-02}}]\n{rule}")
    assert opened(project) == ["2026-11-02"]


@pytest.mark.parametrize(
    ("launches", "opens"),
    [
        ("name: a\non: 2026-11-04\nguardrails: [{kpi: k, limit: '> 1'}]\n", "2026-11-04"),
        ("name: a\nrollout: [{on: 2026-11-05, share: 0.1}, {on: 2026-11-09}]\nsuccess: [{kpi: k}]\n", "2026-11-05"),
        ("name: a\non: 2026-11-04\nkpis: [k]\n", "2026-10-01"),
        ("name: a\non: 2026-11-04\nkind: campaign\nsuccess: [{kpi: k}]\n", "2026-10-01"),
    ],
)
def test_which_launch_a_kpi_belongs_to(project: Builder, launches: str, opens: str) -> None:
    make(project, GROWN, LIMITS[0], launches=launches)
    if opens > "2026-11":
        project.write("launches", "later", "name: later\non: 2026-11-20\nsuccess: [{kpi: k}]\n")
    assert opened(project) == [opens]


def test_a_feature_that_did_not_exist_is_not_off_track_for_a_year(project: Builder) -> None:
    """No launch names it: it begins after the day on which it was seen first, which was no full one."""
    values = {**days("2025-11-01", "2026-11-09", 0.0), **days("2026-11-10", "2026-11-22", 3.0)}
    make(project, values, LIMITS[0])
    assert opened(project) == ["2026-11-11"]


def test_where_less_is_better_nothing_is_a_value(project: Builder) -> None:
    make(project, days("2026-10-01", "2026-11-22", 0.0), 'direction: down_is_good\nthresholds: {critical: "> 10"}')
    assert shown(project).status.slug == "on_track"


@pytest.mark.parametrize(
    ("keys", "launches", "why"),
    [
        (
            "targets: [{value: 9}]",
            LAUNCH.replace("11-04", "12-05"),
            "Its target begins on 5 Dec 2026, with New editor.",
        ),
        ("targets: [{value: 9, since: 2026-12-01}]", "", "Its target begins on 1 Dec 2026."),
        ('thresholds: {critical: "< 9", since: 2026-12-01}', "", "Its thresholds begin on 1 Dec 2026."),
    ],
)
def test_no_card_says_on_or_off_track_before_the_beginning(
    project: Builder, keys: str, launches: str, why: str
) -> None:
    make(project, days("2026-10-01", "2026-11-22", 5.0), keys, launches=launches)
    found = shown(project)
    assert (found.status.slug, found.status.why, found.target, found.gap) == ("no_target", why, "", "")
    assert opened(project) == []


def test_nothing_counted_yet_is_said(project: Builder) -> None:
    make(project, days("2026-10-01", "2026-11-22", 0.0), LIMITS[0])
    assert "nothing was counted in one yet" in shown(project).status.why and opened(project) == []


def test_a_beginning_is_a_day_of_the_project(project: Builder) -> None:
    project.settings("timezone: Asia/Tokyo\n")
    hours = pd.date_range("2026-11-20", "2026-11-22 23:00", freq="h")
    project.rows("events", pd.DataFrame({"at": hours, "v": 1.0}), watermark="sync")
    text = KPI.replace("grain: day", "grain: hour") + 'thresholds: {critical: "< 10", since: 2026-11-22}'
    project.kpi("k", text)
    project.sync(NOW)
    assert opened(project) == ["2026-11-21T15:00:00Z"], "midnight in Tokyo"


def test_a_week_that_began_before_is_not_judged(project: Builder) -> None:
    make(project, GROWN, 'thresholds: {critical: "< 200", since: 2026-11-04}', kpi=KPI.replace("day", "week"))
    assert opened(project) == ["2026-11-09"], "a Monday; 4 November is a Wednesday"
