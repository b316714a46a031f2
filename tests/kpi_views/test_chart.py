"""What is drawn of a KPI: complete periods, and where the running one is heading; against plain pandas."""

from __future__ import annotations

import dataclasses
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.catalog.formula import formula, longer
from metrics.engine.answer import answer
from metrics.engine.data_context import DataContext
from metrics.engine.projection import LEAST, MOST, projection
from metrics.engine.query import Query
from metrics.kpi_views.chart import comparable_grains
from metrics.kpi_views.kpi_page import kpi_page
from tests.conftest import ROOT, Builder
from tests.sampling import sampled

DEMO_KPIS = sorted(p.stem for p in (ROOT / "metrics" / "definitions" / "kpis").glob("*.yml"))
KPIS = {
    "amount": "dataset: acts\nagg: sum\nexpr: v",
    "acts": "dataset: acts\nagg: count\ngrain: week",
    "people": "dataset: acts\nagg: count_distinct\nexpr: who",
    "mean": "dataset: acts\nagg: avg\nexpr: v",
    "most": "dataset: acts\nagg: max\nexpr: v",
    "share": "type: ratio\ndataset: acts\nnumerator: {agg: count, filter: good}\ndenominator: {agg: count}\n"
    "format: percent",
    "reach": "type: ratio\ndataset: acts\nnumerator: {agg: count_distinct, expr: who, filter: good}\n"
    "denominator: {agg: count_distinct, expr: who}\nformat: percent",
    "load": "type: derived\nexpr: 1000 * {amount} / {people}",
    "each": "type: derived\nexpr: 2 * {amount} / {acts_by_day} + {mean}",
    "acts_by_day": "dataset: acts\nagg: count",
    "to_date": "type: cumulative\ndataset: acts\nmeasure: {agg: sum, expr: v}\ngrain_to_date: month\ngrain: month",
    "actives": "dataset: acts\nagg: count_distinct\nexpr: who\nwindow: 7 days",
}
SCALES = {
    **dict.fromkeys(("amount", "acts", "acts_by_day"), "sum"),
    **dict.fromkeys(("people", "most", "reach", "load"), "other"),
    **dict.fromkeys(("mean", "share", "each", "to_date", "actives"), "level"),
}


def rows(seed: int, days: int, end: pd.Timestamp) -> pd.DataFrame:
    """Up to 30 rows a day up to the middle of the last one, none missing: 1 at least."""
    rng = np.random.default_rng(seed)
    first = end.normalize() - pd.Timedelta(days=days)
    counts = rng.integers(1, 30, days + 1)
    at = np.repeat(pd.date_range(first, periods=days + 1, freq="D"), counts)
    later = rng.integers(0, 86_400, len(at))
    later[np.cumsum(counts) - counts] = 60  # of each day one is early: what has no row yet is not observed either
    seconds = pd.to_timedelta(later, unit="s")
    frame = pd.DataFrame({"at": (pd.DatetimeIndex(at) + seconds).tz_localize("UTC")})
    frame["v"] = rng.integers(1, 50, len(frame)).astype("float64")
    frame["who"] = rng.integers(0, 40, len(frame)).astype("int64")
    frame["good"] = rng.random(len(frame)) < 0.6
    return frame[frame["at"] < end.tz_localize("UTC")].sort_values("at").reset_index(drop=True)


def world(folder: Path, seed: int) -> tuple[DataContext, pd.DataFrame, pd.Timestamp]:
    """A project of random length with all KPIS; its context, its rows, and the start of its running day."""
    draw = random.Random(seed)
    end = pd.Timestamp("2026-11-20") - pd.Timedelta(days=draw.randint(0, 60)) + pd.Timedelta(hours=13)
    data = rows(seed, draw.randint(20, 330), end)
    project = Builder(folder)
    project.rows("acts", data, watermark="data", entity="who")
    for name, text in KPIS.items():
        project.kpi(name, text)
    now = datetime(end.year, end.month, end.day, 15, tzinfo=UTC)
    project.sync(now)
    return project.open().context(now), data, end.normalize()


def test_a_period_that_is_over_by_the_clock_heads_nowhere(tmp_path: Path) -> None:
    context, _, _ = world(tmp_path / "p", 7)
    kpi = context.catalogue.kpi("amount")
    assert projection(context, kpi, "week") is not None
    late = dataclasses.replace(context, now=context.now + timedelta(days=9))
    assert projection(late, kpi, "week") is None
    page = kpi_page(late, "amount", grain="week", range_="all")
    assert page.chart.projected is None and "on pace" not in page.chart.note and "so far" in page.chart.note


def test_a_select_that_says_how_longer_periods_are_made_has_them(project: Builder) -> None:
    project.rows("acts", rows(2, 40, pd.Timestamp("2026-11-01 12:00")), watermark="data")
    for how in ("mean", "last", "max"):
        text = "type: sql\ndataset: acts\nsql: SELECT CAST(at AS DATE) AS period, sum(v) AS value FROM acts GROUP BY 1"
        project.kpi(how, f"{text}\nperiod_agg: {how}")
    now = datetime(2026, 11, 1, 15, tzinfo=UTC)
    project.sync(now)
    catalogue = project.open().context(now).catalogue
    found = {name: comparable_grains(kpi, catalogue) for name, kpi in catalogue.kpis.items()}
    assert found["max"] == ("day",) and {"week", "month"} <= {*found["mean"]} & {*found["last"]}


def test_what_a_longer_period_is_made_of_is_known_of_every_type(tmp_path: Path) -> None:
    context, _, _ = world(tmp_path / "p", 3)
    kpis = context.catalogue.kpis
    assert {name: kpi.longer(kpis) for name, kpi in kpis.items()} == SCALES
    for name, scale in SCALES.items():
        kpi = kpis[name]
        offered = comparable_grains(kpi, context.catalogue)
        page = kpi_page(context, name)
        assert (offered == (kpi.grain,)) == (scale == "other"), name
        assert any("depends on how long a period is" in note for note in page.notes) == (scale == "other")
        assert page.grains == offered


@pytest.mark.parametrize(
    ("text", "scale"),
    [
        ("{s} + {s}", "sum"),
        ("{s} / {s}", "level"),
        ("{s} / {l}", "sum"),
        ("{l} / {s}", "other"),
        ("{s} * {s}", "other"),
        ("{s} + 1", "other"),
        ("{l} + 1", "level"),
        ("least({s}, {s} * 2)", "other"),
        ("greatest({l}, 0)", "level"),
        ("{s} / {o}", "other"),
        ("-(2 * {s})", "sum"),
        ("1 - {s} / {s}", "level"),
    ],
)
def test_a_formula_keeps_track_of_the_length_of_periods(text: str, scale: str) -> None:
    parsed = formula(text)
    kinds: dict[str, Any] = {"s": "sum", "l": "level", "o": "other"}
    assert longer(parsed.tree, {f"p{i}": kinds[r.kpi] for i, r in enumerate(parsed.references)}) == scale


@sampled(fast=1, slow=2, full=40, shrink=False)
@given(seed=st.integers(0, 10**6))
def test_complete_periods_are_drawn_and_the_running_one_is_projected(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    context, data, today = world(tmp_path_factory.mktemp("chart") / "p", seed)
    daily = data.groupby(data["at"].dt.tz_localize(None).dt.normalize())["v"].agg(["sum", "count"])
    daily = daily[daily.index < today]
    for name, kpi in context.catalogue.kpis.items():
        for grain in comparable_grains(kpi, context.catalogue):
            _drawn_is_complete(context, name, grain)
            found = projection(context, kpi, grain)
            if SCALES[name] != "sum" and kpi.to_date_grain != grain:
                assert found is None, (name, grain)
            elif grain != "day":
                expected = by_hand(daily["count" if name.startswith("acts") else "sum"], grain, today)
                assert (found is None) == (expected is None), (name, grain, found, expected)
                if found is not None and expected is not None:
                    assert (found.so_far, found.value, found.low, found.high) == pytest.approx(expected)


def _drawn_is_complete(context: DataContext, name: str, grain: str) -> None:
    page = kpi_page(context, name, grain=grain, range_="all")
    frame = answer(Query(name, grain), context.catalogue, context.reader).frame
    done = frame[frame["complete"]].set_index("period")
    drawn = page.chart.lines[0]
    assert drawn.periods == list(frame.loc[frame["period"].between(done.index.min(), done.index.max()), "period"])
    known = {p: v for p, v in zip(drawn.periods, drawn.values, strict=True) if not np.isnan(v)}
    assert known == done["value"].dropna().to_dict()
    if page.chart.projected is not None:
        ahead = page.chart.projected
        assert ahead.since[0] == drawn.periods[-1] < ahead.period and ahead.low <= ahead.value <= ahead.high
        assert ahead.text in page.chart.note


def by_hand(daily: pd.Series, grain: str, today: pd.Timestamp) -> tuple[float, float, float, float] | None:
    """So far, projected, least and most: the median, least and greatest pace of the periods before."""
    frequency = {"week": "W-SUN", "month": "M", "quarter": "Q", "year": "Y"}[grain]
    running = pd.Period(today - pd.Timedelta(days=1), frequency)
    elapsed = (today - running.start_time).days
    if elapsed >= (running.end_time.normalize() - running.start_time).days + 1:
        return None
    paces = []
    for back in range(1, MOST + 1):
        start, end = (running - back).start_time, (running - back).end_time
        if start < daily.index[0]:
            break
        whole = daily[start:end]
        paces.append(whole.sum() / whole.iloc[:elapsed].sum())
    if len(paces) < LEAST:
        return None
    so_far = daily[running.start_time :].sum()
    return (so_far, *(round(so_far * of(paces)) for of in (np.median, min, max)))


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_a_running_day_goes_as_its_weekday_went(zone: str, project: Builder) -> None:
    project.settings(f"timezone: {zone}\n")
    hours = pd.date_range("2026-09-01", "2026-11-23 13:30", freq="30min", tz="UTC")
    frame = pd.DataFrame({"at": hours, "v": [float(1 + (i * 7) % 11) for i in range(len(hours))]})
    project.rows("events", frame, watermark="data")
    project.kpi("k", "dataset: events\nagg: sum\nexpr: v\ngrain: day\ngrains: [hour, day]")
    now = datetime(2026, 11, 23, 15, tzinfo=UTC)
    project.sync(now)
    context = project.open().context(now)
    local = frame.set_index(frame["at"].dt.tz_convert(zone).dt.tz_localize(None))["v"].sort_index()
    until = pd.Timestamp("2026-11-23 13:00", tz="UTC").tz_convert(zone).tz_localize(None) + pd.Timedelta(minutes=30)
    until = until.floor("h")
    paces = []
    for week in range(1, 9):
        day = pd.Timestamp("2026-11-23") - pd.Timedelta(days=7 * week)
        part = local[(local.index >= day) & (local.index < day + (until - pd.Timestamp("2026-11-23")))].sum()
        paces.append(local[(local.index >= day) & (local.index < day + pd.Timedelta(days=1))].sum() / part)
    so_far = local[(local.index >= "2026-11-23") & (local.index < until)].sum()
    found = projection(context, context.catalogue.kpi("k"))
    assert found is not None and found.until == until and found.so_far == so_far
    assert found.value == round(so_far * float(np.median(paces))) and found.earlier == 8


@pytest.mark.parametrize("name", DEMO_KPIS)
def test_the_demo_draws_nothing_that_is_not_complete(demo_world: DataContext, name: str) -> None:
    for grain in comparable_grains(demo_world.catalogue.kpi(name), demo_world.catalogue):
        _drawn_is_complete(demo_world, name, grain)


def test_a_breakdown_keeps_its_comparison(project: Builder) -> None:
    frame = rows(1, 60, pd.Timestamp("2026-11-01 12:00"))
    frame["plan"] = np.where(frame["who"] % 2, "pro", "free")
    project.rows("acts", frame, watermark="data", dimensions="[plan]")
    project.kpi("acts", "dataset: acts\nagg: count\ngrain: week")
    project.sync(datetime(2026, 11, 1, 15, tzinfo=UTC))
    page = kpi_page(
        project.open().context(datetime(2026, 11, 1, 15, tzinfo=UTC)),
        "acts",
        by="plan",
        compare="previous_range",
        range_="28d",
    )
    assert [line.kind for line in page.chart.lines] == ["segment", "comparison"] * 2
    assert {"Change", "Compared with"} <= {*page.table.columns}
    assert all(" · " in text for text in page.chart.lines[0].texts)
