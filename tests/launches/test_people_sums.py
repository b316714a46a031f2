"""What the engine adds up per variant and day, against counting person by person in pandas."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from metrics.catalog.models.launch import Exposure
from metrics.engine.exposure import Asked, exposed_sums
from metrics.engine.per_person import PerPerson
from metrics.engine.types import per_person
from metrics.launches.people.tables import Table
from tests.conftest import Builder
from tests.launches.exposed import KPIS, START, World, world, written

NOW = datetime(2026, 10, 26, 3, tzinfo=UTC)
DAY = pd.Timedelta(days=1)
ENDS = (START + 7 * DAY, START + 21 * DAY)
BEFORE = 14 * DAY
SHOWN = Exposure(dataset="shown", variant="arm", at="at")


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> tuple[Builder, World]:
    made = world(5, 300, lift=1.3, days=21)
    shown = made.shown
    odd = pd.DataFrame(
        [
            {"who": "p1", "at": START + 3 * DAY, "arm": "third"},  # in two variants, whichever p1 has
            {"who": "early", "at": START - 2 * DAY, "arm": "new"},
            {"who": "early", "at": START + 2 * DAY, "arm": "new"},
            {"who": None, "at": START + DAY, "arm": "new"},
            {"who": "nobody", "at": START + DAY, "arm": None},
            {"who": "late", "at": ENDS[1] + DAY, "arm": "new"},
        ]
    )
    made.shown = pd.concat([shown, odd], ignore_index=True)
    folder: Path = tmp_path_factory.mktemp("people")
    project = Builder(folder / "project")
    written(project, made, "{dataset: shown, variant: arm, at: at}")
    project.sync(NOW)
    return project, made


def people(made: World) -> pd.DataFrame:
    """A row per person who counts: first exposure and variant."""
    shown = made.shown.dropna(subset=["who", "arm"])
    shown = shown[shown["at"] < ENDS[-1]]
    found = shown.groupby("who").agg(at=("at", "min"), arm=("arm", "first"), arms=("arm", "nunique"))
    return found[(found["arms"] == 1) & (found["at"] >= START)]


def sums(rows: pd.DataFrame, who: pd.DataFrame, span: Callable[[pd.DataFrame], pd.Series], value: str) -> pd.Series:
    """A person's sum of a column over the rows in a span, which knows `at` of the row and `exposed`."""
    joined = rows.merge(who["at"].rename("exposed"), left_on="who", right_index=True)
    kept = joined[span(joined)]
    return kept.groupby("who")[value].sum().reindex(who.index).fillna(0.0)


def since(end: pd.Timestamp) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda f: (f["at"] >= f["exposed"]) & (f["at"] < end)


def prior(f: pd.DataFrame) -> pd.Series:
    return (f["at"] < f["exposed"]) & (f["at"] >= f["exposed"] - BEFORE)


def expected(made: World, kpi: str, k: int) -> pd.DataFrame:
    """y, d, x, w of each person, uncapped."""
    who, end = people(made), ENDS[k]
    buys = made.buys.assign(one=1.0)
    visits = made.visits.assign(one=1.0)
    answered = visits.dropna(subset=["answer"])
    answered = answered.assign(score=np.select([answered["answer"] >= 9, answered["answer"] <= 6], [1.0, -1.0], 0.0))
    parts = {
        "revenue": (buys, "amount", None, ""),
        "orders": (buys, "one", None, ""),
        "buyers": (buys, "one", None, ""),
        "order_value": (buys, "amount", buys, "one"),
        "per_visit": (buys, "amount", visits, "one"),
        "bought": (buys, "one", None, ""),
        "nps": (answered, "score", answered, "one"),
        "back": (visits, "one", None, ""),
    }
    rows, value, others, other = parts[kpi]
    later = since(end)
    if kpi == "bought":
        later = lambda f: since(end)(f) & (f["at"] < f["exposed"] + 3 * DAY)  # noqa: E731
    if kpi == "back":
        later = lambda f: (  # noqa: E731
            (f["at"] >= f["exposed"] + 2 * DAY) & (f["at"] < f["exposed"] + 3 * DAY) & (f["at"] < end)
        )
    found = who.assign(y=sums(rows, who, later, value), x=sums(rows, who, prior, value))
    if others is not None:
        found = found.assign(d=sums(others, who, since(end), other), w=sums(others, who, prior, other))
    if kpi in ("buyers", "bought", "back"):
        found = found.assign(y=(found["y"] > 0) * 1.0, x=(found["x"] > 0) * 1.0)
    return found


def asked_of(project: Builder, kpi: str) -> pd.DataFrame:
    opened = project.open()
    reader = opened.reader()
    catalogue = opened.catalogue(reader)
    person = per_person(catalogue.kpi(kpi), catalogue)
    assert isinstance(person, PerPerson)
    asked = Asked(SHOWN, person, START, ENDS, timedelta(days=14))
    return exposed_sums(asked, catalogue, reader)


@pytest.mark.breadth(2)
@pytest.mark.parametrize("kpi", KPIS)
def test_sums_and_products_are_those_of_the_people(product: tuple[Builder, World], kpi: str) -> None:
    project, made = product
    found = asked_of(project, kpi)
    counted = found[found["status"] == "counted"].set_index(["variant", "day"])
    for k in range(len(ENDS)):
        mine = expected(made, kpi, k)
        capped = f"cap_y{k}" in found
        if capped:  # what is above the quantile of those who had any
            assert found[f"cap_y{k}"].iloc[0] == pytest.approx(mine["y"][mine["y"] > 0].quantile(0.999))
            mine["y"] = mine["y"].clip(upper=mine["y"][mine["y"] > 0].quantile(0.999))
            mine["x"] = mine["x"].clip(upper=mine["x"][mine["x"] > 0].quantile(0.999))
        by = [mine["arm"], mine["at"].dt.floor("D")]
        pairs = [("y", "y"), ("y", "x"), ("x", "x")]
        pairs += [("y", "d"), ("d", "d"), ("d", "x"), ("d", "w"), ("x", "w"), ("w", "w")] if "d" in mine else []
        named = {"y": f"y{k}", "d": f"d{k}", "x": "x", "w": "w"}
        for column in named.keys() & mine.columns:
            want = mine[column].groupby(by).sum()
            np.testing.assert_allclose(counted[named[column]].sort_index(), want.sort_index(), atol=1e-9)
        for a, b in pairs:
            want = (mine[a] * mine[b]).groupby(by).sum().sort_index()
            np.testing.assert_allclose(counted[f"{named[a]}_{named[b]}"].sort_index(), want, atol=1e-7)
        if capped and k == 1:  # what was done in the first seven days, for novelty
            who = people(made)
            early = lambda f: since(ENDS[1])(f) & (f["at"] < f["exposed"] + 7 * DAY)  # noqa: E731
            value = {"revenue": "amount", "orders": "one"}[kpi]
            first = sums(made.buys.assign(one=1.0), who, early, value).clip(upper=found["cap_y1"].iloc[0])
            np.testing.assert_allclose(counted["e"].sort_index(), first.groupby(by).sum().sort_index())
            both = (first * mine["y"]).groupby(by).sum().sort_index()
            np.testing.assert_allclose(counted["e_y1"].sort_index(), both)
            halves = Table(found[found["status"] == "counted"], ratio=False).halves(ENDS[1], 1)
            later = (ENDS[1] - mine["at"].dt.floor("D")).dt.days - 7
            each = first / 7 - (mine["y"] - first) / later
            for arm, of_arm in halves.items():
                for day, half in of_arm.items():
                    chosen = each[(mine["arm"] == arm) & (mine["at"].dt.floor("D") == day)]
                    assert half.n == len(chosen) and half.total == pytest.approx(chosen.sum())
                    assert half.squares == pytest.approx((chosen**2).sum())
            assert len(halves["new"]) >= 5 and min(halves["new"]) == START
    assert counted["n"].sum() == len(people(made))


def test_who_does_not_count_is_told_apart(product: tuple[Builder, World]) -> None:
    found = asked_of(product[0], "orders")
    assert found[found["status"] == "several"]["n"].sum() == 1
    assert found[found["status"] == "early"]["n"].sum() == 1
    assert set(found[found["status"] == "counted"]["variant"]) == {"new", "control"}, "nobody of no variant"


def test_buckets_of_history_hold_everybody_who_was_there(product: tuple[Builder, World]) -> None:
    project, made = product
    opened = project.open()
    reader = opened.reader()
    catalogue = opened.catalogue(reader)
    person = per_person(catalogue.kpi("orders"), catalogue)
    assert isinstance(person, PerPerson)
    start = START - 10 * DAY
    found = exposed_sums(Asked(None, person, start, (START,), timedelta(days=14)), catalogue, reader)
    buys = made.buys
    there = buys[(buys["at"] >= start - 14 * DAY) & (buys["at"] < start)]["who"].unique()
    assert found["n"].sum() == len(there) and found["variant"].str.len().eq(2).all()
    later = buys[(buys["at"] >= start) & (buys["at"] < START) & buys["who"].isin(there)]
    each = later.groupby("who").size()
    capped = each.clip(upper=each.quantile(0.999))
    assert found["y0"].sum() == pytest.approx(capped.sum())
