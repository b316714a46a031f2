"""`min_people`: no value of few people is shown, and none follows from all that is."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from connectors.errors import UnknownName, Withheld
from jobs.access.rights import Rights
from jobs.access.seen import seen_by
from metrics.catalog.restriction import Restriction
from metrics.engine.answer import answer
from metrics.engine.data_context import DataContext
from metrics.engine.query import Filter, Query, Scope
from metrics.engine.sql import trees
from tests.conftest import NOW, Builder
from tests.sampling import sampled

FEW = 5
PLACES = ("a", "b", "c", "d")
FRAMES: dict[str, dict[Query, pd.DataFrame]] = {}  # of each generation
KPIS = {
    "orders": "dataset: orders\nagg: count",
    "spent": "dataset: orders\nagg: sum\nexpr: amount",
    "buyers": "dataset: orders\nagg: count_distinct\nexpr: user_id",
    "large": "type: ratio\nnumerator: {dataset: orders, agg: count, filter: amount > 5}\n"
    "denominator: {dataset: orders, agg: count}",
}


def context_of(folder: Path, rows: list[tuple[int, str, int, int]], few: int = FEW) -> DataContext:
    """rows: (day, place, person, amount)."""
    project = Builder(folder)
    start = pd.Timestamp("2026-11-16")
    frame = pd.DataFrame(rows, columns=["day", "place", "user_id", "amount"])
    frame["at"] = start + pd.to_timedelta(frame.pop("day") * 24 + 1, unit="h")
    frame["id"] = range(len(frame))
    frame["region"] = frame["place"].map({"a": "R1", "b": "R2", "c": "R1", "d": "R2"})
    frame["user_id"] = frame["user_id"].where(frame["user_id"] > 0).astype("Int64")  # 0 = nobody is known
    project.rows("orders", frame, entity="user_id", primary_key="id", dimensions="[place, region]")
    for name, text in KPIS.items():
        project.kpi(name, text)
    project.sync()
    rights = Rights("few", frozenset(), None, Restriction(min_people=few))
    return seen_by(project.open(), rights).context(NOW)


def asked(context: DataContext, query: Query) -> pd.DataFrame:
    """Once for each question: the same is asked of each day and column."""
    known = FRAMES.setdefault(context.reader.generation.id, {})
    if query not in known:
        known[query] = answer(query, context.catalogue, context.reader).frame
    return known[query]


ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from(PLACES), st.integers(1, 12), st.integers(1, 10)),
    min_size=1,
    max_size=60,
)


@sampled(fast=1, slow=3, full=200)
@given(rows=ROWS)
def test_no_sum_of_what_is_shown_tells_a_small_group(
    rows: list[tuple[int, str, int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """By linear algebra over all that the role can ask for: rows, amounts, rows of large amounts."""
    context = context_of(tmp_path_factory.mktemp("few") / "p", rows)
    people: dict[tuple[int, str], set[int]] = {}
    large: dict[tuple[int, str], set[int]] = {}
    for day, place, person, amount in rows:
        people.setdefault((day, place), set()).add(person)
        if amount > 5:
            large.setdefault((day, place), set()).add(person)
    asked_for = (
        ([("orders", "value"), ("large", "denominator")], people),
        ([("spent", "value")], people),
        ([("large", "numerator")], large),
    )
    for day in {row[0] for row in rows}:
        cells = [place for place in PLACES if (day, place) in people]
        for columns, who in asked_for:
            known = [row for kpi, column in columns for row in shown(context, kpi, column, day, cells)]
            for at, place in enumerate(cells):
                if 0 < len(who.get((day, place), ())) < FEW:
                    assert not told(np.array(known), at), (columns, day, place)


def shown(context: DataContext, kpi: str, column: str, day: int, cells: list[str]) -> list[list[float]]:
    """The sums of cells that the role can ask for and is given, as rows of an equation each."""
    period = pd.Timestamp("2026-11-16") + pd.Timedelta(days=day)
    found = [[0.0] * len(cells)]

    def value(query: Query, segment: str = "") -> bool:
        frame = asked(context, query)
        row = frame[(frame["period"] == period) & (frame["segment"] == segment)]
        return bool(len(row)) and bool(row[column].notna().iloc[0])

    if value(Query(kpi)):
        found.append([1.0] * len(cells))
    for place in cells:
        if value(Query(kpi, by="place"), place):
            found.append([float(place == other) for other in cells])
    for size in range(1, len(cells)):
        for some in itertools.combinations(cells, size):
            if value(Query(kpi, where=(Filter("place", some),))):
                found.append([float(other in some) for other in cells])
    return found


def told(known: np.ndarray, at: int) -> bool:
    """Whether a cell is a combination of what is known."""
    cell = np.zeros(known.shape[1])
    cell[at] = 1
    return bool(np.linalg.matrix_rank(np.vstack([known, cell])) == np.linalg.matrix_rank(known))


MANY = [(0, "a", person, 2) for person in range(1, 9)]
SOME = [(0, "b", person, 9) for person in range(1, 7)]
ONE = [(0, "c", 3, 9)]


def test_a_small_group_is_masked_with_the_smallest_large_one(tmp_path: Path) -> None:
    context = context_of(tmp_path / "p", [*MANY, *SOME, *ONE])
    for kpi in ("orders", "spent", "buyers"):
        frame = asked(context, Query(kpi, by="place")).set_index("segment")
        known = frame["value"].dropna()
        assert {*known.index} == {"a"}, kpi
        assert frame.loc[["b", "c"], ["value", "numerator", "denominator", "n"]].isna().all().all()
    assert asked(context, Query("orders"))["value"].tolist() == [15.0]
    for places, seen in ((("a",), True), (("b",), False), (("c",), False), (("b", "c"), True), (("a", "c"), False)):
        frame = asked(context, Query("orders", where=(Filter("place", places),)))
        assert frame["value"].notna().all() == seen, places


def test_a_ratio_of_few_on_either_side_is_masked(tmp_path: Path) -> None:
    rows = [*MANY, (0, "a", 1, 9), *[(1, "a", person, 9) for person in range(1, 9)]]
    values = asked(context_of(tmp_path / "p", rows), Query("large"))["value"].tolist()
    assert np.isnan(values[0]) and values[1] == 1.0


def test_without_small_groups_nothing_is_masked(tmp_path: Path) -> None:
    context = context_of(tmp_path / "p", [*MANY, *SOME])
    for kpi, by in itertools.product(KPIS, (None, "place")):
        query = Query(kpi, by=by)
        whole = answer(query, context.catalogue.of_any_number, context.reader).frame
        pd.testing.assert_frame_equal(asked(context, query), whole)


def test_a_second_dimension_would_tell_the_first(tmp_path: Path) -> None:
    context = context_of(tmp_path / "p", [*MANY, *SOME, *ONE])
    assert context.catalogue.dimensions_of(context.catalogue.kpis["orders"]) == ("place",)
    with pytest.raises(UnknownName):
        asked(context, Query("orders", by="region"))
    with pytest.raises(UnknownName):
        asked(context, Query("orders", where=(Filter("region", ("R1",)),)))


def test_rows_of_nobody_known_are_a_small_group(tmp_path: Path) -> None:
    context = context_of(tmp_path / "p", [*MANY, *SOME, (0, "c", 0, 9)])
    frame = asked(context, Query("orders", by="place")).set_index("segment")
    assert frame["value"].notna().to_dict() == {"a": True, "b": False, "c": False}


@pytest.mark.breadth(2, whole=True)
@pytest.mark.parametrize(
    "query",
    [
        Query("orders", grain="week"),
        Query("orders", grain="total"),
        Query("orders", by="place", where=(Filter("place", ("a",)), Filter("place", ("b",)))),
        Query("orders", by="place", where=(Filter("place", ("a",)),)),
        Query("orders", compare="to_date"),
    ],
)
def test_what_would_tell_by_differences_is_refused(tmp_path: Path, query: Query) -> None:
    context = context_of(tmp_path / "p", MANY)
    with pytest.raises(Withheld, match="your role sees"):
        asked(context, query)


def test_rows_are_read_by_nothing_that_masks_nothing(tmp_path: Path) -> None:
    """Launches, drivers, feedback and what is yet to be written ask the engine without answer()."""
    context = context_of(tmp_path / "p", MANY)
    whole = replace(context, catalogue=context.catalogue.of_any_number)
    scope = Scope(whole.catalogue, whole.reader, {}, "day", pd.Timestamp(0), pd.Timestamp(NOW.date()))
    tree = trees.from_dataset(exp.select("*"), whole.catalogue.datasets["orders"])
    assert len(trees.run(tree, scope)) == len(MANY)
    with pytest.raises(Withheld, match="could tell values of few people"):
        trees.run(tree, replace(scope, catalogue=context.catalogue))


@pytest.mark.breadth(2, whole=True)
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("dataset: orders\nagg: count\nwindow: 7 days", "overlap"),
        ("dataset: orders\nsql: count(*)", "aggregate in SQL"),
        ("type: cumulative\nmeasure: {dataset: orders, agg: count}", "nobody knows"),
        ("type: derived\nexpr: '{orders} / 2'", "nobody knows"),
        ("dataset: bare\nagg: count", "does not say whose"),
    ],
)
def test_what_cannot_be_checked_is_withheld(tmp_path: Path, text: str, why: str) -> None:
    project = Builder(tmp_path / "p")
    frame = pd.DataFrame({"at": [pd.Timestamp("2026-11-16")] * 9, "user_id": range(9), "id": range(9)})
    project.rows("orders", frame, entity="user_id", primary_key="id")
    project.rows("bare", frame)
    project.kpi("orders", KPIS["orders"])
    project.kpi("odd", text)
    project.sync()
    rights = Rights("few", frozenset(), None, Restriction(min_people=FEW))
    context = seen_by(project.open(), rights).context(NOW)
    with pytest.raises(Withheld, match=why):
        asked(context, Query("odd"))
    assert isinstance(asked(context, Query("orders")), pd.DataFrame)
