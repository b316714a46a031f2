"""Targets have a grain and a beginning: every wrong combination is told with its line; every key is its period."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from metrics.catalog.models.values import GRAINS, period_key
from metrics.catalog.targets import target_at, target_grain
from metrics.catalog.types.simple import Simple
from metrics.engine import periods
from tests.conftest import Builder

KPI = "dataset: events\nagg: sum\nexpr: v\ngrain: day\n"
RULE = "targets: [{value: 5}]\nalerts:\n  - {name: r, compare: target%s}"


def said(project: Builder, text: str, level: str = "error") -> list[str]:
    project.write("datasets", "events", "name: events\nsource: events\ntime_dimension: at\ndimensions: [shop]\n")
    project.kpi("k", text)
    return [str(p) for p in project.open().catalogue().problems if p.level == level]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("targets: [{value: 5, since: soon}]", 6),
        ('thresholds: {critical: "< 3", since: soon}', 6),
        ('alerts:\n  - {name: r, thresholds: {critical: "< 3"}, since: soon}', 7),
        ('alerts:\n  - {name: r, thresholds: {critical: "< 3", since: soon}}', 7),
    ],
)
def test_a_launch_that_is_not_there_is_a_warning(project: Builder, text: str, line: int) -> None:
    """It may be written later, or be removed by somebody who knows no file: the KPI has its numbers all the same."""
    project.write("launches", "soone", "name: soone\non: 2026-11-04\n")
    assert said(project, KPI + text) == []
    found = said(project, KPI + text, "warning")
    assert len(found) == 1 and f"kpis/k.yml:{line}: warning: unknown launch 'soon'" in found[0], found
    assert "Did you mean 'soone'?" in found[0] and "2026-07-01" in found[0]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("targets: [{value: 5, grain: hour}]", 6, "a target by hour, but 'k' has no values by hour"),
        ("grains: [day, month]\ntargets:\n  - {value: 5, grain: week}", 8, "no values by week"),
        ("targets:\n  - grain: month\n    path: {2026-W40: 5}", 8, "'2026-W40' is a week, but this target is by month"),
        ("targets:\n  - path:\n      2026-10: 5", 8, "'2026-10' is a month, but this target is by day"),
        ("targets: [{path: {2026: 5}}]", 6, "'2026' is a year"),
        ('targets: [{grain: week, path: {"2026-10-05": 5}}]', 6, "'2026-10-05' is a day, but this target is by week"),
        ("targets: [{path: {2026-13: 5}}]", 6, "'2026-13' is not a period"),
        ("targets: [{path: {2026-W60: 5}}]", 6, "'2026-W60' is not a period"),
        ("targets: [{value: 5, between: step}]", 6, "`between` says how a `path` goes on"),
        ("targets: [{value: 5}, {value: 6}]", 6, "two targets by day hold from the same day on"),
        ("targets: [{value: 5, since: 2026-13-01}]", 6, "holds a date that does not exist"),
        ("targets: [{value: 5, since: 2026}]", 6, "'2026' is neither a day nor a launch"),
        ("targets: [{value: 5, since: Q4 2026}]", 6, "'Q4 2026' is neither a day nor a launch"),
        ('thresholds: {warning: "< -5% of target"}', 6, "no target is stated"),
        (
            'targets: [{value: 5, grain: month}]\nthresholds: {warning: "< -5% of target", critical: "< 3"}',
            7,
            "`warning` is of the target by month, `critical` of values by day",
        ),
        ("alerts:\n  - {name: r, compare: target}", 7, "compares with a target, but none is stated"),
        (RULE % ", by: [shop]", 8, "holds each shop against the target of all together"),
        (
            "targets: [{value: 5, grain: week}]\ntransforms: [{rolling: {periods: 3, as: trend}}]\n"
            "alerts:\n  - {name: r, compare: target, of: trend}",
            9,
            "`of: trend` is by day, the target by week",
        ),
        (
            'alerts:\n  - {name: r, since: 2026-01-01, thresholds: {critical: "< 3", since: 2026-02-01}}',
            7,
            "`since` is there twice",
        ),
    ],
)
def test_a_wrong_combination_is_told_with_its_line(project: Builder, text: str, line: int, says: str) -> None:
    found = said(project, KPI + text)
    assert len(found) == 1 and f"kpis/k.yml:{line}: error" in found[0] and says in found[0], found


@pytest.mark.parametrize(
    "text",
    [
        'targets: [{grain: month, path: {2026-10: 5, "2026-11": 6}}]',
        "targets: [{grain: quarter, path: {2026-Q4: 5}}]\nthresholds: {warning: '< -5% of target'}",
        "targets: [{value: 5}, {value: 6, since: 2026-07-01}, {value: 150, grain: month}]",
        "targets: [{path: {2026-10-05: 5}}]",
        'targets: [{value: 5}]\nthresholds: {warning: "< -5% of target", critical: "< 3", since: 2026-07-01}',
    ],
)
def test_what_fits_is_no_problem(project: Builder, text: str) -> None:
    assert said(project, KPI + text) == []


def test_an_hour_has_keys_of_its_own(project: Builder) -> None:
    text = KPI.replace("grain: day", "grain: hour")
    assert said(project, text + "targets: [{path: {2026-10-05T14: 5, 2026-10-05T15:00: 6}}]") == []
    assert "is a day, but this target is by hour" in said(project, text + 'targets: [{path: {"2026-10-05": 5}}]')[0]


def kpi(**keys: Any) -> Simple:
    return Simple.model_validate({"name": "x", "dataset": "d", "agg": "count", **keys})


def key_of(period: pd.Timestamp, grain: str) -> str:
    """Written here by another way than it is read."""
    if grain == "week":
        return f"{period + pd.Timedelta(days=3):%G-W%V}"  # the Thursday's, whatever day weeks start on
    quarter = f"{period.year}-Q{period.quarter}"
    forms = {"hour": "%Y-%m-%dT%H", "day": "%Y-%m-%d", "month": "%Y-%m", "quarter": quarter, "year": "%Y"}
    return f"{period:{forms[grain]}}"


@pytest.mark.parametrize("grain", GRAINS)
@pytest.mark.parametrize("week_start", [0, 6])
def test_every_period_is_found_by_its_key(grain: str, week_start: int) -> None:
    start = periods.floor(pd.Timestamp("2019-12-27"), grain, week_start)
    mine = list(periods.spine(start, pd.Timestamp("2022-01-20"), grain))[:250]
    path = {key_of(period, grain): float(place) for place, period in enumerate(mine)}
    if grain == "week" and week_start == 6:  # a week of Sundays is named by its Thursday
        path = {f"{period + pd.Timedelta(days=4):%G-W%V}": float(place) for place, period in enumerate(mine)}
    assert len(path) == len(mine) and {period_key(key)[0] for key in path} == {grain}
    for between in ("step", "linear"):
        item = kpi(grain=grain, targets=[{"path": path, "between": between}])
        assert [target_at(item, period, grain) for period in mine] == [float(n) for n in range(len(mine))]


def test_the_latest_target_that_has_begun_holds() -> None:
    item = kpi(targets=[{"value": 12, "since": "2026-07-01"}, {"value": 10}, {"value": 300, "grain": "month"}])
    days = ["2026-06-30", "2026-07-01", "2027-01-01"]
    assert [target_at(item, pd.Timestamp(day), "day") for day in days] == [10, 12, 12]
    assert target_at(item, pd.Timestamp("2026-06-01"), "month") == 300
    assert target_at(item, pd.Timestamp("2026-06-01"), "week") is None
    assert (target_grain(item), target_grain(kpi(targets=[{"value": 1, "grain": "month"}]))) == ("day", "month")
