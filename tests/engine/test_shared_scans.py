"""What a refresh counts for several KPIs at once equals what each of them counts alone, over random rows."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

import pandas as pd
import pytest

from connectors.warehouse.contract import Staging
from metrics.engine.explain import Explained
from metrics.engine.plan import shared_scans
from metrics.engine.query import Shared
from metrics.engine.refresh import values
from metrics.engine.sql import shared_scans as scanning
from tests.conftest import Builder
from tests.sampling import SEED, cases

ZONES = ("America/New_York", "UTC", "Asia/Kolkata")
KPIS = {
    "n": "dataset: events\nagg: count\ngrain: hour",
    "known": "dataset: events\nagg: count\nexpr: amount",
    "total": "dataset: events\nagg: sum\nexpr: amount",
    "total_web": "dataset: events\nagg: sum\nexpr: amount\nfilter: platform = 'web'",
    "mean": "dataset: events\nagg: avg\nexpr: amount",
    "mean_ios": "dataset: events\nagg: avg\nexpr: amount * 2\nfilter: platform = 'ios' AND amount > 1",
    "low": "dataset: events\nagg: min\nexpr: amount",
    "high": "dataset: events\nagg: max\nexpr: amount\nfilter: plan = 'pro'",
    "sum7": "dataset: events\nagg: sum\nexpr: amount\nwindow: 7 days",
    "share": "type: ratio\nnumerator: known\ndenominator: n",
    "of_sums": "type: ratio\ndataset: events\nnumerator: {agg: sum, expr: amount, filter: platform = 'web'}\n"
    "denominator: {agg: count_distinct, expr: user_id}",
    "formula": 'type: derived\nexpr: "{total} / {known} - {total_web} offset 1 day"\ngrains: [day]',
    "so_far": "type: cumulative\nmeasure: total",
    "month_so_far": "type: cumulative\nmeasure: known\ngrain_to_date: month",
    "nps": "type: survey\ndataset: events\nscore: CAST(amount AS BIGINT)",
    "ces": "type: survey\ndataset: events\nscore: amount\nscale: ces\nfilter: platform = 'web'",
    "mean_of_days": "dataset: events\nagg: count\nperiod_agg: mean",
    "sparse": "dataset: sparse\nagg: sum\nexpr: amount",
    "sparse_n": "dataset: sparse\nagg: count\nexpr: amount",
    "wrong": "dataset: events\nagg: sum\nexpr: CAST(word AS INTEGER)",
    "right": "dataset: events\nagg: sum\nexpr: CAST(word AS INTEGER)\nfilter: word <> 'x'",
    "people": "dataset: events\nagg: count_distinct\nexpr: user_id",
    "people_web": "dataset: events\nagg: count_distinct\nexpr: user_id\nfilter: platform = 'web'\n"
    "grains: [day, quarter]",
    "people_pro": "dataset: events\nagg: count_distinct\nexpr: user_id\nfilter: plan = 'pro'\nperiod_agg: mean",
    "paying": "dataset: sparse\nagg: count_distinct\nexpr: CASE WHEN amount > 0 THEN user_id END",
    "active7": "dataset: events\nagg: count_distinct\nexpr: user_id\nwindow: 7 days",
    "active28": "dataset: events\nagg: count_distinct\nexpr: user_id\nwindow: 28 days",
    "active40": "dataset: sparse\nagg: count_distinct\nexpr: user_id\nwindow: 40 days\nfilter: platform = 'ios'",
    "wrong_people": "dataset: events\nagg: count_distinct\nexpr: user_id\nfilter: CAST(word AS INTEGER) > 1",
}
KEY = ["grain", "dimension", "segment", "period"]


PARTS = ("n", "known", "total", "total_web")  # which others name
FEW = cases(fast=4, slow=99, full=99)  # of the others, in one world


def world(project: Builder, seed: int) -> None:
    """Rows with unknown amounts, whole days of nothing else, gaps, and rows later than the watermark."""
    rng = random.Random(seed)
    project.settings(f"timezone: {rng.choice(ZONES)}\nweek_start: {rng.choice(['monday', 'sunday'])}\n")
    days = sorted(rng.sample(range(110), rng.choice([3, 20, 60])))
    blank = set(rng.sample(days, len(days) // 3))
    rows = [
        {
            "at": pd.Timestamp("2026-08-05") + timedelta(days=day, minutes=rng.randrange(1440)),
            "user_id": rng.choice([*range(1, 9), None]),
            "platform": rng.choice(["web", "ios", "(none)", None]),
            "amount": None if day in blank or rng.random() < 0.2 else round(rng.uniform(-2, 11), rng.choice([0, 2])),
            "word": rng.choice(["1", "2", "x"]),
        }
        for day in days
        for _ in range(rng.randrange(1, 9))
    ]
    people = pd.DataFrame({"user_id": range(1, 8), "plan": [rng.choice(["pro", "free"]) for _ in range(7)]})
    project.rows("people", people.assign(at=pd.Timestamp("2026-08-01")), dimensions="[plan]", primary_key="user_id")
    frame = pd.DataFrame(rows)
    more = "entity: user_id\njoin: [{dataset: people, by: user_id}]\n"
    frame.to_parquet(project.folder / "files" / "events.parquet", index=False)
    project.source("- {name: events, type: files, table: events, path: files/events.parquet}")
    for name, empty in (("events", "zero"), ("sparse", "unknown")):
        project.write(
            "datasets",
            name,
            f"name: {name}\nsource: events\ntime_dimension: at\ndimensions: [platform]\nempty: {empty}\n{more}",
        )
    others = [name for name in KPIS if name not in PARTS]
    for name in (*PARTS, *rng.sample(others, min(FEW, len(others)))):
        project.kpi(name, KPIS[name])


def told(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(parts=frame["parts"].map(str)).set_index(KEY).sort_index()


def same(a: pd.DataFrame, b: pd.DataFrame) -> None:
    a, b = told(a), told(b)
    assert a.index.equals(b.index), a.index.symmetric_difference(b.index)[:5]
    pd.testing.assert_frame_equal(a, b, rtol=1e-9, atol=1e-9)


def compare(project: Builder, names: Sequence[str] = ()) -> dict[str, int]:
    """Each KPI with shared scans and without; returns how many statements each scan took."""
    opened = project.open()
    reader = opened.reader()
    catalogue, states = opened.catalogue(reader), reader.dataset_states(reader.generation.sequence)
    work = dict.fromkeys(names or catalogue.kpis)
    shared = Shared(scans=shared_scans(work, catalogue, reader, states))
    for name in work:
        whole = cast("Staging", reader)  # computing everything anew only reads
        try:
            alone = values(catalogue.kpis[name], catalogue, whole, states)[0]
        except Exception as error:
            with pytest.raises(type(error)):
                values(catalogue.kpis[name], catalogue, whole, states, None, shared)
            continue
        same(values(catalogue.kpis[name], catalogue, whole, states, None, shared)[0], alone)
    explained = Explained()
    explained.tell(shared, work, [])
    return {f"{scan.dataset} {scan.what}": scan.statements for scan in explained.scans}


@pytest.mark.parametrize("seed", range(cases(fast=1, slow=4, full=60)))
def test_together_is_as_alone(project: Builder, seed: int) -> None:
    world(project, SEED + seed)
    project.sync()
    asked = compare(project)
    assert asked["events sums"] and asked["events hourly sums"] == 1


@pytest.mark.breadth(1)
@pytest.mark.slow
@pytest.mark.parametrize("limit", ["MOST_GROUPS", "MOST_CELLS"])
def test_each_dimension_or_aggregate_by_itself_too(
    project: Builder, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    world(project, SEED)
    project.sync()
    few = compare(project, ("mean", "nps", "total_web", "of_sums"))
    monkeypatch.setattr(scanning, limit, 1)
    many = compare(project, ("mean", "nps", "total_web", "of_sums"))
    assert few["events sums"] < many["events sums"]


@pytest.mark.slow
def test_a_join_that_would_count_twice_is_shared_by_nobody(project: Builder) -> None:
    world(project, SEED)
    twice = pd.DataFrame({"user_id": [1, 1, 2], "plan": ["pro", "free", "pro"], "at": pd.Timestamp("2026-08-01")})
    twice.to_parquet(project.folder / "files" / "people.parquet", index=False)
    problems = [p for p in project.sync().problems if p.level == "error"]
    assert any("would be counted several times" in p.message for p in problems)
    compare(project, ("n", "total", "high"))


def test_one_statement_serves_many(project: Builder) -> None:
    """Twelve KPIs that differ by their filter take as many statements as one."""
    rows = [{"at": pd.Timestamp("2026-11-02") + timedelta(hours=h), "platform": "web", "x": h} for h in range(40)]
    project.rows("events", pd.DataFrame(rows), dimensions="[platform]")
    for number in range(12):
        project.kpi(f"k{number}", f"dataset: events\nagg: count\nfilter: x > {number}")
    project.sync()
    opened = project.open()
    reader = opened.reader()
    catalogue, states = opened.catalogue(reader), reader.dataset_states(reader.generation.sequence)
    asked: list[str] = []

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(reader, name)

        def frame(self, sql: str) -> pd.DataFrame:
            asked.append(sql)
            return reader.frame(sql)

    counting = cast("Staging", Counting())
    scans = shared_scans(dict.fromkeys(catalogue.kpis), catalogue, counting, states)
    for kpi in catalogue.kpis.values():
        values(kpi, catalogue, counting, states, None, Shared(scans=scans))
    assert len(asked) == 2  # how many values each dimension has, and the counts


def test_one_that_fails_on_its_rows_fails_alone(project: Builder) -> None:
    """A text that is no number stops the statement that counts all: then each is counted by itself."""
    rows = [{"at": pd.Timestamp("2026-11-02") + timedelta(hours=h), "word": "a" if h == 7 else "1"} for h in range(40)]
    project.rows("events", pd.DataFrame(rows))
    project.kpi("fine", "dataset: events\nagg: count")
    project.kpi("odd", "dataset: events\nagg: sum\nexpr: CAST(word AS INTEGER)")
    project.kpi("some", "dataset: events\nagg: count\nfilter: word = '1'")
    run = project.sync()
    assert [p.file.rpartition("/")[2] for p in run.problems if p.level == "error"] == ["odd.yml"]
    series = {name: project.ask(name).frame["value"].sum() for name in ("fine", "some")}
    assert series == {"fine": 40, "some": 39}
