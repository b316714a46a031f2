"""What a plan could show: against simulated launches of the effect that it says is seen, and in words."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.launch import READINGS, Launch
from metrics.launches.impact import Panel, Words, impact
from metrics.launches.observe import Observed
from metrics.launches.plan import Plan, by_reading, in_words, planned_shares
from metrics.launches.readiness import half_interval
from tests.conftest import Builder
from tests.sampling import cases

START = date(2026, 9, 1)


@pytest.fixture
def kpi(project: Builder) -> KpiCommon:
    (project.folder / "files" / "a.csv").write_text("at,x\n2026-11-02,1\n")
    project.source("- {name: t, type: files, table: t, path: files/a.csv}")
    project.write("datasets", "t", "name: t\nsource: t\ntime_dimension: at\n")
    project.kpi("orders", "dataset: t\nagg: count\n")
    return project.open().catalogue().kpi("orders")


def launch(*steps: tuple[date, float]) -> Launch:
    rollout = [{"on": on, "share": share} for on, share in steps]
    return Launch.model_validate({"name": "plan", "rollout": rollout})


def panel(seed: int, effect: float, share: float, days: int = 28) -> tuple[Panel, pd.DatetimeIndex]:
    """A year of a product's days on a logarithm, and a launch at its end."""
    random, count = np.random.default_rng(seed), 365 + days
    index = pd.date_range(pd.Timestamp(START) - pd.Timedelta(days=365), periods=count, freq="D")
    had = np.where(np.arange(count) >= 365, share, 0.0)
    values = 7 + random.normal(0, 0.05, 7)[np.arange(count) % 7] + random.normal(0, 0.03, count) + effect * had
    frame = pd.DataFrame({"all": values}, index)
    return Panel(frame, pd.DataFrame({"all": had}, index), pd.DataFrame(index=index), "day"), index


def plan_of(kpi: KpiCommon, hoped: float | None, *steps: tuple[date, float], half: float = 0.02) -> Plan:
    halves = {7: 2 * half, 14: 1.5 * half, 28: half}
    return Plan(kpi, halves, planned_shares(launch(*steps)), hoped, True)


def test_shares_are_means_of_the_days() -> None:
    found = planned_shares(launch((START, 0.1), (date(2026, 9, 8), 0.5), (date(2026, 9, 15), 1.0)))
    assert found == pytest.approx({7: 0.1, 14: 0.3, 28: (0.7 + 3.5 + 14) / 28})


def test_words_say_which_plan_would_see_it(kpi: KpiCommon) -> None:
    all_at_once = in_words(plan_of(kpi, 0.05, (START, 1.0)))
    assert all_at_once == "Orders: as planned, the 5.0% hoped for would be seen on D+14."
    few = in_words(plan_of(kpi, 0.05, (START, 0.1)))
    assert few.startswith("Orders: as planned, the 5.0% hoped for cannot be seen by D+28; ")
    assert few.endswith("With 90% of the audience from the first day it would, on D+14.")
    assert in_words(plan_of(kpi, 0.001, (START, 1.0))).endswith("more people or a longer look are needed.")
    assert "an effect of" in in_words(plan_of(kpi, None, (START, 1.0)))


def test_the_share_that_is_named_sees_it_and_less_does_not(kpi: KpiCommon) -> None:
    plan = plan_of(kpi, 0.05, (START, 0.1))
    needed = plan.share_needed(28)
    assert needed is not None and plan.seen(28, needed + 1e-9) and not plan.seen(28, needed - 1e-9)
    assert [row[0] for row in by_reading(plan, dict.fromkeys(plan.halves, 0.5))] == ["D+7", "D+14", "D+28"]


@pytest.mark.slow
def test_an_effect_of_the_size_that_is_said_is_seen_in_four_of_five(kpi: KpiCommon) -> None:
    count, share, seen = cases(fast=60, slow=60, full=300), 0.5, 0
    for seed in range(count):
        before, index = panel(seed, 0.0, 0.0)
        known = before.treated.index < pd.Timestamp(START)
        treated, exposure, controls = (f.loc[known] for f in (before.treated, before.exposure, before.controls))
        history = Panel(treated, exposure, controls, "day")
        half = half_interval(launch((START, share)), Observed(history, logarithm=True), 28)
        assert half is not None
        size = np.log1p(Plan(kpi, {28: half}, {28: share}, None, True).smallest(28, share))
        launched, _ = panel(seed, float(size), share)
        found = impact(launched, pd.Timestamp(START), index[-1] + pd.Timedelta(days=1))
        assert found is not None
        seen += found.words is Words.UP
    assert 0.68 <= seen / count <= 0.95, seen / count
    assert set(READINGS) == {7, 14, 28}
