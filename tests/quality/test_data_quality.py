"""Warnings about what is valid but surely wrong, each against data that has the fault and data that has not."""

from __future__ import annotations

from datetime import datetime, timedelta

import pandas as pd
import pytest

from jobs.authoring.validate import validate
from metrics.kpi_views.origin import origin
from metrics.quality.data_page import data_page
from tests.conftest import NOW, Builder

pytestmark = pytest.mark.breadth(4)

AT = pd.date_range("2026-10-12", periods=42 * 24, freq="h")


@pytest.fixture
def shop(project: Builder) -> Builder:
    frame = pd.DataFrame({"at": AT, "id": range(len(AT)), "user": [n % 7 for n in range(len(AT))], "amount": 1.0})
    frame["event"] = ["core_action", "open", "Pay"] * 336
    frame["amount"] += frame["id"] % 11
    project.rows("events", frame, dimensions="[event]")
    project.kpi("n", "dataset: events\nagg: sum\nexpr: amount")
    return project


def codes(project: Builder, now: datetime = NOW) -> list[tuple[str, str]]:
    return [(p.code, p.message) for p in validate(project.open(), [], now=now)]


def test_sound_definitions_have_no_warning(shop: Builder) -> None:
    shop.kpi("core", "dataset: events\nagg: sum\nexpr: amount\nfilter: event IN ('core_action', 'Pay')")
    assert shop.sync().problems == () and codes(shop) == []


def test_rows_without_a_time_and_in_the_future_are_counted_and_told(shop: Builder) -> None:
    frame = pd.DataFrame({"at": [*pd.date_range("2026-11-20", periods=8), pd.NaT, pd.NaT], "amount": 2.0})
    shop.rows("visits", frame)
    shop.kpi("visits_count", "dataset: visits\nagg: count")
    told = [str(p) for p in shop.sync().problems]
    assert any("2 of 10 rows have no at: no period has them" in p and "visits.yml:3" in p for p in told), told
    assert any("4 of 10 rows lie in the future" in p for p in told), told
    assert {code for code, _ in codes(shop)} == {"no_time", "in_the_future"}
    shop.write("datasets", "seen", "name: seen\nsource: visits\ntime_dimension: seen_at\n")
    frame.assign(seen_at=frame["at"].fillna(NOW.replace(tzinfo=None))).to_parquet(shop.folder / "files/visits.parquet")
    shop.sync()
    assert "no_time" not in {code for code, _ in codes(shop)}  # they are counted by another time
    project = shop.open()
    sheet = origin("visits_count", project.catalogue(project.reader()), project.reader(), {}, {})
    fact = dict(sheet.facts)["Rows of visits"]
    assert "4 lie in the future and are not counted" in fact and "2 have no at and are in no period" in fact


def test_a_filter_value_that_never_occurs_names_the_nearest(shop: Builder) -> None:
    shop.kpi("core", "dataset: events\nagg: count\nfilter: event = 'core_acton'")
    shop.kpi(
        "share",
        "type: ratio\ndataset: events\nnumerator: {agg: count, filter: \"event in ('open', 'pay')\"}\n"
        "denominator: {agg: count}",
    )
    shop.sync()
    found = validate(shop.open(), [], now=NOW)
    never = {(p.file.rsplit("/", 1)[1], p.line): (p.message, p.hint) for p in found if p.code == "never_occurs"}
    assert never[("core.yml", 4)][0] == "event is never 'core_acton'"
    assert "Did you mean 'core_action'?" in never[("core.yml", 4)][1]
    assert never[("share.yml", 4)][0] == "event is never 'pay'" and "'Pay'" in never[("share.yml", 4)][1]


def test_a_share_above_one(shop: Builder) -> None:
    body = "type: ratio\ndataset: events\nnumerator: {agg: count}\ndenominator: {agg: count_distinct, expr: user}\n"
    shop.kpi("share", body + "format: percent")
    shop.kpi("per_user", body + 'format: "0.0"')
    shop.sync()
    assert [m.split(",")[0] for c, m in codes(shop) if c == "above_one"] == ["a share above 100% in 41 of 41 days"]


def test_joins_that_multiply_and_keys_that_repeat(shop: Builder) -> None:
    shop.rows("users", pd.DataFrame({"at": AT[:8], "user": [0, 1, 2, 3, 4, 5, 6, 6], "plan": "a"}))
    for name, on in (
        ("wide", "u.user = e.user"),
        ("narrow", "u.user = e.user AND u.\"at\" < TIMESTAMP '2026-10-12 07:00'"),
    ):
        query = f"SELECT e.*, u.plan FROM events e LEFT JOIN users u ON {on}"
        shop.write("datasets", name, f"name: {name}\nsql: {query}\ntime_dimension: at\nprimary_key: id\n")
    shop.sync()
    found = codes(shop)
    assert found == [
        ("multiplies", "its joins turn 1,008 rows of events into 1,152: sums count some twice"),
        ("repeated_key", "the primary key repeats: 144 of 1,152 rows have one again"),
    ]


def test_a_sudden_change_of_row_counts(shop: Builder) -> None:
    shop.sync()
    frame = pd.read_parquet(shop.folder / "files" / "events.parquet")
    last = frame["at"].dt.strftime("%d %b") == "21 Nov"  # the 22nd is not complete: its last hour still runs
    frame[~last | (frame["at"].dt.hour == 23)].to_parquet(shop.folder / "files" / "events.parquet", index=False)
    shop.sync()
    assert ("row_count", "21 Nov has 1 row; the 4 Saturdays before had 24 to 24") in codes(shop)
    pd.concat([frame, frame[last], frame[last]]).to_parquet(shop.folder / "files" / "events.parquet", index=False)
    result = shop.sync()
    assert ("row_count", "21 Nov has 72 rows; the 4 Saturdays before had 24 to 24") in codes(shop)
    assert [p.code for p in result.problems] == ["row_count"]
    frame.head(500).to_parquet(shop.folder / "files" / "events.parquet", index=False)
    shop.sync()
    assert ("row_count", "it has 500 rows, and had 1,056 at the sync before") in codes(shop)
    assert "row_count" in [p.code for p in data_page(shop.open().context(NOW)).problems]


def test_a_constant_kpi(shop: Builder) -> None:
    shop.kpi("flat", "dataset: events\nagg: count_distinct\nexpr: user")
    shop.sync()
    assert codes(shop) == [("constant", "it has been 7 for 28 days")]
    shop.kpi("flat", "dataset: events\nagg: count_distinct\nexpr: user\noverview: false")
    assert codes(shop) == []  # one that only serves others may be


def test_a_silent_change_of_a_definition(shop: Builder) -> None:
    shop.sync()
    shop.kpi("n", "dataset: events\nagg: sum\nexpr: amount\nfilter: amount > 1")
    assert codes(shop) == [("unannounced", "its definition differs from the one published last")]
    changes = "\nchanges: [{on: 2026-11-22, why: ones are noise}]"
    shop.kpi("n", "dataset: events\nagg: sum\nexpr: amount\nfilter: amount > 1" + changes)
    assert codes(shop) == []
    assert [c for c, _ in codes(shop, NOW + timedelta(days=30))] == ["unannounced"]
