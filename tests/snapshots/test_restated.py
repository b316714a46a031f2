"""Restated since: ten weeks in which rows come late and a KPI is redefined; every cause worked out by pandas, too."""

from __future__ import annotations

import math
from datetime import timedelta

import pandas as pd
import pytest

from jobs.snapshots.restatements import restated_since
from metrics.snapshots.comparing import compared
from metrics.snapshots.document import Document
from tests.conftest import Builder
from tests.snapshots.conftest import (
    END,
    NOW,
    answered,
    document,
    kpi,
    morning,
    orders,
    shop_of,
    take,
    write,
)

pytestmark = pytest.mark.breadth(2)

WEEKS = 10
BEGUN = pd.Timestamp("2026-08-03")  # a shorter history: ten syncs are enough to wait for
REDEFINED = "label: Revenue\ndataset: orders\nagg: sum\nexpr: amount\nfilter: paid\ngrain: week\nformat: currency EUR"

SCALED = """import pandas as pd


def scaled(values: pd.Series) -> pd.Series:
    \"\"\"Values times something.\"\"\"
    return values * {}
"""


def late(day: str, count: int) -> pd.DataFrame:
    """Rows of a day that nobody had told of."""
    at = pd.date_range(f"{day} 08:00", periods=count, freq="7min")
    return pd.DataFrame(
        {"at": at, "platform": "web", "amount": 20.0, "paid": [k % 2 == 0 for k in range(count)], "who": 1}
    )


def revenue_of(frame: pd.DataFrame, made: Document, *, paid_only: bool) -> float:
    inside = frame[(frame["at"] >= f"{made.start}") & (frame["at"] < pd.Timestamp(made.end) + pd.Timedelta(days=1))]
    return float(inside[inside["paid"]]["amount"].sum() if paid_only else inside["amount"].sum())


def orders_of(frame: pd.DataFrame, made: Document) -> float:
    return float((frame["at"].dt.date == made.end).sum())


def share_of(frame: pd.DataFrame, made: Document) -> float:
    inside = frame[(frame["at"] >= f"{made.start}") & (frame["at"] < pd.Timestamp(made.end) + pd.Timedelta(days=1))]
    return float(inside["paid"].mean())


@pytest.mark.slow
def test_ten_weeks_with_late_rows_and_a_redefinition(project: Builder) -> None:
    extra = pd.DataFrame(columns=["at", "platform", "amount", "paid", "who"])
    made: list[Document] = []
    for number in range(WEEKS):
        end = END - pd.Timedelta(days=7 * (WEEKS - 1 - number))
        if number == 0:
            shop_of(project, end, snapshot="")
        if number == 4:  # rows of the Sunday of the third week, and of a Wednesday
            extra = pd.concat([late("2026-09-27", 40), late("2026-09-23", 9)], ignore_index=True)
        if number == 7:
            project.kpi("revenue", REDEFINED)
        if number == 8:  # rows of a week that was published by the old definition
            extra = pd.concat([extra, late("2026-10-14", 15)], ignore_index=True)
        frame = pd.concat([orders(end, start=BEGUN), extra[extra["at"] < end]], ignore_index=True).sort_values("at")
        write(project, frame.astype({"paid": bool, "who": "int64", "amount": "float64"}))
        project.sync(now=morning(end))
        made.append(take(project, now=morning(end)))
    assert [m.week for m in made] == [f"2026-W{n}" for n in range(37, 47)]
    assert all(document(project, m.week).as_dict() == m.as_dict() for m in made), "a published value changed"
    causes: dict[tuple[str, str], str] = {}
    for index, one in enumerate(made):
        old_then = not (index >= 7)
        then = revenue_of(frame, one, paid_only=not old_then)  # by the definition of then, on the rows of now
        now = {
            "revenue": revenue_of(frame, one, paid_only=True),
            "orders": orders_of(frame, one),
            "paid_share": share_of(frame, one),
        }
        expected = {}
        for name, value in now.items():
            line = one.line(name)
            assert line is not None and line.value is not None
            if not math.isclose(line.value, value, rel_tol=1e-9):
                cause = "late data"
                if name == "revenue" and old_then:
                    same = math.isclose(line.value, then, rel_tol=1e-9)
                    cause = "changed definition" if same else "late data and changed definition"
                expected[name] = (line.value, value, cause)
        rows = [r for r in answered(project, "snapshot", "diff", "--week", one.week) if "segment" not in r]
        found = {r["kpi"]: (r["published"], r["now"], r["cause"]) for r in rows if r["kpi"] != "buyers"}
        assert set(found) == set(expected), one.week
        for name, (published, value, cause) in expected.items():
            assert found[name] == (published, pytest.approx(value, rel=1e-9), cause), (one.week, name)
            causes[(one.week, name)] = cause
    assert {week for (week, name), cause in causes.items() if name == "revenue"} == {
        f"2026-W{n}" for n in range(37, 44)
    }
    assert causes[("2026-W39", "revenue")] == "late data and changed definition"
    assert causes[("2026-W42", "revenue")] == "late data and changed definition"
    assert causes[("2026-W40", "revenue")] == "changed definition"
    assert causes[("2026-W39", "orders")] == causes[("2026-W39", "paid_share")] == "late data"
    assert ("2026-W40", "orders") not in causes


def test_both_causes_in_one_sync_are_told_apart(shop: Builder) -> None:
    take(shop)
    shop.kpi("revenue", REDEFINED)
    write(shop, pd.concat([orders(END), late("2026-11-15", 30)], ignore_index=True))
    shop.sync(now=NOW + timedelta(hours=1))
    found = {(r["kpi"], "segment" in r): r["cause"] for r in answered(shop, "snapshot", "diff")}
    assert found == {
        ("revenue", False): "late data and changed definition",
        ("orders", False): "late data",
        ("orders", True): "late data",
        ("paid_share", False): "late data",
    }


def test_weeks_and_months_of_the_charts_are_compared_too(shop: Builder) -> None:
    take(shop)
    write(shop, pd.concat([orders(END), late("2026-10-14", 30)], ignore_index=True))
    shop.sync(now=NOW + timedelta(hours=1))
    heads = answered(shop, "snapshot", "diff")
    assert [r["kpi"] for r in heads] in ([], ["buyers"])
    rows = answered(shop, "snapshot", "diff", "--points")
    orders_now = [r for r in rows if r["kpi"] == "orders" and "segment" not in r]
    assert [(r["grain"], r["period"], r["now"] - r["published"]) for r in orders_now] == [
        ("week", "2026-10-12", 30),
        ("month", "2026-10-01", 30),
    ]
    shown = kpi(shop, "snapshot", "diff", "--points").stdout
    assert "2026-10-12" in shown and "late data" in shown


def test_a_kpi_that_is_gone_says_so_and_keeps_its_published_number(shop: Builder) -> None:
    made = take(shop)
    (shop.folder / "kpis" / "orders.yml").unlink()
    shop.write("snapshots", "weekly", "name: weekly\n")
    shop.sync(now=NOW + timedelta(hours=1))
    rows = answered(shop, "snapshot", "diff")
    line = made.line("orders")
    assert line is not None
    assert {"kpi": "orders", "published": line.value, "now": None, "cause": "removed"} in rows
    assert f"| Orders | {line.text} |" in kpi(shop, "snapshot", "show").stdout


def test_a_changed_transform_is_a_changed_definition(shop: Builder) -> None:
    shop.write("transforms", "scaled", SCALED.format(2))
    text = (shop.folder / "kpis" / "revenue.yml").read_text().removeprefix("name: revenue\n")
    shop.kpi("revenue", f"{text}\ntransforms: [scaled]")
    shop.sync(now=NOW + timedelta(minutes=1))
    take(shop, now=NOW + timedelta(minutes=2))
    shop.write("transforms", "scaled", SCALED.format(3))
    shop.sync(now=NOW + timedelta(hours=1))
    (row,) = answered(shop, "snapshot", "diff")
    assert row["cause"] == "changed definition" and row["now"] == pytest.approx(row["published"] * 1.5)


def test_nothing_restated_is_said_in_words(shop: Builder) -> None:
    made = take(shop)
    assert restated_since(shop.open(), made, now=NOW) == ()
    assert kpi(shop, "snapshot", "diff").stdout == "Nothing was restated.\n"
    assert answered(shop, "snapshot", "diff") == []


def test_two_weeks_are_compared_as_they_were_published(shop: Builder) -> None:
    earlier, later = take(shop, "2026-W45"), take(shop, "2026-W46")
    pairs = {pair.title: pair for pair in compared(earlier, later)}
    one, other = earlier.line("revenue"), later.line("revenue")
    assert one is not None and other is not None and one.value is not None and other.value is not None
    change = (other.value / one.value - 1) * 100
    found = pairs["Revenue"]
    assert (found.earlier, found.later) == (one.text, other.text) and not found.redefined
    assert abs(float(found.change.rstrip("%").replace("−", "-")) - change) < 0.051
    assert pairs["Paid share"].change.endswith(" points")
