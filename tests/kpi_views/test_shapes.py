"""What a type shows besides its line says the same as its numbers."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from metrics.engine.answer import answer
from metrics.engine.query import Filter, Query
from metrics.kpi_views.kpi_page import kpi_page
from metrics.kpi_views.types.funnel import FunnelShape
from metrics.kpi_views.types.lifecycle import LifecycleShape
from metrics.kpi_views.types.retention import RetentionShape, pooled
from metrics.kpi_views.types.survey import SurveyShape
from tests.conftest import NOW, Builder, known


def shape(context: Any, kpi: str, **options: Any) -> Any:
    return kpi_page(context, kpi, **options).shape


def last(context: Any, kpi: str) -> dict[str, Any]:
    frame = answer(Query(kpi), context.catalogue, context.reader).frame
    return dict(frame[frame["complete"]].iloc[-1])


def test_a_funnel_shows_the_last_complete_period(demo_world: Any) -> None:
    found, row = shape(demo_world, "trial_to_paid"), last(demo_world, "trial_to_paid")
    assert isinstance(found, FunnelShape)
    first, paid = found.steps
    assert (first.name, first.count, first.lost) == ("Trial started", f"{int(row['parts'][0]):,}", "")
    assert (paid.count, paid.of_first) == (f"{int(row['parts'][1]):,}", f"{row['value'] * 100:.1f}%")
    assert paid.width == row["value"] and paid.lost.startswith("−")
    by = shape(demo_world, "trial_to_paid", by="channel")
    assert {name for name, _ in by.segments} == {"organic", "referral", "ads", "campaign"}


def test_the_step_that_loses_most_is_marked(project: Builder) -> None:
    rows = [(u, i) for u in range(10) for i in range(4 if u < 2 else 2 if u < 3 else 1)]
    frame = pd.DataFrame(
        [{"at": pd.Timestamp("2026-10-01") + pd.Timedelta(hours=i), "user_id": u, "step": i} for u, i in rows]
    )
    project.rows("events", frame, entity="user_id", watermark="sync")
    steps = ", ".join(f"{{name: s{i}, filter: step = {i}}}" for i in range(4))
    project.kpi("f", f"type: funnel\ndataset: events\nwindow: 1 day\ngrain: month\nsteps: [{steps}]")
    project.sync()
    found = shape(project.open().context(NOW), "f", range_="all")
    assert [(s.count, s.worst) for s in found.steps] == [("10", False), ("3", True), ("2", False), ("2", False)]
    assert found.steps[1].lost == "−7 (70.0%)" and found.steps[3].of_previous == "100.0%"


def test_the_curve_pools_people_and_leaves_out_what_is_not_over(demo_world: Any) -> None:
    found = shape(demo_world, "week_4_retention", range_="all")
    assert isinstance(found, RetentionShape)
    frame = answer(Query("week_4_retention"), demo_world.catalogue, demo_world.reader).frame
    done = frame[frame["complete"]]
    assert found.curves[0].shares[4] == pytest.approx(done["numerator"].sum() / done["denominator"].sum())
    newest, *_ = found.cohorts
    assert newest.cells[0] is None and found.cohorts[-1].cells[3] is not None
    assert len(found.columns) == len(newest.cells) == 12
    assert {c.name for c in shape(demo_world, "week_4_retention", by="channel").curves} >= {"organic", "ads"}
    part = pd.DataFrame({"parts": [(10.0, 5.0, math.nan), (30.0, 3.0, 2.0), (0.0, 0.0, 0.0), None]})
    assert pooled(part) == (1.0, 8 / 40, 2 / 30)


def test_gains_stand_above_zero_and_losses_below(demo_world: Any) -> None:
    found, row = shape(demo_world, "quick_ratio"), last(demo_world, "quick_ratio")
    assert isinstance(found, LifecycleShape)
    counts = {name: known(values[-1]) for name, values in found.counts.items()}
    assert found.periods[-1] == row["period"], "the running week is not drawn: who is yet to come would be lost"
    assert counts["dormant"] == -row["denominator"] and counts["new"] + counts["resurrected"] == row["numerator"]
    assert shape(demo_world, "quick_ratio", by="plan") is None  # segments are worlds of their own


def test_a_survey_shows_groups_and_the_latest_words(demo_world: Any) -> None:
    found, row = shape(demo_world, "nps"), last(demo_world, "nps")
    assert isinstance(found, SurveyShape)
    assert [int(count.replace(",", "")) for _, count, _ in found.latest] == [int(x) for x in row["parts"]]
    assert sum(found.shares[g][0] or 0 for g in found.shares) == pytest.approx(1)
    assert len(found.comments) == 30 and all(c.words for c in found.comments)
    for who, low, high in (("promoters", 9, 10), ("passives", 7, 8), ("detractors", 0, 6)):
        some = shape(demo_world, "nps", who=who).comments
        assert some and all(c.who == who and low <= float(c.score) <= high for c in some)
    android = shape(demo_world, "nps", where=(Filter("platform", ("android",)),))
    assert android.comments and android.comments != found.comments


def test_words_from_customers_are_only_those_of_answers_within_the_scale(project: Builder) -> None:
    at = pd.to_datetime(
        ["2026-10-01 10:00", "2026-10-01 11:00", "2026-10-02 09:00", "2026-10-03 09:00", "2026-10-30 09:00"]
    )
    frame = pd.DataFrame(
        {"at": at, "score": [10, 3, 12, None, 8], "said": ["<b>good</b>", "  ", "out", "none", "later"]}
    )
    project.rows("answers", frame, watermark="sync")
    project.kpi("nps", "type: survey\ndataset: answers\nscore: score\ncomment: said\ngrain: month")
    project.kpi("quiet", "type: survey\ndataset: answers\nscore: score\ngrain: month")
    project.sync()
    context = project.open().context(NOW)
    found = shape(context, "nps", range_="all")
    assert [(c.score, c.who, c.words) for c in found.comments] == [
        ("8", "passives", "later"),
        ("10", "promoters", "<b>good</b>"),
    ]
    assert shape(context, "quiet", range_="all").comments == ()
    assert found.latest == (("promoters", "1", "33%"), ("passives", "1", "33%"), ("detractors", "1", "33%"))


def test_a_longer_period_made_of_shorter_ones_has_no_shape(project: Builder) -> None:
    at = pd.date_range("2026-09-01", periods=120, freq="12h")
    frame = pd.DataFrame({"at": at, "user_id": range(120), "score": [i % 11 for i in range(120)]})
    project.rows("answers", frame, entity="user_id", watermark="sync")
    more = "dataset: answers\nperiod_agg: mean\ngrain: week\n"
    project.kpi("nps", f"type: survey\nscore: score\n{more}")
    project.kpi("life", f"type: lifecycle\n{more}")
    project.kpi("back", f"type: retention\nunit: week\nat: 1\n{more}")
    project.kpi("steps", f"type: funnel\nsteps: [{{name: a}}, {{name: b, filter: score > 5}}]\n{more}")
    project.sync()
    context = project.open().context(NOW)
    for kpi in ("nps", "life", "back", "steps"):
        page = kpi_page(context, kpi, grain="month", range_="all")
        assert page.shape is None and page.series.frame["n"].sum() > 0, kpi
        assert shape(context, kpi, range_="all") is not None


def test_other_types_show_their_line_only(demo_world: Any) -> None:
    assert shape(demo_world, "sign_ups") is None and shape(demo_world, "activation") is None
