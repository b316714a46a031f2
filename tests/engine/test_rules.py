"""The rules of DESIGN section 5, each on literal rows that a person can count."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pandas as pd
import pytest

from connectors.errors import QueryRefused, UnknownName
from metrics.engine.query import EntitySet, Filter
from tests.conftest import Builder

pytestmark = pytest.mark.breadth(8)


def events(*rows: tuple[str, str, str | None, float]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["at", "user_id", "plan", "amount"])
    return frame.assign(at=pd.to_datetime(frame["at"]))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """Made once: tests that change it take own_shop."""
    return make_shop(Builder(tmp_path_factory.mktemp("shop") / "project"))


@pytest.fixture
def own_shop(project: Builder) -> Builder:
    return make_shop(project)


def make_shop(project: Builder) -> Builder:
    project.rows(
        "events",
        events(
            ("2026-11-02 09:00", "ann", "pro", 10),
            ("2026-11-02 10:00", "ann", "pro", 5),
            ("2026-11-02 11:00", "bob", None, 1),
            ("2026-11-04 09:00", "ann", "free", 2),
            ("2026-11-09 23:30", "eve", "pro", 8),
            ("2026-11-10 12:00", "bob", "free", 4),
        ),
        entity="user_id",
        dimensions="[plan]",
    )
    project.kpi("orders", "dataset: events\nagg: count")
    project.kpi("people", "dataset: events\nagg: count_distinct\nexpr: user_id")
    project.kpi("revenue", "dataset: events\nagg: sum\nexpr: amount\nformat: currency EUR")
    project.kpi("mean", "dataset: events\nagg: avg\nexpr: amount")
    project.kpi("arpu", "type: ratio\nnumerator: revenue\ndenominator: people")
    project.kpi("weekly", "dataset: events\nagg: count_distinct\nexpr: user_id\nwindow: 7 days")
    project.kpi("growth", 'type: derived\nexpr: "{revenue} / {revenue} offset 1 week - 1"\ngrain: week')
    project.sync()
    return project


def test_an_observed_day_without_rows_counts_zero_and_has_no_mean(shop: Builder) -> None:
    assert shop.values("orders")["2026-11-03"] == 0
    assert shop.values("mean")["2026-11-03"] is None
    assert shop.values("arpu")["2026-11-03"] is None  # 0 / 0 is unknown, never 0


def test_days_before_the_first_event_are_unknown(shop: Builder) -> None:
    found = shop.values("orders", start=date(2026, 10, 31), end=date(2026, 11, 3))
    assert found == {"2026-10-31": None, "2026-11-01": None, "2026-11-02": 3}


def test_empty_unknown_makes_an_observed_empty_day_unknown(own_shop: Builder) -> None:
    own_shop.rows("quiet", events(("2026-11-02", "a", "x", 1), ("2026-11-04", "a", "x", 1)), empty="unknown")
    own_shop.kpi("quiet", "dataset: quiet\nagg: count")
    own_shop.sync()
    assert own_shop.values("quiet") == {"2026-11-02": 1, "2026-11-03": None, "2026-11-04": 1}


def test_distinct_people_of_a_week_are_not_the_sum_of_its_days(shop: Builder) -> None:
    assert shop.values("people", grain="week") == {"2026-11-02": 2, "2026-11-09": 2}
    assert shop.values("people", grain="total") == {"total": 3}


def test_a_ratio_at_any_grain_is_the_sum_of_its_parts(shop: Builder) -> None:
    row = shop.ask("arpu", grain="week").frame.iloc[0]
    assert (row["numerator"], row["denominator"], row["value"]) == (18, 2, 9)


def test_a_window_counts_each_person_once_over_its_days(shop: Builder) -> None:
    found = shop.values("weekly")
    assert found["2026-11-08"] == 2  # ann on the 4th, bob on the 2nd
    assert found["2026-11-09"] == 2  # ann and eve; bob's 2nd has left
    assert found["2026-11-10"] == 3


def test_the_first_days_of_a_window_are_incomplete(shop: Builder) -> None:
    done = shop.ask("weekly").frame.set_index("period")["complete"]
    assert not done["2026-11-07"] and done["2026-11-08"]


def test_a_window_takes_its_last_day_for_a_longer_period(shop: Builder) -> None:
    assert shop.values("weekly", grain="week") == {"2026-11-02": 2, "2026-11-09": 3}


def test_the_period_of_the_watermark_is_incomplete(shop: Builder) -> None:
    done = shop.ask("orders").frame.set_index("period")["complete"]
    assert done["2026-11-09"] and not done["2026-11-10"]


def test_a_null_segment_is_shown_and_asked_for_as_none(shop: Builder) -> None:
    assert shop.values("orders", by="plan", grain="total")[("(none)", "total")] == 1
    where = (Filter("plan", ("(none)", "free")),)
    assert shop.values("orders", grain="total", where=where) == {"total": 3}


def test_segments_of_a_count_add_to_the_total_and_of_people_do_not(shop: Builder) -> None:
    assert sum(shop.values("orders", by="plan", grain="total").values()) == 6
    assert sum(shop.values("people", by="plan", grain="total").values()) == 5


def test_a_derived_kpi_reads_earlier_periods_and_keeps_unknown(shop: Builder) -> None:
    assert shop.values("growth") == {"2026-11-02": None, "2026-11-09": pytest.approx(12 / 18 - 1)}


def test_comparisons_have_no_change_where_a_side_is_incomplete(shop: Builder) -> None:
    frame = shop.ask("orders", compare="previous_period").frame.set_index("period")
    assert frame.loc["2026-11-04", "comparison"] == 0 and pd.isna(frame.loc["2026-11-04", "change"])
    assert frame.loc["2026-11-10", "comparison"] == 1 and pd.isna(frame.loc["2026-11-10", "change"])


def test_a_window_is_compared_with_one_window_earlier(shop: Builder) -> None:
    frame = shop.ask("weekly", compare="previous_period").frame.set_index("period")
    assert frame.loc["2026-11-09", "comparison"] == 2  # 2 Nov: ann and bob


def test_previous_range_of_a_total_is_the_range_before(shop: Builder) -> None:
    start, end = date(2026, 11, 9), date(2026, 11, 10)
    row = shop.ask("orders", start=start, end=end, grain="total", compare="previous_range").frame.iloc[0]
    assert (row["value"], row["comparison"]) == (1, 0)


def test_local_midnights_bound_the_days(project: Builder) -> None:
    project.settings("timezone: America/New_York\n")
    project.rows(
        "events",
        events(("2026-11-02 04:59", "a", "x", 1), ("2026-11-02 05:01", "a", "x", 1), ("2026-11-03 12:00", "a", "x", 1)),
    )
    project.kpi("orders", "dataset: events\nagg: count\ngrains: [hour, day, week]")
    project.sync()
    assert project.values("orders") == {"2026-11-01": 1, "2026-11-02": 1, "2026-11-03": 1}


def test_naive_times_are_in_the_datasets_zone(project: Builder) -> None:
    project.rows(
        "events",
        events(("2026-11-02 23:30", "a", "x", 1), ("2026-11-05 12:00", "a", "x", 1)),
        timezone="America/New_York",
    )
    project.kpi("orders", "dataset: events\nagg: count")
    project.sync()
    assert project.values("orders")["2026-11-03"] == 1  # 04:30 UTC of the 3rd


def test_the_hour_that_daylight_saving_repeats_stays_two(project: Builder) -> None:
    project.settings("timezone: Europe/Berlin\n")
    at = pd.to_datetime(["2026-10-25 00:30", "2026-10-25 01:30", "2026-10-25 03:30"]).tz_localize("UTC")
    project.rows("events", pd.DataFrame({"at": at}))
    project.kpi("orders", "dataset: events\nagg: count\ngrain: hour")
    project.sync()
    frame = project.ask("orders").frame
    assert [f"{p:%H}" for p in frame["period"]] == ["00", "01", "02", "03"]
    assert list(frame["value"]) == [1, 1, 0, 1]
    assert project.values("orders", grain="day") == {"2026-10-25": 3}


def test_weeks_start_on_the_projects_day(project: Builder) -> None:
    project.settings("week_start: sunday\n")
    project.rows(
        "events", events(("2026-11-07", "a", "x", 1), ("2026-11-08", "a", "x", 1), ("2026-11-14", "a", "x", 1))
    )
    project.kpi("orders", "dataset: events\nagg: count\ngrain: week")
    project.sync()
    assert project.values("orders") == {"2026-11-01": 1, "2026-11-08": 2}


def test_a_date_is_never_shifted_and_has_no_hours(project: Builder) -> None:
    project.settings("timezone: America/New_York\n")
    days = pd.DataFrame({"at": [date(2026, 11, 2), date(2026, 11, 3)]})
    project.rows("events", days)
    project.kpi("orders", "dataset: events\nagg: count")
    project.kpi("hourly", "dataset: events\nagg: count\ngrain: hour")
    project.sync()
    series = project.ask("orders")
    assert list(series.frame["value"]) == [1, 1] and series.frame["complete"].all()
    with pytest.raises(Exception, match="DATE, so the finest grain is day"):
        project.ask("hourly")


def test_rows_from_the_future_are_kept_and_move_no_watermark(project: Builder) -> None:
    project.rows(
        "events", events(("2026-11-02", "a", "x", 1), ("2026-11-03", "a", "x", 1), ("2027-05-01", "a", "x", 1))
    )
    project.kpi("orders", "dataset: events\nagg: count")
    project.sync()
    state = project.open().reader().dataset_states(1)["events"]
    assert (state.rows, state.future_rows) == (3, 1)
    assert state.watermark == datetime(2026, 11, 3, 0, 0, 0, 1, tzinfo=UTC)  # exclusive
    assert list(project.values("orders")) == ["2026-11-02", "2026-11-03"]


def test_immature_periods_of_an_sql_kpi_are_unknown(own_shop: Builder) -> None:
    own_shop.kpi(
        "conv",
        "type: sql\ndataset: events\nmaturity: 3 days\nformat: percent\nsql: |\n"
        "  SELECT date_trunc('day', at) AS period, plan, count(*) AS denominator,\n"
        "    count(*) FILTER (amount > 4) AS numerator FROM events GROUP BY ALL",
    )
    own_shop.sync()
    found = own_shop.values("conv")
    assert found["2026-11-02"] == pytest.approx(2 / 3) and found["2026-11-09"] is None
    assert own_shop.values("conv", by="plan")[("(none)", "2026-11-02")] == 0
    with pytest.raises(UnknownName, match="unknown grain 'week'"):
        own_shop.ask("conv", grain="week")


def test_a_segment_that_never_occurs_is_named_instead_of_zero(shop: Builder) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'pro'"):
        shop.ask("orders", where=(Filter("plan", ("prp",)),))


def test_a_quote_in_a_filter_is_text_not_sql(shop: Builder) -> None:
    with pytest.raises(UnknownName, match="it's' OR 1=1"):
        shop.ask("orders", where=(Filter("plan", ("it's' OR 1=1",)),))


def test_an_offset_that_is_no_whole_number_of_periods_is_refused(shop: Builder) -> None:
    with pytest.raises(QueryRefused, match="no whole number of months"):
        shop.ask("growth", grain="month")


def test_a_row_scope_and_an_entity_set_bypass_stored_values(shop: Builder) -> None:
    scoped = shop.ask("orders", grain="week", row_scope=(Filter("plan", ("pro",)),))
    assert scoped.level == "facts" and list(scoped.frame["value"]) == [2, 1]
    chosen = shop.ask("orders", grain="week", entities=EntitySet("events", "amount >= 8"))
    assert chosen.level == "facts" and list(chosen.frame["value"]) == [3, 1]  # ann's and eve's rows


def test_transforms_run_over_all_history_and_show_or_accompany(own_shop: Builder) -> None:
    own_shop.kpi("running", "dataset: events\nagg: count\ntransforms: [cumulative]")
    own_shop.kpi("smooth", "dataset: events\nagg: count\ntransforms: [{rolling: {periods: 2, agg: sum, as: two}}]")
    own_shop.sync()
    series = own_shop.ask("running", start=date(2026, 11, 9))
    assert series.transformed and list(series.frame["value"]) == [5, 6]
    both = own_shop.ask("smooth", start=date(2026, 11, 9)).frame
    assert list(both["value"]) == [1, 1] and list(both["two"]) == [1, 2]


def test_an_analysts_own_transform_is_found_and_its_failure_is_told(own_shop: Builder) -> None:
    own_shop.write("transforms", "double", "def double(values, *, by: float = 2.0):\n    return values * by\n")
    own_shop.write("transforms", "boom", "def boom(values):\n    raise RuntimeError('no luck')\n")
    own_shop.kpi("twice", "dataset: events\nagg: count\ntransforms: [{double: {by: 3}}]")
    own_shop.kpi("broken", "dataset: events\nagg: count\ntransforms: [boom]")
    own_shop.sync()
    assert own_shop.values("twice")["2026-11-02"] == 9
    with pytest.raises(Exception, match="transform boom: RuntimeError: no luck"):
        own_shop.ask("broken")


def test_as_of_an_earlier_generation_returns_what_was_published_then(own_shop: Builder) -> None:
    before = own_shop.ask("orders")
    own_shop.rows(
        "events",
        events(("2026-11-02 09:00", "ann", "pro", 10), ("2026-11-12 09:00", "ann", "pro", 10)),
        entity="user_id",
        dimensions="[plan]",
    )
    (own_shop.folder / "sources.yml").write_text(
        "- {name: events, type: files, table: events, path: files/events.parquet}\n"
    )
    own_shop.sync()
    assert own_shop.values("orders")["2026-11-02"] == 1
    then = own_shop.ask("orders", as_of=before.generation)
    columns = ["period", "value", "n", "complete"]
    pd.testing.assert_frame_equal(then.frame[columns], before.frame[columns])
