"""A week is taken: its numbers by hand, as of its generation; what waits, what is caught up, what is said."""

from __future__ import annotations

import json
from datetime import timedelta

import pandas as pd
import pytest

from connectors.errors import DefinitionError, NoData, QueryRefused, SnapshotError, UnknownName
from jobs.snapshots.archived import document_of, list_rows, rows_of, write_note
from jobs.snapshots.message import notes_of
from jobs.snapshots.take import take_by_hand, take_due, told
from tests.conftest import Builder, known
from tests.snapshots.conftest import (
    END,
    FIRST,
    NOW,
    WEEKLY,
    answered,
    document,
    kpi,
    orders,
    shop_of,
    take,
    write,
)

pytestmark = pytest.mark.breadth(5)


def between(frame: pd.DataFrame, start: str, end: str) -> pd.DataFrame:
    return frame[(frame["at"] >= start) & (frame["at"] < end)]


def test_numbers_are_those_of_pandas(shop: Builder) -> None:
    made, rows = take(shop), orders(END)
    week, before = between(rows, "2026-11-09", "2026-11-16"), between(rows, "2026-11-02", "2026-11-09")
    sunday, earlier = between(rows, "2026-11-15", "2026-11-16"), between(rows, "2026-11-08", "2026-11-09")
    revenue, every, web, paid, buyers = made.lines
    assert made.week == "2026-W46" and (revenue.period, revenue.period_text) == ("2026-11-09", "9–15 Nov")
    assert revenue.value == pytest.approx(week["amount"].sum(), rel=1e-12)
    assert revenue.change == pytest.approx(week["amount"].sum() / before["amount"].sum() - 1, rel=1e-9)
    assert (every.period, every.value, every.before) == ("2026-11-15", len(sunday), len(earlier))
    assert every.against == "vs Sun 8 Nov"
    assert web.value == (sunday["platform"] == "web").sum() and web.title == "Orders · web"
    assert paid.value == pytest.approx(week["paid"].mean(), rel=1e-12) and paid.n == len(week)
    assert (paid.numerator, paid.denominator) == (week["paid"].sum(), len(week))
    assert paid.change == pytest.approx(week["paid"].mean() - before["paid"].mean(), abs=1e-12)
    assert paid.change_text.endswith(" points") and paid.target == 0.9
    october = between(rows, "2026-10-01", "2026-11-01")
    assert buyers.value == october["who"].nunique() and buyers.period_text == "October 2026"
    assert buyers.weeks == () and buyers.weeks_note == "Counted by month."


def test_charts_are_the_last_six_weeks_beside_the_last_twelve_months(shop: Builder) -> None:
    made, rows = take(shop), orders(END)
    revenue, every = list(made.lines)[:2]
    assert [p.name for p in revenue.weeks] == [
        "5–11 Oct",
        "12–18 Oct",
        "19–25 Oct",
        "26 Oct – 1 Nov",
        "2–8 Nov",
        "9–15 Nov",
    ]
    sums = rows.groupby((rows["at"] - FIRST).dt.days // 7)["amount"].sum()
    assert [p.value for p in revenue.weeks] == pytest.approx(list(sums.tail(6)), rel=1e-12)
    counts = rows.groupby(rows["at"].dt.to_period("M")).size()
    assert [p.value for p in every.months] == list(counts.loc["2025-11":"2026-10"])
    assert (every.months[0].name, every.months[-1].name) == ("Nov 2025", "Oct 2026")
    assert all(p.target == 3000 for p in revenue.weeks)


def test_every_number_is_the_one_that_query_gives_as_of_its_generation(shop: Builder) -> None:
    made = take(shop)
    write(shop, orders(END, seed=6))  # everything is different afterwards
    shop.sync(now=NOW + timedelta(hours=1))
    asked = 0
    for line in made.lines:
        where = [text for d, v in line.segment.items() for text in ("--where", f"{d}={v}")]
        for grain, points in (("week", line.weeks), ("month", line.months)):
            if points:
                found = answered(shop, "query", line.kpi, "--grain", grain, "--as-of", made.generation, *where)
                values = {row["period"]: row["value"] for row in found["rows"]}
                assert [p.value for p in points] == [values[p.period.isoformat()] for p in points]
                asked += len(points)
        found = answered(shop, "query", line.kpi, "--as-of", made.generation, *where)
        row = next(row for row in found["rows"] if row["period"] == line.period)
        assert (line.value, line.n) == (row["value"], row["n"]) and found["definition"] == line.definition
    assert asked > 70


def test_a_document_says_how_it_was_made_and_never_changes(shop: Builder) -> None:
    made = take(shop)
    plain = answered(shop, "snapshot", "show")
    assert plain == json.loads(json.dumps(made.as_dict())) and made.revision == 1
    assert plain["watermark"] == "2026-11-16T00:00:00Z" and plain["taken_at"] == "2026-11-16T06:00:00Z"
    assert set(plain["definitions"]) == {
        "snapshot:weekly",
        "dataset:orders",
        "kpi:revenue",
        "kpi:orders",
        "kpi:paid_share",
        "kpi:buyers",
    }
    assert plain["definitions"]["kpi:orders"] == (shop.folder / "kpis" / "orders.yml").read_text()
    again = take(shop, "2026-W46", now=NOW + timedelta(hours=2))
    assert again.revision == 2
    assert document(shop, "2026-W46", 1).as_dict() == made.as_dict()
    assert document(shop).revision == 2
    assert [(r["week"], r["revision"], r["by"]) for r in list_rows(shop.open())] == [
        ("2026-W46", 2, "ana"),
        ("2026-W46", 1, "ana"),
    ]


def test_an_earlier_week_is_taken_as_if_the_later_ones_had_not_come(project: Builder) -> None:
    shop_of(project, END - pd.Timedelta(days=7), snapshot="")
    project.sync(now=NOW - timedelta(days=7))
    in_time = take(project, now=NOW - timedelta(days=7))
    write(project, orders(END))
    project.sync(now=NOW)
    later = take(project, "2026-W45", now=NOW)
    assert in_time.week == later.week == "2026-W45"
    for one, other in zip(in_time.lines, later.lines, strict=True):
        plain, again = (line.model_dump(exclude={"data", "pace"}) for line in (one, other))
        assert plain == again
    assert (in_time.headline, in_time.summary) == (later.headline, later.summary)


def test_a_sync_takes_a_complete_week_once(project: Builder) -> None:
    shop_of(project)
    project.sync(now=NOW)
    weeks = [row.week for row in rows_of(project.open())]
    assert weeks == ["2026-W46", "2026-W45", "2026-W44", "2026-W43"]  # an archive to begin with
    assert {row.by for row in rows_of(project.open())} == {"sync"}
    project.sync(now=NOW + timedelta(hours=1))
    assert take_due(project.open(), now=NOW + timedelta(days=3)).taken == ()
    assert len(rows_of(project.open())) == 4


def test_a_new_project_is_not_given_weeks_before_its_first_row(project: Builder) -> None:
    shop_of(project)
    write(project, orders(END, start=END - pd.Timedelta(days=10)))
    project.sync(now=NOW)
    assert [row.week for row in rows_of(project.open())] == ["2026-W46", "2026-W45"]


def test_a_week_waits_for_its_data_and_then_says_what_is_missing(project: Builder) -> None:
    shop_of(project, END - pd.Timedelta(days=3))
    project.rows("visits", orders(END)[["at"]], watermark="whole_days")
    project.kpi("visits", "dataset: visits\nagg: count\ngrain: week")
    project.write("snapshots", "weekly", WEEKLY.replace("buyers]", "visits]"))
    project.sync(now=NOW)
    assert rows_of(project.open())[0].week == "2026-W45"
    done = take_due(project.open(), now=NOW)
    assert done.taken == () and told(done) == [
        "snapshot weekly of week 2026-W46 waits: Orders has nothing after Thu 12 Nov 2026."
    ]
    late = take_due(project.open(), now=NOW + timedelta(days=2))  # the wait is two days from Monday 0:00
    assert late.taken == (("weekly", "2026-W46", 1),)
    made = document(project)
    assert made.missing == ("Orders has nothing after Thu 12 Nov 2026.",)
    revenue, visits = made.line("revenue"), made.line("visits")
    assert revenue is not None and revenue.status == "waiting_for_data" and revenue.period == "2026-11-02"
    assert "Not of this week: orders has nothing after Thu 12 Nov 2026." in revenue.sentence
    assert visits is not None and visits.period == "2026-11-09" and visits.value is not None


def test_a_week_of_which_nothing_is_there_is_never_frozen_empty(project: Builder) -> None:
    shop_of(project, END - pd.Timedelta(days=9))
    project.sync(now=NOW)
    assert take_due(project.open(), now=NOW + timedelta(days=9)).taken == ()
    write(project, orders(END))
    project.sync(now=NOW + timedelta(days=9))  # one more week has passed, but its data is not there either
    assert [row.week for row in rows_of(project.open())][:2] == ["2026-W46", "2026-W45"]
    assert document(project).missing == ()


@pytest.mark.slow
def test_missed_weeks_are_caught_up(project: Builder) -> None:
    shop_of(project, END - pd.Timedelta(days=28))
    project.sync(now=NOW - timedelta(days=28))
    assert rows_of(project.open())[0].week == "2026-W42"
    write(project, orders(END))
    project.sync(now=NOW)
    assert [row.week for row in rows_of(project.open())][:5] == [
        "2026-W46",
        "2026-W45",
        "2026-W44",
        "2026-W43",
        "2026-W42",
    ]


def test_without_a_file_there_is_a_default_of_all_areas_that_nobody_takes_by_itself(project: Builder) -> None:
    shop_of(project, snapshot="")
    project.kpi(
        "revenue", (project.folder / "kpis" / "revenue.yml").read_text().removeprefix("name: revenue\n") + "area: Money"
    )
    project.sync(now=NOW)
    assert rows_of(project.open()) == []
    made = take(project)
    assert [(s.title, [line.kpi for line in s.lines]) for s in made.sections] == [
        ("Money", ["revenue"]),
        ("Other KPIs", ["buyers", "orders", "paid_share"]),
    ]


def test_what_cannot_be_taken_is_refused_in_words(project: Builder) -> None:
    shop_of(project)
    with pytest.raises(NoData):
        take(project)
    project.sync(now=NOW)
    opened = project.open()
    with pytest.raises(SnapshotError, match=r"week 2026-W47 is not over: its last day is 22 Nov 2026"):
        take(project, "2026-W47")
    with pytest.raises(SnapshotError, match=r"no data reaches its end\nOrders has nothing after Sun 15 Nov 2026"):
        take(project, "2026-W48", now=NOW + timedelta(days=30))
    assert take(project, "2026-W48", now=NOW + timedelta(days=30), anyway=True).missing
    with pytest.raises(UnknownName, match="unknown snapshot 'monthly'"):
        take_by_hand(opened, "monthly", "", by="ana", now=NOW)
    with pytest.raises(SnapshotError, match="week 2020-W01 was not taken"):
        document_of(opened, "", "2020-W01")
    assert kpi(project, "snapshot", "take", "--week", "tomorrow").exit_code == 1
    assert kpi(project, "snapshot", "render", "--format", "docx").exit_code == 2


def test_a_kpi_with_a_wrong_file_is_in_the_snapshot_and_says_so(shop: Builder) -> None:
    shop.kpi("fresh", "label: Fresh\ndataset: orders\nagg: sum")
    shop.write("snapshots", "weekly", WEEKLY.replace("buyers]", "fresh]"))
    line = take(shop).line("fresh")
    assert line is not None and line.status == "definition_error" and line.value is None
    assert "needs `expr`" in line.why and line.text == "–"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("sections: [{title: A, kpis: [revenu]}]", "unknown KPI 'revenu' [unknown_kpi]"),
        ("sections: [{area: Sales}]", "no KPI has the area 'Sales' [unknown_area]"),
        ("sections: [{title: A, kpis: [{kpi: orders, where: {browser: x}}]}]", "orders has no dimension 'browser'"),
        ("sections: [{title: A, kpis: [{kpi: orders, where: {a: x, b: y}}]}]", "one segment of one dimension"),
        ("sections: [{title: A}]", "a section needs `area` or `kpis`"),
        ("schedule: {send: monthly}", "'schedule.send': it cannot be 'monthly'"),
        ("schedule: {send: monday 25:00}", "such as monday 08:00"),
        ("schedule: {wait: soon}", "'soon' is not a duration"),
        ("recipient: [ana]", "unknown key 'recipient'"),
    ],
)
def test_a_definition_is_checked_with_file_and_line(shop: Builder, text: str, what: str) -> None:
    shop.write("snapshots", "weekly", f"name: weekly\n{text}\n")
    done = kpi(shop, "validate")
    assert what in done.stdout and "snapshots/weekly.yml:2: " in done.stdout, done.stdout


def test_headline_records_and_misses_are_in_plain_words(project: Builder) -> None:
    shop_of(project, snapshot="")
    rows = orders(END)
    last = rows["at"] >= "2026-11-09"
    rows.loc[last & (rows["platform"] == "ios"), "amount"] /= 20
    write(project, rows)
    project.sync(now=NOW)
    made = take(project)
    revenue = made.line("revenue")
    assert revenue is not None and revenue.status == "at_risk" and revenue.odd is not None and revenue.odd < -10
    assert made.headline.startswith("1 of 4 off track; Paid share")
    assert made.summary == (
        "Paid share is off track: 81.1% in 9–15 Nov, +1.7 points vs the week before; 8.9 points under target.",
        f"Revenue is at risk and worsening: {revenue.text} in 9–15 Nov, {revenue.change_text} vs the week before; "
        f"{revenue.gap}; platform ios accounts for more than all (117%) of the change; warning alert since 9–15 Nov.",
    )
    assert revenue.place.startswith("Platform ios accounts for more than all (117%) of the change: €")
    assert revenue.record == "The lowest in 26 weeks."
    assert revenue.miss == f"Revenue is at risk, {revenue.gap}; owner ana@example.com."
    assert revenue.sentence == f"{revenue.text} in 9–15 Nov, {revenue.change_text} vs the week before."


def test_an_editors_note_has_name_and_time_and_leaves_the_numbers_alone(shop: Builder) -> None:
    made = take(shop)
    write_note(shop.open(), made, "  The sale\nbegan on Friday. ", by="Ana", now=NOW)
    write_note(shop.open(), made, "It ended.", by="Bo", now=NOW + timedelta(hours=1))
    notes = notes_of(shop.open(), made)
    assert [(n.text, n.by, n.at) for n in notes] == [
        ("It ended.", "Bo", NOW + timedelta(hours=1)),
        ("The sale began on Friday.", "Ana", NOW),
    ]
    assert document(shop).as_dict() == made.as_dict()
    with pytest.raises(SnapshotError, match="the note is empty"):
        write_note(shop.open(), made, " \n", by="Ana", now=NOW)
    assert "> The sale began on Friday." in kpi(shop, "snapshot", "show").stdout


def test_a_definition_that_was_changed_after_the_sync_waits_for_the_next_one(shop: Builder) -> None:
    text = (shop.folder / "kpis" / "revenue.yml").read_text().removeprefix("name: revenue\n")
    shop.kpi("revenue", f"{text}\nfilter: paid")
    with pytest.raises(SnapshotError, match="Revenue: the definition changed after the last sync"):
        take(shop)
    done = take_due(shop.open(), now=NOW)
    assert done.taken == () and told(done) == ["snapshot weekly waits for a sync of the changed Revenue"]
    shop.sync(now=NOW + timedelta(minutes=1))
    assert rows_of(shop.open())[0].week == "2026-W46"
    shop.kpi("revenue", f"{text}\nfilter: paid\ndescription: Words change no number.")
    assert known(take(shop).line("revenue")).description == "Words change no number."


def test_a_wrong_snapshot_file_is_told_and_nothing_else_is_taken_in_its_place(shop: Builder) -> None:
    shop.write("snapshots", "weekly", "name: weekly\nsections: [{title: A, kpis: [revenu]}]\n")
    with pytest.raises(DefinitionError, match="the definition of snapshot 'weekly' is wrong"):
        take(shop)
    (line,) = told(take_due(shop.open(), now=NOW))
    assert line.startswith("snapshot weekly is not taken: ") and "unknown KPI 'revenu'" in line
    result = shop.sync(now=NOW + timedelta(minutes=1))
    assert line.splitlines()[0] in "\n".join(result.alerts) and rows_of(shop.open()) == []


def test_hours_and_weeks_from_sunday_follow_the_projects_clock(project: Builder) -> None:
    shop_of(project, snapshot="")
    project.settings("timezone: America/New_York\nweek_start: sunday\nname: Shop\n")
    rows = orders(END, start=END - pd.Timedelta(days=30))
    write(project, rows)
    project.write("datasets", "orders", "name: orders\nsource: orders\ntime_dimension: at\nwatermark: data\n")
    project.kpi("by_hour", "dataset: orders\nagg: count\ngrain: hour")
    project.sync(now=NOW)
    made = take(project)
    assert (made.week, made.start.isoformat(), made.end.isoformat()) == ("2026-W46", "2026-11-08", "2026-11-14")
    line = made.line("by_hour")
    assert line is not None and (line.period, line.before_period) == ("2026-11-15T04:00:00Z", "2026-11-08T04:00:00Z")
    assert line.value == ((rows["at"] >= "2026-11-15 04:00") & (rows["at"] < "2026-11-15 05:00")).sum()
    local = rows["at"].dt.tz_localize("UTC").dt.tz_convert("America/New_York")
    week = (local >= "2026-11-08") & (local < "2026-11-15")
    assert line.weeks[-1].value == week.sum() and line.weeks[-1].period.isoformat() == "2026-11-08"
    assert line.sentence.startswith(f"{line.text} at 15 Nov 04:00 UTC")


def test_kpis_without_exact_months_show_the_last_value_of_each(project: Builder) -> None:
    """A week's offset is no whole number of months, in a formula or in one that it names; a SELECT has its days."""
    shop_of(project, snapshot="name: weekly\nsections: [{title: All, kpis: [growth, twice, weekly, selected]}]\n")
    project.kpi("growth", "type: derived\nexpr: '{orders} / {orders} offset 1 week - 1'\nformat: percent")
    project.kpi("twice", "type: derived\nexpr: '2 * {growth}'")
    project.kpi("weekly", "type: derived\ngrain: week\nexpr: '{orders} - {orders} offset 2 weeks'")
    project.kpi("all_days", "type: sql\ndataset: orders\nsql: SELECT at AS period, 1 AS value FROM orders")
    project.kpi("selected", "type: derived\nexpr: '{all_days} + 1'")
    assert not project.sync(now=NOW).problems
    made = take(project)
    for line in made.lines:
        assert line.status != "definition_error" and line.value is not None, line.why
        assert line.months and f"By {line.grain}: the value of the last" in line.months_note, line.kpi
    assert answered(project, "snapshot", "diff", "--now", f"{NOW:%Y-%m-%dT%H:%M:%SZ}") == []
    catalogue = project.open().catalogue()
    assert catalogue.kpi("growth").offered_grains == ("day", "week")
    assert catalogue.kpi("weekly").offered_grains == ("week",)
    with pytest.raises(QueryRefused, match="no whole number of months"):
        project.ask("growth", grain="month")


def test_the_target_of_a_month_is_held_against_the_last_one_over(project: Builder) -> None:
    shop_of(project, snapshot="name: weekly\nsections: [{title: All, kpis: [orders]}]\n")
    project.kpi("orders", "dataset: orders\nagg: count\ngrain: day\ntargets: [{grain: month, value: 10000}]")
    project.sync(now=NOW)
    (line,) = take(project).lines
    assert line.target == 10000 and line.target_text == "10,000 (October 2026)"
    assert line.gap.endswith("under target (October 2026)") and line.why.startswith("October 2026: ")
    assert {point.target for point in line.months} == {10000.0} and {point.target for point in line.weeks} == {None}
