"""All breakdowns of a KPI counted at once are what each of them is alone, for every type."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from typing import cast

import pandas as pd
import pytest

from connectors.warehouse.contract import NO_DIMENSION, Staging
from metrics.engine import periods, types
from metrics.engine.answer import default_scope
from metrics.engine.query import TOGETHER, Scope, Shared
from metrics.engine.together import apart, dimensions_of, each, named, of_all
from tests.conftest import Builder
from tests.engine.followed import KPIS as FOLLOWED
from tests.engine.followed import draw
from tests.sampling import SEED, cases

KPIS = {
    **FOLLOWED,
    "n": "dataset: events\nagg: count",
    "people": "dataset: events\nagg: count_distinct\nexpr: user_id",
    "half": "dataset: events\nagg: median\nexpr: amount",
    "share": "type: ratio\nnumerator: {dataset: events, agg: count, filter: kind = 'buy'}\ndenominator: n",
    "sum_7": "dataset: events\nagg: sum\nexpr: amount\nwindow: 7 days",
    "people_9": "dataset: events\nagg: count_distinct\nexpr: user_id\nwindow: 9 days",
    "to_date": "type: cumulative\nmeasure: people\ngrain_to_date: month",
    "gap": "type: derived\nexpr: '{day_3} - {convert}'",
    "own_sql": "type: sql\ndataset: events\ndimensions: [platform]\ngrain: day\nperiod_agg: last\nsql: >\n"
    "  SELECT date_trunc('day', at) AS period, platform, count(*) AS value, count(*) AS n FROM events GROUP BY 1, 2",
}
GRAINS = ("day", "week", "month")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    built = Builder(tmp_path_factory.mktemp("together") / "project")
    built.settings("timezone: America/New_York\nweek_start: sunday\n")
    plans = pd.DataFrame({"user_id": range(1, 30), "plan": [("pro", "free", None)[i % 3] for i in range(1, 30)]})
    built.rows("people", plans.assign(at=pd.Timestamp("2026-08-01")), dimensions="[plan]", primary_key="user_id")
    for name, rows in draw(3).items():
        frame = pd.DataFrame(rows)
        if name == "payments":
            frame["at"] = frame["at"].dt.date
        dims = {} if name == "payments" else {"dimensions": "[platform, kind]" if name == "events" else "[platform]"}
        join = "[{dataset: people, by: user_id}]"
        built.rows(name, frame, entity="user_id", primary_key="event_id", join=join, **dims)
    for name, text in KPIS.items():
        built.kpi(name, text if name in ("sticky", "own_sql") else f"{text}\ngrains: [day, week, month]")
    built.sync()
    return built


def told(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(parts=frame["parts"].map(str)).set_index(["segment", "period"]).sort_index()


def alone(scope: Scope, kpi: str) -> pd.DataFrame:
    """Each dimension by itself, its segments named as they are together."""
    found = []
    for dimension, one in each(scope).items():
        frame = types.facts(scope.catalogue.kpis[kpi], one)
        found.append(frame.assign(segment=named(frame["segment"], dimension, len(frame))))
    return pd.concat(found, ignore_index=True)


@pytest.mark.slow
@pytest.mark.breadth(3)
@pytest.mark.parametrize("name", KPIS)
def test_at_once_is_as_one_by_one(project: Builder, name: str) -> None:
    opened = project.open()
    reader = opened.reader()
    catalogue, states = opened.catalogue(reader), reader.dataset_states(reader.generation.sequence)
    kpi, rng = catalogue.kpis[name], random.Random(f"{SEED} {name}")
    dimensions = [NO_DIMENSION, *catalogue.dimensions_of(kpi)]
    assert len(dimensions) > 1
    for grain in [g for g in GRAINS if g in kpi.offered_grains]:
        scope = default_scope(kpi, grain, catalogue, cast("Staging", reader), states)
        index = list(periods.spine(scope.start, scope.end, grain))
        for _ in range(cases(fast=1, slow=2, full=20)):
            a, b = sorted(rng.sample(range(len(index) + 1), 2))
            start, end = index[a], index[b] if b < len(index) else scope.end
            stored = {d: reader.stored_values(name, grain, d, reader.generation.sequence) for d in dimensions}
            segments = [f"{d}{TOGETHER}{s}" for d, held in stored.items() if held for s in set(held.frame["segment"])]
            asked = of_all(dataclasses.replace(scope, start=start, end=end), dimensions)
            asked = dataclasses.replace(asked, segments=tuple(sorted(segments)))
            several = types.facts(kpi, dataclasses.replace(asked, shared=Shared()))
            one_by_one = alone(dataclasses.replace(asked, shared=Shared()), name)
            pd.testing.assert_frame_equal(told(several), told(one_by_one), rtol=1e-9, atol=1e-9)


def test_names_of_segments_come_apart_again() -> None:
    segments = ["", "(none)", "a=b", "ü", "it's", "platform"]
    both = [*named(segments, "plan", len(segments)), *named("", NO_DIMENSION, 2)]
    of, own = apart(pd.Series(both))
    assert list(own) == [*segments, "", ""]
    assert list(of) == ["plan"] * len(segments) + [NO_DIMENSION] * 2
    assert dimensions_of(both) == {"plan", NO_DIMENSION}


def test_a_value_that_comes_in_one_dimension_counts_that_one_anew(tmp_path: Path) -> None:
    """The others' values are told for the touched days only, and all are what a full computation says."""
    built = Builder(tmp_path / "project")
    moments = [pd.Timestamp("2026-11-01") + pd.Timedelta(days=i) for i in range(9)]
    days = [{"at": at, "platform": "web", "plan": "pro"} for at in moments]
    built.rows("events", pd.DataFrame(days), dimensions="[platform, plan]")
    built.kpi("n", "dataset: events\nagg: count\ngrains: [day, month]")
    built.sync()
    more = [*days, {"at": pd.Timestamp("2026-11-09T05:00"), "platform": "tv", "plan": "pro"}]
    pd.DataFrame(more).to_parquet(built.folder / "files" / "events.parquet", index=False)
    built.sync()
    platforms = built.values("n", by="platform")
    assert platforms["tv", "2026-11-09"] == 1 and platforms["tv", "2026-11-01"] == 0
    assert built.values("n", by="plan")["pro", "2026-11-09"] == 2
    assert built.values("n")["2026-11-09"] == 2 and built.values("n", grain="month")["2026-11-01"] == 10
