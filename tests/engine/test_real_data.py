"""Published and independently computed answers of real data sets (tests/data/*/SOURCE.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.conftest import Builder

DATA = Path(__file__).resolve().parent.parent / "data"
CLEAN = "CustomerID IS NOT NULL AND Quantity > 0 AND UnitPrice > 0"


@pytest.fixture(scope="module")
def retail(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    project = Builder(tmp_path_factory.mktemp("retail") / "project")
    project.settings("timezone: Europe/London\n")
    path = DATA / "online_retail" / "online_retail.parquet"
    project.source(f"- {{name: invoices, type: files, table: invoices, path: {path}}}")
    project.write(
        "datasets",
        "lines",
        "name: lines\nsource: invoices\ntime_dimension: InvoiceDate\n"
        "timezone: Europe/London\nentity: CustomerID\ndimensions: {country: Country}\n",
    )
    project.write(
        "datasets",
        "orders",
        "name: orders\ntime_dimension: ordered_at\ntimezone: Europe/London\nsource: |\n"
        "  SELECT InvoiceNo, min(InvoiceDate) AS ordered_at, sum(Quantity * UnitPrice) AS amount\n"
        f"  FROM invoices WHERE {CLEAN} GROUP BY InvoiceNo\n",
    )
    revenue = "dataset: lines\nagg: sum\nexpr: Quantity * UnitPrice\ngrain: month\nformat: currency GBP\n"
    for name, rule in (
        ("clean", CLEAN),
        ("net", ""),
        ("gross", "Quantity > 0"),
        ("identified", "CustomerID IS NOT NULL"),
    ):
        project.kpi(f"revenue_{name}", revenue + (f"filter: {rule}\n" if rule else ""))
    for name, expr in (("orders", "InvoiceNo"), ("customers", "CustomerID")):
        project.kpi(name, f"dataset: lines\nagg: count_distinct\nexpr: {expr}\nfilter: {CLEAN}\ngrain: month")
    project.kpi("arpu", "type: ratio\nnumerator: revenue_clean\ndenominator: customers\ngrain: month")
    for name, agg in (("mean", "avg"), ("median", "median"), ("p95", "percentile\npercentile: 0.95")):
        project.kpi(f"aov_{name}", f"dataset: orders\nagg: {agg}\nexpr: amount\ngrain: month")
    project.sync()
    return project


@pytest.fixture(scope="module")
def retail_answers() -> Any:
    return json.loads((DATA / "online_retail" / "expected.json").read_text())["computed"]


def total(project: Builder, kpi: str) -> float:
    return float(project.values(kpi, grain="total")["total"])


def test_four_revenues_of_one_dataset(retail: Builder, retail_answers: Any) -> None:
    assert total(retail, "revenue_clean") == pytest.approx(retail_answers["clean"]["revenue"], abs=0.01)
    assert total(retail, "revenue_clean") == pytest.approx(8_911_407.90, abs=0.01)
    assert total(retail, "revenue_net") == pytest.approx(retail_answers["raw"]["net_revenue_all_rows"], abs=0.01)
    assert total(retail, "revenue_gross") == pytest.approx(
        retail_answers["raw"]["gross_revenue_qty_gt0_all_rows"], abs=0.01
    )
    assert total(retail, "revenue_identified") == pytest.approx(retail_answers["identified"]["net_revenue"], abs=0.01)


def test_orders_customers_and_what_each_spends(retail: Builder, retail_answers: Any) -> None:
    clean = retail_answers["clean"]
    assert total(retail, "orders") == clean["orders"] == 18_532
    assert total(retail, "customers") == clean["customers"]
    assert total(retail, "arpu") == pytest.approx(2_054.27, abs=0.01)
    customers = {p[:7]: v for p, v in retail.values("customers").items()}
    assert customers == clean["monthly_customers"]
    revenue = {p[:7]: v for p, v in retail.values("revenue_clean").items()}
    assert revenue == pytest.approx(clean["monthly_revenue"], abs=0.01)
    arpu = {p[:7]: v for p, v in retail.values("arpu").items()}
    assert arpu == pytest.approx(clean["monthly_arpu"], rel=1e-6)


def test_order_values(retail: Builder, retail_answers: Any) -> None:
    clean = retail_answers["clean"]
    found = {name: total(retail, f"aov_{name}") for name in ("mean", "median", "p95")}
    keys = {k: v for k, v in clean.items() if k.startswith("aov") or "order_value" in k}
    assert keys, "expected.json no longer has order values"
    flat = json.dumps(keys)
    for name, value in found.items():
        assert any(abs(value - float(x)) < 0.01 for x in _numbers(flat)), (name, value, keys)


def _numbers(text: str) -> list[float]:
    found: list[float] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            walk(list(value.values()))
        elif isinstance(value, list):
            for one in value:
                walk(one)
        elif isinstance(value, (int, float)):
            found.append(float(value))

    walk(json.loads(text))
    return found


def test_simple_shop_active_users(tmp_path: Path) -> None:
    answers = json.loads((DATA / "simple_shop" / "expected.json").read_text())["computed"]["activity"]
    project = Builder(tmp_path / "project")
    path = DATA / "simple_shop" / "events.csv.gz"
    project.source(f"- {{name: clicks, type: files, table: clicks, path: {path}}}")
    project.write("datasets", "clicks", "name: clicks\nsource: clicks\ntime_dimension: timestamp\nentity: user_id\n")
    distinct = "dataset: clicks\nagg: count_distinct\nexpr: user_id\n"
    project.kpi("dau", distinct)
    project.kpi("mau", distinct + "grain: month")
    for days in (7, 28, 30):
        project.kpi(f"rolling{days}", distinct + f"window: {days} days")
    project.sync()
    daily = pd.Series(project.values("dau"), dtype=float)
    assert len(daily) == answers["days_in_range"]
    assert daily.median() == answers["dau_median"]
    assert np.percentile(daily, 95) == pytest.approx(answers["dau_p95_linear"])
    assert [daily.idxmax(), int(daily.max())] == answers["dau_max"]
    assert daily.mean() == pytest.approx(answers["dau_mean_over_all_calendar_days"], rel=1e-6)
    for day, value in answers["dau_samples"].items():
        assert daily[day] == value
    for key, kpi in (
        ("wau_rolling7_samples", "rolling7"),
        ("mau_rolling28_samples", "rolling28"),
        ("mau_rolling30_samples", "rolling30"),
    ):
        found = project.values(kpi)
        assert {day: found[day] for day in answers[key]} == answers[key]
    weeks = project.values("dau", grain="week")
    assert {w: weeks[w] for w in answers["wau_calendar_monday_weeks"]} == answers["wau_calendar_monday_weeks"]
    months = {p[:7]: v for p, v in project.values("mau").items()}
    key = next(k for k in answers if k.startswith("mau_calendar"))
    assert months == {k[:7]: v for k, v in answers[key].items()}
