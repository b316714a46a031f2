"""The engine against plain pandas that shares no code with it, over random rows and questions."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.engine.query import Filter
from tests.conftest import Builder
from tests.sampling import cases, sampled

# The first has both a skipped and a doubled hour, and weeks from Sunday on.
ZONES = ("America/New_York", "UTC", "Asia/Kolkata")[: cases(fast=1, slow=3, full=3)]
KPIS = {
    "n": "dataset: events\nagg: count",
    "people": "dataset: events\nagg: count_distinct\nexpr: user_id",
    "total": "dataset: events\nagg: sum\nexpr: amount",
    "mean": "dataset: events\nagg: avg\nexpr: amount",
    "median": "dataset: events\nagg: median\nexpr: amount",
    "p90": "dataset: events\nagg: percentile\npercentile: 0.9\nexpr: amount",
    "big": "dataset: events\nagg: count\nfilter: amount > 50",
    "low": "dataset: events\nagg: min\nexpr: amount",
    "share": "type: ratio\nnumerator: big\ndenominator: n",
    "active7": "dataset: events\nagg: count_distinct\nexpr: user_id\nwindow: 7 days",
    "sum3": "dataset: events\nagg: sum\nexpr: amount\nwindow: 3 days",
    "twice": 'type: derived\nexpr: "{total} / {people} + 1"',
}


def random_events(seed: int) -> pd.DataFrame:
    """Rows with nulls, duplicates, gaps of days, users on two platforms, and both daylight saving days."""
    rng = np.random.default_rng(seed)
    n = 900
    day = rng.choice([*range(0, 40), *range(46, 75)], n)
    at = pd.Timestamp("2026-09-05") + pd.to_timedelta(day * 86400 + rng.integers(0, 86400, n), unit="s")
    platform = rng.choice(np.array(["web", "ios", None], dtype=object), n, p=[0.5, 0.4, 0.1])
    amount = np.where(rng.random(n) < 0.08, np.nan, np.round(rng.exponential(40, n), 2))
    frame = pd.DataFrame(
        {"at": at, "user_id": rng.integers(1, 60, n).astype(float), "platform": platform, "amount": amount}
    )
    frame.loc[rng.random(n) < 0.05, "user_id"] = np.nan
    return pd.concat([frame, frame.sample(40, random_state=seed)], ignore_index=True)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Builder, pd.DataFrame]]:
    found = {}
    for index, zone in enumerate(ZONES):
        project = Builder(tmp_path_factory.mktemp("second") / "project")
        project.settings(f"timezone: {zone}\nweek_start: {'sunday' if index == 0 else 'monday'}\n")
        frame = random_events(index)
        project.rows("events", frame, dimensions="[platform]", entity="user_id")
        for name, text in KPIS.items():
            project.kpi(name, text)
        project.sync()
        local = frame["at"].dt.tz_localize("UTC").dt.tz_convert(zone).dt.tz_localize(None)
        found[zone] = project, frame.assign(local=local, platform=frame["platform"].fillna("(none)"))
    return found


def period_of(local: pd.Series, grain: str, first_weekday: int) -> pd.Series:
    day = local.dt.normalize()
    if grain == "week":
        return day - pd.to_timedelta((day.dt.day_of_week - first_weekday) % 7, unit="D")
    return day if grain == "day" else day - pd.to_timedelta(day.dt.day - 1, unit="D")


def oracle(name: str, rows: pd.DataFrame) -> float:
    """One number by hand from the rows of one period (or of one window)."""
    amount = rows["amount"].dropna().tolist()
    people = len({u for u in rows["user_id"] if not math.isnan(u)})
    if name in ("mean", "median", "p90", "low"):
        if not amount:
            return math.nan
        ways: dict[str, Callable[[list[float]], Any]] = {
            "mean": np.mean,
            "median": np.median,
            "p90": lambda a: np.percentile(a, 90),
            "low": min,
        }
        return float(ways[name](amount))
    total = sum(amount) if amount or rows.empty else math.nan
    big = sum(a > 50 for a in amount)
    found: dict[str, float] = {
        "n": len(rows),
        "people": people,
        "total": total,
        "big": big,
        "active7": people,
        "sum3": sum(amount),
        "share": big / len(rows) if len(rows) else math.nan,
        "twice": total / people + 1 if people else math.nan,
    }
    return found[name]


def expected(name: str, rows: pd.DataFrame, period: pd.Timestamp, end: pd.Timestamp, last: pd.Timestamp) -> float:
    if name in ("active7", "sum3"):
        final = min(end, last.normalize() + pd.Timedelta(days=1))
        days = 7 if name == "active7" else 3
        inside = rows[(rows["local"] >= final - pd.Timedelta(days=days)) & (rows["local"] < final)]
    else:
        inside = rows[(rows["local"] >= period) & (rows["local"] < end)]
    return oracle(name, inside)


questions = st.fixed_dictionaries(
    {
        "zone": st.sampled_from(ZONES),
        "kpi": st.sampled_from(sorted(KPIS)),
        "grain": st.sampled_from(["day", "week", "month", "total"]),
        "by": st.booleans(),
        "where": st.lists(st.sampled_from(["web", "ios", "(none)"]), unique=True, max_size=2),
        "start": st.integers(0, 60),
        "length": st.integers(1, 21),
        "facts": st.booleans(),
    }
)


def compare(worlds: dict[str, tuple[Builder, pd.DataFrame]], question: dict[str, Any]) -> None:
    project, rows = worlds[question["zone"]]
    last = rows["local"].max()
    start = date(2026, 9, 5) + timedelta(days=question["start"])
    end = min(start + timedelta(days=question["length"]), last.date() + timedelta(days=1))
    if start >= end or (question["grain"] == "total" and question["kpi"] in ("active7", "sum3")):
        return
    where = (Filter("platform", tuple(question["where"])),) if question["where"] else ()
    series = project.ask(
        question["kpi"],
        grain=question["grain"],
        start=start,
        end=end,
        where=where,
        by="platform" if question["by"] else None,
        facts=question["facts"],
    )
    if question["where"]:
        rows = rows[rows["platform"].isin(question["where"])]
    first_weekday = 6 if question["zone"] == ZONES[0] else 0
    first = worlds[question["zone"]][1]["local"].min()
    for row in series.frame.to_dict("records"):
        part = rows[rows["platform"] == row["segment"]] if question["by"] else rows
        if question["grain"] == "total":
            period, close = pd.Timestamp(start), pd.Timestamp(end)
        else:
            period = row["period"]
            one = pd.Series([period + pd.Timedelta(days={"day": 1, "week": 7, "month": 31}[question["grain"]])])
            close = period_of(one, question["grain"], first_weekday).iloc[0]
        want = expected(question["kpi"], part, period, close, last)
        if close <= first:  # before the first event: unobserved
            want = math.nan
        assert row["value"] == pytest.approx(want, nan_ok=True), (question, row, want)


@sampled(fast=15, slow=50, full=2000)
@given(question=questions)
def test_answers_equal_hand_computation(
    worlds: dict[str, tuple[Builder, pd.DataFrame]], question: dict[str, Any]
) -> None:
    compare(worlds, question)
