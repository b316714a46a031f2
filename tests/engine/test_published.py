"""Answers that others published, of funnels, retention, sessions, conversions and a survey (tests/data/*/SOURCE.md)."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from metrics.engine.query import Filter
from metrics.presentation import export
from tests.conftest import Builder

DATA = Path(__file__).resolve().parent.parent / "data"
PUSHED = "watermark: sync"  # exports that hold all there was: the part months at their end count as over


def answers(name: str) -> Any:
    return json.loads((DATA / name / "expected.json").read_text())


def curves(project: Builder, kpi: str, **options: Any) -> dict[str, list[float]]:
    """Cohort → counts, as far as they are known."""
    series = project.ask(kpi, **options)
    rows = export.as_dict(series)["rows"]
    return {row["period"]: [c for c in row["curve"]["counts"] if c is not None] for row in rows}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    project = Builder(tmp_path_factory.mktemp("shop") / "project")
    path = DATA / "simple_shop" / "events.csv.gz"
    project.source(f"- {{name: clicks, type: files, table: clicks, path: {path}}}")
    head = f"time_dimension: timestamp\nentity: user_id\n{PUSHED}\n"
    project.write("datasets", "clicks", f"name: clicks\nsource: clicks\ndimensions: [event]\n{head}")
    project.write(
        "datasets",
        "joined",
        f"name: joined\ndimensions: {{cohort: cohort}}\n{head}source: |\n"
        "  SELECT c.*, strftime(min(timestamp) OVER (PARTITION BY user_id), '%Y-%m') AS cohort\n"
        "  FROM clicks c\n",
    )
    project.write(
        "datasets",
        "sessions",
        f"name: sessions\n{head}source: |\n"
        "  SELECT user_id, timestamp FROM (\n    SELECT user_id, timestamp,\n"
        "      lag(timestamp) OVER (PARTITION BY user_id ORDER BY timestamp) AS before FROM clicks)\n"
        "  WHERE before IS NULL OR timestamp - before > INTERVAL '30 minutes'\n",
    )
    project.sync()  # of the rows alone: the questions here are answered from them
    short = "".join(f"  - {{name: {s}, filter: event = '{s}'}}\n" for s in ("catalog", "cart", "payment_done"))
    product = "  - {name: product, filter: \"event IN ('product1', 'product2')\"}\n"
    long = short.replace("  - {name: cart", product + "  - {name: cart")
    for name, dataset, steps, window in (
        ("short", "clicks", short, ""),
        ("long", "clicks", long, ""),
        ("cohorts", "joined", long, ""),
        ("hour", "clicks", short, "1 hour"),
        ("day", "clicks", short, "1 day"),
        ("week", "clicks", short, "7 days"),
    ):
        text = f"type: funnel\ndataset: {dataset}\ngrain: month\nsteps:\n{steps}"
        project.kpi(f"funnel_{name}", text + (f"window: {window}\n" if window else ""))
    project.kpi("sessions", "dataset: sessions\nagg: count\ngrain: month")
    project.kpi("retention", "type: retention\ndataset: clicks\nunit: month\nat: 1\ngrain: month")
    project.kpi("weekly", "type: retention\ndataset: clicks\nunit: week\nat: 1\ngrain: week\ncurve: 22")
    project.kpi("stickiness", "type: stickiness\ndataset: clicks")
    project.kpi("lifecycle", "type: lifecycle\ndataset: clicks\ngrain: month")
    return project


def steps(project: Builder, kpi: str, by: str | None = None) -> dict[str, list[int]]:
    rows = export.as_dict(project.ask(kpi, grain="total", by=by))["rows"]
    return {row.get(by or "", ""): [step["count"] for step in row["steps"]] for row in rows}


def test_simple_shop_funnels(shop: Builder) -> None:
    assert steps(shop, "funnel_short") == {"": [3611, 1924, 653]}
    assert steps(shop, "funnel_long") == {"": [3611, 2010, 1257, 429]}
    published = answers("simple_shop")["published"]
    by_cohort = steps(shop, "funnel_cohorts", by="cohort")
    assert by_cohort["2020-01"] == published["funnel_2020_01_cohort"]
    assert by_cohort["2020-02"] == published["funnel_2020_02_cohort"]
    computed = answers("simple_shop")["computed"]["funnels"]
    for name, words in (("hour", "1 hour"), ("day", "1 day"), ("week", "7 days")):
        key = f"catalog>cart>payment_done within {words} of first catalog"
        assert steps(shop, f"funnel_{name}")[""] == computed[key], words
        total = shop.ask(f"funnel_{name}", grain="total")  # up to now: so far, and said to be so
        assert not total.frame["complete"].any()
        done = shop.ask(f"funnel_{name}", grain="total", end=date(2020, 6, 1)).frame
        assert done["complete"].all() and list(done["parts"][0]) == computed[key]


def test_simple_shop_sessions(shop: Builder) -> None:
    assert shop.values("sessions", grain="total")["total"] == 6454


def test_simple_shop_monthly_retention(shop: Builder) -> None:
    published = answers("simple_shop")["published"]["monthly_retention"]
    counts = answers("simple_shop")["computed"]["activity"]["monthly_cohorts_counts"]
    found = {month[:7]: row for month, row in curves(shop, "retention").items() if month <= "2020-04-01"}
    assert list(found) == list(published)
    for month, shares in published.items():
        # The published table stops where its own does; ours goes on to the last observed month.
        assert [c / found[month][0] for c in found[month][: len(shares)]] == pytest.approx(shares, abs=1e-6)
        assert found[month][:5] == pytest.approx(counts[month])
    assert shop.values("retention")["2019-12-01"] == pytest.approx(0.333333, abs=1e-6)


def test_simple_shop_weekly_cohorts_stickiness_and_new_users(shop: Builder) -> None:
    computed = answers("simple_shop")["computed"]["activity"]
    weeks = curves(shop, "weekly")
    for week, counts in computed["weekly_cohorts_monday_counts"].items():
        assert weeks[week][: len(counts)] == counts, week
    sticky = {m[:7]: v for m, v in shop.values("stickiness").items()}
    published = dict(computed["stickiness_calendar_month_mean_dau_over_mau"])
    last = published.pop("2020-04")  # a mean over the 29 days that the export holds; to us the 30th was quiet
    assert {m: sticky[m] for m in published} == pytest.approx(published, abs=1e-6)
    assert sticky["2020-04"] == pytest.approx(last * 29 / 30, abs=1e-6)
    rows = export.as_dict(shop.ask("lifecycle"))["rows"]
    new = {row["period"][:7]: row["new"] for row in rows if row["period"] <= "2020-04"}
    assert new == {m: n for m, n in computed["new_users_by_month"].items() if m <= "2020-03"}


@pytest.mark.slow
def test_online_retail_cohort_matrix(tmp_path: Path) -> None:
    """13 cohorts, 91 cells; the analysis kept cancellations and looked at identified customers."""
    published = answers("online_retail")["published"]["monthly_cohorts_counts_nan_filter"]
    project = Builder(tmp_path / "project")
    project.settings("timezone: Europe/London\n")
    path = DATA / "online_retail" / "online_retail.parquet"
    project.source(f"- {{name: invoices, type: files, table: invoices, path: {path}}}")
    project.write(
        "datasets",
        "lines",
        "name: lines\nsource: invoices\ntime_dimension: InvoiceDate\n"
        f"timezone: Europe/London\nentity: CustomerID\n{PUSHED}\n",
    )
    rule = "CustomerID IS NOT NULL AND Description IS NOT NULL AND NOT contains(lower(Description), 'nan')"
    project.kpi(
        "cohorts",
        f"type: retention\ndataset: lines\nunit: month\ngrain: month\nat: 1\ncurve: 12\nstart: {rule}\nreturn: {rule}",
    )
    project.sync(now=datetime(2012, 1, 1, tzinfo=UTC))
    found = {month[:7]: row for month, row in curves(project, "cohorts").items()}
    assert found == published
    assert sum(len(row) for row in found.values()) == 91
    # By the latest event, December 2011 is a part month: its cells are unknown, not low.
    project.write(
        "datasets",
        "lines",
        "name: lines\nsource: invoices\ntime_dimension: InvoiceDate\n"
        "timezone: Europe/London\nentity: CustomerID\nwatermark: data\n",
    )
    project.sync(now=datetime(2012, 1, 1, tzinfo=UTC))
    known = {month[:7]: row for month, row in curves(project, "cohorts").items()}
    assert known == {month: row[:-1] or row for month, row in published.items()}


def test_rstudio_nps(tmp_path: Path) -> None:
    expected = answers("rstudio_survey_2018")
    project = Builder(tmp_path / "project")
    for language in ("en", "es"):
        path = DATA / "rstudio_survey_2018" / f"responses_{language}.tsv.gz"
        project.source(f"- {{name: {language}, type: files, table: {language}, path: {path}}}")
    columns = "CAST(Qtime AS TIMESTAMP) AS at, TRY_CAST(Qrecommend AS BIGINT) AS score, Qr_experience, Qlike_best"
    both = "\n  UNION ALL\n".join(f"  SELECT {columns}, '{name}' AS language FROM {name}" for name in ("en", "es"))
    project.write(
        "datasets",
        "answers",
        "name: answers\ntime_dimension: at\n"
        f"dimensions: {{experience: Qr_experience, language: language}}\nsource: |\n{both}\n",
    )
    project.kpi("nps", "type: survey\ndataset: answers\nscore: score\ngrain: week\ncomment: Qlike_best")
    project.sync()
    english = (Filter("language", ("en",)),)

    def rows(**options: Any) -> list[dict[str, Any]]:
        return list(export.as_dict(project.ask("nps", **options))["rows"])

    (total,) = rows(grain="total", where=english)
    assert (
        (round(total["value"]), total["n"]) == (72, 3018) == (expected["published"]["nps"], expected["published"]["n"])
    )
    for language in ("en", "es"):
        (row,) = rows(grain="total", where=(Filter("language", (language,)),))
        want = expected["computed"][language]
        assert row["value"] == pytest.approx(want["nps"], abs=1e-6)
        assert [row[k] for k in ("n", "promoters", "passives", "detractors")] == [
            want[k] for k in ("n", "promoters", "passives", "detractors")
        ]
    weekly = {row["period"]: row for row in rows(where=english)}
    for week, want in expected["computed"]["weekly_monday_en"].items():
        assert weekly[week]["value"] == pytest.approx(want["nps"], abs=1e-6)
        assert weekly[week]["denominator"] == want["n"] == weekly[week]["n"]
        assert weekly[week]["numerator"] == want["promoters"] - want["detractors"]
    levels = {row["experience"]: row for row in rows(grain="total", by="experience", where=english)}
    for level, want in expected["computed"]["by_experience_en"].items():
        assert (levels[level]["n"], levels[level]["value"]) == (want["n"], pytest.approx(want["nps"], abs=1e-6))


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    project = Builder(tmp_path_factory.mktemp("visits") / "project")
    for name in ("visits", "buys"):
        path = DATA / "metricflow_fixture" / f"fct_{name}.csv"
        project.source(f"- {{name: {name}, type: files, table: {name}, path: {path}, types: {{ds: date}}}}")
        dims = "dimensions: [referrer_id]\n" if name == "visits" else ""
        project.write(
            "datasets", name, f"name: {name}\nsource: {name}\ntime_dimension: ds\nentity: user_id\n{PUSHED}\n{dims}"
        )
    text = "type: conversion\ndataset: visits\nof: events\nconversion: {dataset: buys}\n"
    for name, more in (
        ("ever", ""),
        ("week", "window: 7 days\n"),
        ("fb", "base: referrer_id = 'fb_ad_1'\n"),
        ("buys", "calculation: count\n"),
    ):
        project.kpi(f"rate_{name}", text + more)
    project.sync()
    return project


@pytest.mark.slow
def test_metricflow_conversions(visits: Builder) -> None:
    """Credited to the last visit at or before the buy; more than 1 is possible. Days with visits and no buy are 0."""
    computed = answers("metricflow_fixture")["computed"]
    for kpi, key in (("rate_ever", "infinite"), ("rate_week", "7days"), ("rate_fb", "fb_ad_1")):
        found = visits.values(kpi)
        for day, rate in computed[key]["rate_by_day"].items():
            assert found[day] == pytest.approx(rate or 0.0, abs=1e-6), (kpi, day)  # theirs: NULL without a buy
        assert found["2020-01-05"] is None  # nobody visited: unknown in both
        (total,) = visits.ask(kpi, grain="total", end=date(2020, 2, 1)).frame.to_dict("records")
        assert (total["numerator"], total["denominator"]) == (computed[key]["attributed_buys"], computed[key]["visits"])
    where = (Filter("referrer_id", ("fb_ad_1",)),)
    filtered = visits.values("rate_ever", where=where)
    assert {day: filtered[day] for day in computed["fb_ad_1"]["rate_by_day"]} == computed["fb_ad_1"]["rate_by_day"]
    assert visits.values("rate_buys", grain="total", where=where, end=date(2020, 1, 3))["total"] == 3  # theirs: 3
    assert visits.values("rate_week", grain="total", where=where, end=date(2020, 1, 3))["total"] == 1.5  # theirs


@pytest.mark.breadth(1)
@pytest.mark.parametrize("unit", ["day", "month"])
def test_posthog_retention_triangles(tmp_path: Path, unit: str) -> None:
    """Two distinct ids of one person count once; everyone active in a period starts a cohort there."""
    published = answers("posthog_retention_fixture")["published"][f"{unit}_interval"]
    project = Builder(tmp_path / "project")
    folder = DATA / "posthog_retention_fixture"
    project.source(f"- {{name: ids, type: files, table: ids, path: {folder}/person_distinct_ids.csv}}")
    project.source(f"- {{name: events, type: files, table: events, path: {folder}/events_{unit}.csv}}")
    project.write(
        "datasets",
        "events",
        "name: events\ntime_dimension: timestamp\nentity: person_id\n"
        f"{PUSHED}\nsource: SELECT e.*, person_id FROM events e JOIN ids USING (distinct_id)\n",
    )
    project.kpi(
        "back", f"type: retention\ndataset: events\ncohort: recurring\nunit: {unit}\ngrain: {unit}\nat: 1\ncurve: 10"
    )
    last = pd.Timestamp("2020-06-21" if unit == "day" else "2020-12-01", tz="UTC").to_pydatetime()
    project.sync(now=last)
    rows = list(curves(project, "back").values())
    assert rows == published
