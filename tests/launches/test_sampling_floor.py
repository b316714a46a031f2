"""What people alone allow: sampling variances against a bootstrap over people, and no interval narrower than theirs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.launch import Launch
from metrics.catalog.types import type_names
from metrics.engine.query import Filter
from metrics.engine.sampling import People, classes, contrast, events, shares
from metrics.engine.value_variance import pooled, value_variance
from metrics.launches.impact import Panel, impact
from metrics.launches.inputs import LaunchInputs
from metrics.launches.observe import Observed, observe
from metrics.launches.reading import read
from metrics.launches.sampling_floor import half_width
from tests.conftest import Builder, known
from tests.sampling import SEED, cases

pytestmark = pytest.mark.breadth(3)

START, DAYS = pd.Timestamp("2026-08-03"), 42
NOW = (START + pd.Timedelta(days=DAYS + 2, hours=3)).to_pydatetime().replace(tzinfo=UTC)
Worlds = list[tuple[dict[str, pd.DataFrame], LaunchInputs]]
WORLDS = cases(fast=1, slow=3, full=12)
DRAWS = cases(fast=150, slow=300, full=600)
CLOSE = 0.1
UNKNOWN = {"cumulative", "sql"}  # types of which nothing is claimed

KPIS = {
    "acts": "dataset: acts\nagg: count",
    "amount": "dataset: acts\nagg: sum\nexpr: amount",
    "actors": "dataset: acts\nagg: count_distinct\nexpr: who",
    "actors_3": "dataset: acts\nagg: count_distinct\nexpr: who\nwindow: 3 days",
    "amount_3": "dataset: acts\nagg: sum\nexpr: amount\nwindow: 3 days",
    "mean_amount": "dataset: acts\nagg: avg\nexpr: amount",
    "fine": "type: ratio\ndataset: acts\nformat: percent\nnumerator: {agg: count, filter: fine}\ndenominator: acts",
    "each": "type: ratio\nnumerator: {dataset: acts, agg: sum, expr: amount}\ndenominator: actors",
    "middle": "dataset: people\nagg: median\nexpr: waited",
    "slowest": "dataset: people\nagg: percentile\npercentile: 0.9\nexpr: waited",
    "signed": "dataset: people\nagg: count",
    "converted": "type: conversion\ndataset: people\nconversion: {dataset: buys}\nwindow: 1 day",
    "buyers": "type: conversion\ndataset: people\nconversion: {dataset: buys}\nwindow: 1 day\ncalculation: count",
    "passed": "type: funnel\ndataset: people\nsteps: [{name: In}, {name: Out, dataset: buys}]\nwindow: 1 day",
    "back": "type: retention\ndataset: people\nreturn: {dataset: returns}\nunit: day\nat: 1",
    "gained": "type: lifecycle\ndataset: people",
    "nps": "type: survey\ndataset: people\nscore: score",
    "csat": "type: survey\ndataset: people\nscore: stars\nscale: csat",
    "ces": "type: survey\ndataset: people\nscore: effort\nscale: ces",
    "per_answer": "type: derived\nexpr: '{acts} / {answers}'",
    "answers": "dataset: others\nagg: count",
    "running": "type: cumulative\ndataset: people\nmeasure: {agg: count}",
    "sticky": "type: stickiness\ndataset: people\nshort: day\nlong: week",
    "by_hand": "type: sql\ndataset: people\nsql: SELECT at::DATE AS period, count(*) AS value FROM people GROUP BY 1",
    "longest": "dataset: people\nagg: max\nexpr: waited",
}


def strangers(rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """People who are seen on one day and never again, some of whom do much more than others."""
    people = pd.DataFrame({"day": np.repeat(np.arange(DAYS), rng.poisson(150, DAYS))})
    count = len(people)
    people["who"] = [f"p{i}" for i in range(count)]
    people["at"] = START + pd.to_timedelta(people["day"] * 24 + 12, unit="h")
    people["waited"] = rng.gamma(2, 1, count)
    people["bought"] = rng.random(count) < 0.2
    people["score"] = rng.choice([10, 9, 8, 7, 5, 1], count, p=[0.3, 0.2, 0.2, 0.1, 0.1, 0.1])
    people["stars"] = rng.choice([5, 4, 3, 1], count, p=[0.4, 0.3, 0.2, 0.1])
    people["effort"] = rng.integers(1, 8, count)
    often = 1 + rng.geometric(0.4, count)
    acts = people.loc[people.index.repeat(often), ["who", "at", "day"]].reset_index(drop=True)
    temper = rng.beta(2, 1, count).repeat(often)
    acts["fine"] = rng.random(len(acts)) < temper
    acts["amount"] = rng.gamma(1, 10, len(acts)) * rng.gamma(3, 1, count).repeat(often)
    buys = people.loc[people["bought"], ["who", "at"]]
    buys = buys.assign(at=buys["at"] + pd.Timedelta(hours=1))
    returns = people[rng.random(count) < 0.4][["who", "at"]]
    returns = returns.assign(at=returns["at"] + pd.Timedelta(days=1))
    others = pd.DataFrame({"day": np.repeat(np.arange(DAYS), rng.poisson(200, DAYS))})
    others["at"] = START + pd.to_timedelta(others["day"] * 24 + 12, unit="h")
    others["who"] = np.arange(len(others))
    return {"people": people, "acts": acts, "buys": buys, "returns": returns, "others": others}


def built(folder: Path, tables: dict[str, pd.DataFrame], kpis: dict[str, str]) -> LaunchInputs:
    project = Builder(folder)
    for name, rows in tables.items():
        project.rows(name, rows, entity="who", watermark="whole_days")
    for name, text in kpis.items():
        project.kpi(name, text if "stickiness" in text else f"{text}\ngrains: [day]")
    project.sync(NOW)
    return LaunchInputs(project.open().context(NOW))


def found(inputs: LaunchInputs, name: str, grain: str = "day") -> pd.Series | None:
    """Variance of each whole period of the world; None: not known."""
    span = START + pd.Timedelta(days=7), START + pd.Timedelta(days=DAYS)

    def unit(kpi: KpiCommon, people: People) -> float | None:
        return inputs.unit_variance(kpi, people, grain, span, ())

    variance = value_variance(name, inputs.catalogue, lambda kpi: inputs.series(kpi, grain, None, None).frame, unit)
    return None if variance is None else variance[(variance.index >= span[0]) & (variance.index < span[1])]


def by_bootstrap(tables: dict[str, pd.DataFrame], rng: np.random.Generator) -> dict[str, float]:
    """Mean variance of a day's value, when its people are drawn again, each as often as chance (Poisson) has it."""
    people, acts = tables["people"], tables["acts"]
    own = acts.groupby("who", sort=False).agg(n=("fine", "size"), fine=("fine", "sum"), amount=("amount", "sum"))
    people = people.join(own, on="who").assign(back=people["who"].isin(tables["returns"]["who"]))
    points = np.select([people["score"] >= 9, people["score"] <= 6], [100.0, -100.0], 0.0)
    people = people.assign(points=points, glad=people["stars"] >= 4, one=1.0)
    variances: dict[str, list[float]] = {}
    sums: list[dict[str, np.ndarray]] = []
    for day in range(7, DAYS):
        today = people[people["day"] == day]
        w = rng.poisson(1.0, (DRAWS, len(today))).astype(float)
        total = {c: w @ today[c].to_numpy(float) for c in ("n", "fine", "amount", "one", "bought", "back", "points")}
        total |= {c: w @ today[c].to_numpy(float) for c in ("glad", "effort")}
        other = rng.poisson(int((tables["others"]["day"] == day).sum()), DRAWS)
        fixed = rng.binomial(len(today), today["bought"].mean(), DRAWS)  # a count of conversions: of this base
        values = {
            "acts": total["n"], "amount": total["amount"], "actors": total["one"], "signed": total["one"],
            "mean_amount": total["amount"] / total["n"], "fine": total["fine"] / total["n"],
            "each": total["amount"] / total["one"], "converted": total["bought"] / total["one"],
            "buyers": fixed, "passed": total["bought"] / total["one"], "back": total["back"] / total["one"],
            "nps": total["points"] / total["one"], "csat": total["glad"] / total["one"],
            "ces": total["effort"] / total["one"], "answers": other, "per_answer": total["n"] / other,
        }  # fmt: skip
        waited = rng.gamma(2, 1, (DRAWS, len(today)))  # fresh ones: a quantile's bootstrap knows too few neighbours
        values |= {"middle": np.quantile(waited, 0.5, axis=1), "slowest": np.quantile(waited, 0.9, axis=1)}
        sums.append(total)
        if len(sums) > 3:
            last = sums[-3:]
            values["actors_3"] = np.sum([t["one"] for t in last], axis=0)
            values["amount_3"] = np.sum([t["amount"] for t in last], axis=0)
            values["gained"] = last[-1]["one"] / last[-2]["one"]
        for name, value in values.items():
            variances.setdefault(name, []).append(float(np.var(value)))
    return {name: float(np.mean(value)) for name, value in variances.items()}


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Worlds:
    """Rows, and the product that has read them."""
    made = []
    for world in range(WORLDS):
        tables = strangers(np.random.default_rng((SEED, world)))
        made.append((tables, built(tmp_path_factory.mktemp("people") / "project", tables, KPIS)))
    return made


def unknown(inputs: LaunchInputs) -> set[str]:
    return {name for name in KPIS if inputs.catalogue.kpi(name).type in UNKNOWN} | {"longest"}


def test_the_variance_of_every_type_is_that_of_a_bootstrap_over_people(worlds: Worlds) -> None:
    """To a tenth; of quantiles as near as the width of their order statistics is told in so many worlds."""
    ratios: dict[str, list[float]] = {}
    for number, (tables, inputs) in enumerate(worlds):
        told = by_bootstrap(tables, np.random.default_rng((SEED, number, 1)))
        for name in set(KPIS) - unknown(inputs) - {"sticky"}:  # who is seen once is never back: see the next test
            variance = found(inputs, name)
            assert variance is not None and len(variance.dropna()) >= 30, name
            ratios.setdefault(name, []).append(float(variance.dropna().mean()) / told[name])
        for name in unknown(inputs):
            assert found(inputs, name, inputs.catalogue.kpi(name).grain) is None, name
        assert {inputs.catalogue.kpi(name).type for name in KPIS} == set(type_names())
    wide = dict.fromkeys(("middle", "slowest"), 0.36 / WORLDS**0.5 + 0.05)
    off = {name: np.mean(ratio) for name, ratio in ratios.items() if abs(np.mean(ratio) - 1) > wide.get(name, CLOSE)}
    assert not off, off


@pytest.mark.parametrize("times", [1, 9])
def test_no_reading_of_any_type_is_narrower_than_its_floor(worlds: Worlds, times: int) -> None:
    """times: as often the variance that the people have, so that they and not the days make the interval."""
    start, floors = START + pd.Timedelta(days=DAYS - 10), list[bool]()
    launch = Launch(name="it", on=start.date(), kind="launch")
    for _, inputs in worlds:
        for name in sorted(set(KPIS) - unknown(inputs) - {"sticky"}):  # five weeks are too few for a verdict
            kpi = inputs.catalogue.kpi(name)
            observed = observe(launch, kpi, inputs)
            assert observed.panel is not None and observed.panel.sampling is not None, name
            observed = replace(observed, panel=replace(observed.panel, sampling=times * observed.panel.sampling))
            reading = read(launch, kpi, observed).reading
            scale = np.log1p if observed.logarithm else float
            effect, low, high = (scale(known(end)) for end in (reading.effect, reading.low, reading.high))
            told, half = scale(known(reading.sampling)), by_hand(observed, start)
            nearest = min(effect - low, high - effect)
            assert nearest >= told * (1 - 1e-8) and nearest >= half * (1 - 1e-8), name
            assert kpi.trailing_window is not None or told == pytest.approx(half, rel=1e-8), name
            assert reading.floor == (nearest <= told * (1 + 1e-8)), name
            floors.append(reading.floor)
    assert np.mean(floors) > 0.5 if times > 1 else np.mean(floors) < 0.5


def by_hand(observed: Observed, start: pd.Timestamp) -> float:
    """1.96 deviations of mean since launch less mean before, of days that have their people for themselves."""
    assert observed.panel is not None and observed.panel.sampling is not None
    variance = observed.panel.sampling.iloc[:, 0][observed.panel.treated.notna().all(axis=1)].dropna()
    sides = [variance[variance.index < start].tail(60), variance[variance.index >= start]]
    return 1.959964 * float(np.sqrt(sum(side.sum() / len(side) ** 2 for side in sides)))


@pytest.mark.parametrize("number", range(cases(fast=12, slow=40, full=200)))
def test_the_floor_is_that_of_least_squares_written_out(number: int) -> None:
    """Segments in steps, shares, controls, gaps, windows: the step's row of the pseudo-inverse, and all covariances."""
    rng = np.random.default_rng((SEED, number))
    size, first, overlap = 60, 40, int(rng.choice([1, 1, 7]))
    staged, many = bool(number % 3 == 0), int(rng.integers(2, 5))
    count, controls = (many, 0) if staged else (1 + number % 2, int(rng.integers(0, 3)))
    if count > 1 and not staged:
        controls = max(1, controls)  # segments that do not add up, beside a control
    index = pd.date_range("2026-01-05", periods=size)
    begins = rng.integers(first, size - 4, count) if staged else np.full(count, first)
    begins[0] = first
    share = (np.arange(size)[:, None] >= begins) * np.minimum(
        1, rng.choice([1.0, 0.05]) * (1 + np.arange(size)[:, None])
    )
    if staged:
        share[:, -1] = 0
    treated, others = rng.normal(0, 1, (size, count)), rng.normal(0, 1, (size, controls))
    treated[rng.integers(6, size - 1), 0] = np.nan
    variance = rng.gamma(2, 1, (size, count + controls))
    frames = [pd.DataFrame(x, index) for x in (treated, share, others, variance)]
    panel = Panel(frames[0], frames[1], frames[2], "day", frames[3], overlap)
    half = half_width(panel, 0, first, size)
    kept = np.isfinite(treated).all(axis=1)
    step = share / share[first:, share[first:].any(axis=0)].mean()
    rows = [(t, j) for t in np.flatnonzero(kept) for j in range(count)]
    own = np.array([[float(j == i) for i in range(count)] for _, j in rows])
    days = np.array([[float(t == s) for s in np.flatnonzero(kept)[1:]] for t, _ in rows])
    design = np.column_stack([[step[t, j] for t, j in rows], own, *([days] if not controls and count > 1 else [])])
    weights = np.zeros((size, count + controls))
    for (t, j), weight in zip(rows, np.linalg.pinv(design)[0], strict=True):
        weights[t, j] += weight
        weights[t, count:] -= weight / max(1, controls)
    lag = np.abs(np.arange(size)[:, None] - np.arange(size))
    shared = np.maximum(0, 1 - lag / overlap)
    total = sum(
        float(weights[:, j] @ (shared * np.sqrt(np.outer(variance[:, j], variance[:, j]))) @ weights[:, j])
        for j in range(count + controls)
    )
    assert half == pytest.approx(1.959964 * total**0.5, rel=1e-6)
    assert half_width(replace(panel, sampling=None), 0, first, size) is None
    unseen = pd.DataFrame(np.where(np.arange(size)[:, None] == 5, np.nan, variance), index)
    assert half_width(replace(panel, sampling=unseen), 0, first, size) is None, "one day's people are not known"


def test_an_nps_of_so_few_answers_is_no_clear_change() -> None:
    """A verdict of +1.6 to +3.5 stood beside the ±2.6 that its answers allow."""
    rng = np.random.default_rng(20)
    size, first, index = 88, 60, pd.date_range("2026-01-05", periods=88)
    answers = np.tile([100.0, 60.0, 40.0], (size, 1))  # a day: NPS 30
    quiet = 30 + rng.normal(0, 1.5, size) + 2.6 * (np.arange(size) >= first)
    step = pd.DataFrame({"all": (np.arange(size) >= first) * 1.0}, index)
    bare = Panel(pd.DataFrame({"all": quiet}, index), step, pd.DataFrame(index=index), "day")
    panel = replace(bare, sampling=pd.DataFrame({"all": classes(answers, (100.0, 0.0, -100.0))}, index))
    was, now = (known(impact(p, index[first], index[-1] + pd.Timedelta(days=1))) for p in (bare, panel))
    half = 1.96 * 100 * float(np.sqrt((140 / 200 - 0.3**2) / 200 * (1 / 28 + 1 / 60)))
    assert half == pytest.approx(2.5, abs=0.1) and was.words == "moved up" and was.smallest < 2
    assert now.effect == was.effect and now.smallest >= half * 0.99 and now.floor
    assert now.low <= now.effect - half * 0.99 and now.high >= now.effect + half * 0.99
    assert now.sampling == pytest.approx(half, rel=0.01)
    assert (now.raw_low, now.raw_high, was.floor, was.sampling) == (was.raw_low, was.raw_high, False, None)
    wide = known(impact(replace(panel, treated=bare.treated + rng.normal(0, 9, (size, 1))), index[first], index[-1]))
    assert wide.smallest > half and not wide.floor, "never narrowed"


def test_who_comes_every_day_adds_no_chance_and_who_comes_by_habit_as_much_as_the_habit(tmp_path: Path) -> None:
    """People whose probability of each weekday is known: Poisson-binomial, also within a window of days."""
    rng = np.random.default_rng((SEED, 99))
    habit = np.concatenate([np.ones(30), np.zeros(30), rng.beta(1, 2, 300)])
    weekend = np.concatenate([np.zeros(30), np.ones(30), habit[60:]])  # some on weekdays, some on weekends only
    day = np.arange(DAYS)
    chance = np.where((day % 7 >= 5)[:, None], weekend, habit)
    there = rng.random(chance.shape) < chance
    days, people = np.nonzero(there)
    rows = pd.DataFrame({"who": [f"p{i}" for i in people], "at": START + pd.to_timedelta(days * 24 + 12, unit="h")})
    rows["v"] = rng.gamma(4, 2, len(rows))
    kpis = {
        "actors": "dataset: acts\nagg: count_distinct\nexpr: who",
        "week": "dataset: acts\nagg: count_distinct\nexpr: who\nwindow: 7 days",
        "spent": "dataset: acts\nagg: sum\nexpr: v",
        "sticky": "type: stickiness\ndataset: acts\nshort: day\nlong: week",
    }
    inputs = built(tmp_path, {"acts": rows}, kpis)
    exact = {"actors": float((chance[7:] * (1 - chance[7:])).sum(axis=1).mean())}
    absent = np.array([np.prod(1 - chance[d - 6 : d + 1], axis=0) for d in range(7, DAYS)])
    exact["week"] = float((absent * (1 - absent)).sum(axis=1).mean())
    exact["spent"] = float((chance[7:] * 16 + 64 * chance[7:] * (1 - chance[7:])).sum(axis=1).mean())
    weeks = (rng.random((3000, 7, chance.shape[1])) < chance[:7]).sum(axis=1)  # as many more weeks of the same people
    exact["sticky"] = float(np.var(weeks.sum(axis=1) / (weeks > 0).sum(axis=1) / 7))
    for name, wide in (("actors", 0.1), ("spent", 0.12), ("week", 0.25), ("sticky", 0.2)):
        variance = found(inputs, name, "week" if name == "sticky" else "day")
        assert variance is not None
        assert float(variance.dropna().mean()) == pytest.approx(exact[name], rel=wide), name


def test_nobody_is_no_certainty() -> None:
    none, n = np.array([0.0, 1.0, 0.5]), np.array([40.0, 40.0, 40.0])
    found = shares(none, n)
    assert (found[:2] > 1 / 40**2 / 4).all() and found[2] == pytest.approx(0.25 / 40)
    assert np.isnan(shares(np.array([0.2, 1.4]), np.array([0.0, 10.0]))).all()
    assert events(np.array([0.0]))[0] > 0
    alike = classes(np.array([[30.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), (100.0, 0.0, -100.0))
    assert 0 < alike[0] < 100**2 / 30 and np.isnan(alike[1])


def test_days_that_look_back_over_the_same_people_are_no_new_people() -> None:
    """The mean of 28 overlapping weeks, by the days themselves: the same daily numbers, added up by hand."""
    rng = np.random.default_rng((SEED, 5))
    size, after, window = 34, 28, 7
    daily = rng.normal(0, 1, (40000, size))
    weeks = np.lib.stride_tricks.sliding_window_view(daily, window, axis=1).sum(axis=2)
    told = contrast(np.full(after, 1 / after), np.full(after, float(window)), window)
    assert told == pytest.approx(float(np.var(weeks.mean(axis=1))), rel=0.04)
    assert told > 3 * contrast(np.full(after, 1 / after), np.full(after, float(window)))


def test_segments_are_pooled_by_what_adds_up() -> None:
    frame = pd.DataFrame(
        {
            "segment": ["a", "b"],
            "period": [START, START],
            "value": [50.0, -50.0],
            "numerator": [5.0, -15.0],
            "denominator": [10.0, 30.0],
            "n": [10, 30],
            "parts": [(6.0, 3.0, 1.0), (5.0, 5.0, 20.0)],
        }
    )
    (row,) = pooled(frame).to_dict("records")
    assert (row["value"], row["n"], row["parts"]) == (-25.0, 40, (11.0, 8.0, 21.0))


def test_the_people_of_an_audience_by_a_borrowed_dimension_are_those_of_pandas(project: Builder) -> None:
    """By weekday and person: the variance of what each adds, days without any among them."""
    rng = np.random.default_rng((SEED, 3))
    count = 3000
    days = rng.integers(0, DAYS, count)
    rows = pd.DataFrame({"who": [f"p{i}" for i in rng.integers(0, 80, count)], "v": rng.gamma(2, 3, count)})
    rows["at"] = START + pd.to_timedelta(days * 24 + 12, unit="h")
    users = pd.DataFrame({"who": [f"p{i}" for i in range(80)], "plan": ["free", "pro", "pro", "team"] * 20})
    project.rows("users", users.assign(at=START), entity="who", primary_key="who", dimensions="[plan]")
    project.rows("buys", rows, entity="who", watermark="whole_days", join="[{dataset: users, by: who}]")
    project.kpi("spent", "dataset: buys\nagg: sum\nexpr: v\ngrains: [day]")
    project.sync(NOW)
    inputs = LaunchInputs(project.open().context(NOW))
    kpi = inputs.catalogue.kpi("spent")
    span = START + pd.Timedelta(days=7), START + pd.Timedelta(days=DAYS)
    where = (Filter("plan", ("free", "team")),)
    told = inputs.unit_variance(kpi, People(kpi.measures[()]), "day", span, where)
    mine = rows[rows["who"].isin(users.loc[users["plan"] != "pro", "who"]) & (rows["at"] >= span[0])]
    days_of = pd.date_range(*span, inclusive="left")
    wide = mine.pivot_table(index=mine["at"].dt.normalize(), columns="who", values="v", aggfunc="sum").reindex(days_of)
    varies = sum(part.var(ddof=1).sum() * len(part) for _, part in wide.fillna(0.0).groupby(days_of.day_of_week))
    assert told == pytest.approx(varies / mine["v"].sum(), rel=1e-8)
    assert told != inputs.unit_variance(kpi, People(kpi.measures[()]), "day", span, ())
