"""To date: equal elapsed parts of the running period and of the one before."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pytest

from connectors.errors import QueryRefused
from metrics.engine.query import Filter
from metrics.kpi_views.kpi_page import kpi_page
from tests.conftest import Builder

NOW = datetime(2026, 3, 18, 4, tzinfo=UTC)


@pytest.fixture
def shop(project: Builder) -> Builder:
    days = pd.date_range("2026-01-01", "2026-03-17 23:00", freq="6h")
    frame = pd.DataFrame(
        {
            "at": days,
            "amount": [float(i % 7 + 1) for i in range(len(days))],
            "user_id": [i * 7 % 11 for i in range(len(days))],
            "plan": [("pro", "free", "team")[i % 3] for i in range(len(days))],
        }
    )
    project.rows("orders", frame, entity="user_id", dimensions="[plan]", watermark="whole_days")
    common = "dataset: orders\ngrain: month\n"
    project.kpi("revenue", common + "agg: sum\nexpr: amount")
    project.kpi("buyers", common + "agg: count_distinct\nexpr: user_id")
    project.kpi(
        "share",
        "type: ratio\ngrain: month\nnumerator: {dataset: orders, agg: count, filter: amount > 3}\n"
        "denominator: {dataset: orders, agg: count}\nformat: percent",
    )
    project.kpi("running", "type: cumulative\ngrain: month\nmeasure: revenue\ngrain_to_date: month\n")
    project.kpi("life", "type: lifecycle\ndataset: orders\ngrain: month")
    project.kpi("mean", "dataset: orders\nagg: count\nperiod_agg: mean\ngrain: day")
    project.sync(now=NOW)
    return project


def by_hand(project: Builder, what: str, plan: str | None = None) -> tuple[float, float]:
    rows = pd.read_parquet(project.folder / "files" / "orders.parquet")
    rows = rows if plan is None else rows[rows["plan"] == plan]
    found = []
    for month in ("2026-03", "2026-02"):
        part = rows[(rows["at"] >= f"{month}-01") & (rows["at"] < f"{month}-18")]
        total = part["amount"].sum()
        shares = {"share": (part["amount"] > 3).mean(), "buyers": part["user_id"].nunique()}
        found.append({"revenue": total, "running": total, **shares}[what])
    return found[0], found[1]


@pytest.mark.breadth(1)
@pytest.mark.parametrize("kpi", ["revenue", "buyers", "share", "running"])
def test_the_running_period_compares_with_the_same_part_of_the_one_before(shop: Builder, kpi: str) -> None:
    for plan in (None, "pro"):
        where = (Filter("plan", (plan,)),) if plan else ()
        rows = shop.ask(kpi, compare="to_date", where=where).frame.to_dict("records")
        now, before = by_hand(shop, kpi, plan)
        last = rows[-1]
        assert (last["complete"], last["value"], last["comparison"]) == (
            False,
            pytest.approx(now),
            pytest.approx(before),
        )
        assert last["change"] == pytest.approx(now - before if kpi == "share" else now / before - 1)
        assert rows[-2]["comparison"] == pytest.approx(rows[-3]["value"])  # a whole month against a whole month
    by = shop.ask(kpi, compare="to_date", by="plan").frame
    (pro,) = by[(by["segment"] == "pro") & (by["period"] == "2026-03-01")].to_dict("records")
    assert pro["comparison"] == pytest.approx(by_hand(shop, kpi, "pro")[1])


def test_a_part_without_an_exact_value_is_not_compared(shop: Builder) -> None:
    for kpi, grain in (("life", "month"), ("mean", "month")):
        last: dict[str, Any] = shop.ask(kpi, grain=grain, compare="to_date").frame.iloc[-1].to_dict()
        assert not last["complete"] and pd.isna(last["change"])
    with pytest.raises(QueryRefused, match="whole days of a longer period"):
        shop.ask("mean", compare="to_date", start=date(2026, 3, 1))


def test_the_page_says_it_in_one_line(shop: Builder) -> None:
    page = kpi_page(shop.open().context(NOW), "revenue")
    assert (
        page.so_far.startswith("March 2026 so far, 17 of 31 days: 2")
        and "at the same point of the month before (" in page.so_far
    )
    assert kpi_page(shop.open().context(NOW), "mean").so_far == ""
