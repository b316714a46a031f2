"""What happened to a KPI before a launch: other launches are steps, campaigns and incidents are left out."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from metrics.launches.history import HistoryMark, within
from metrics.launches.inputs import LaunchInputs
from metrics.launches.observe import Observed, observe
from tests.conftest import Builder
from tests.launches.conftest import LAUNCH, WEB, acts, card, day, launch, product, write_acts

pytestmark = pytest.mark.breadth(2)


def observed(project: Builder) -> Observed:
    project.sync(day(14))
    context = project.open().context(day(14))
    return observe(context.catalogue.launch("wizard"), context.catalogue.kpi("acted"), LaunchInputs(context))


def test_other_launches_are_steps_and_what_passes_is_left_out(project: Builder) -> None:
    product(project, acts(LAUNCH + pd.Timedelta(days=14)))
    launch(project, WEB)
    launch(
        project, "rollout: [{on: 2026-03-02, share: 0.5}, {on: 2026-03-09, share: 1}]\nsuccess: [{kpi: acted}]", "old"
    )
    launch(project, "kind: campaign\non: 2026-08-10\nuntil: 2026-08-14\nkpis: [acted]", "sale")
    launch(project, "kind: campaign\non: 2026-05-01\nuntil: 2026-07-30\nkpis: [acted]", "summer")
    launch(project, "kind: incident\non: 2026-10-06\nkpis: [acted]", "later")
    launch(project, "kind: incident\non: 2026-06-01\nkpis: [something_else]", "elsewhere")
    found = observed(project)
    assert found.panel is not None and found.panel.touched is not None
    touched = found.panel.touched[found.panel.touched].index
    assert (touched[0], touched[-1], len(touched)) == (pd.Timestamp("2026-03-02"), pd.Timestamp("2026-04-05"), 35)
    unknown = found.panel.treated.index[found.panel.treated.isna().any(axis=1)]
    assert list(unknown) == list(pd.date_range("2026-08-10", "2026-08-14")), "neither the long one nor what came after"
    assert found.around == ("old, 2026-03-02, 2026-04-05", "sale, 2026-08-10, 2026-08-14")


def test_a_mark_that_is_added_later_is_said_to_be_the_cause(project: Builder) -> None:
    product(project, acts(LAUNCH + pd.Timedelta(days=14), lift=1.04))
    launch(project, WEB)
    project.sync(day(14))
    before = card(project, day(14)).scores[0]
    assert not before.restated
    launch(project, "on: 2026-09-21\nsuccess: [{kpi: acted}]", "old")
    write_acts(project, acts(LAUNCH + pd.Timedelta(days=15), lift=1.04))
    project.sync(day(15))
    causes = {again.cause for again in card(project, day(15)).scores[0].restated.values()}
    assert causes == {"history"}


def test_a_week_is_touched_by_a_day_of_it() -> None:

    weeks = pd.date_range("2026-01-05", periods=4, freq="7D")
    mark = HistoryMark("old", "launch", date(2026, 1, 18), date(2026, 1, 19))
    np.testing.assert_array_equal(within(weeks, [mark], "week"), [False, True, True, False])
