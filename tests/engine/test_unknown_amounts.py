"""Amounts that are unknown: a week in which no amount is known is unknown, however it was computed, and is never 0."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from metrics.engine.grids import grid
from tests.engine.test_incremental import replay, with_small_rollups
from tests.sampling import sampled

__all__ = ["with_small_rollups"]  # also here a generation keeps roll-ups

pytestmark = pytest.mark.breadth(2)

GRAINS = "\ngrains: [day, week, month]"
KPIS = {
    "total": f"dataset: events\nagg: sum\nexpr: amount{GRAINS}",
    "known": f"dataset: events\nagg: count\nexpr: amount{GRAINS}",
    "each": f"type: ratio\ndataset: events\nnumerator: {{agg: sum, expr: amount}}\ndenominator: {{agg: count}}{GRAINS}",
    "week_of_days": "dataset: events\nagg: sum\nexpr: amount\nwindow: 7 days\ngrains: [day, month]",
    "so_far": f"type: cumulative\nmeasure: {{dataset: events, agg: sum, expr: amount}}{GRAINS}",
    "more": f"type: derived\nexpr: '{{total}} + {{known}}'{GRAINS}",
}
KNOWN = [("insert", n, n % 20, n % 4 + 1, ("web", "ios")[n % 2], 2.5) for n in range(1, 25)]
TV = [("insert", 50, 2, 2, "tv", 5.0), ("insert", 51, 50, 2, "tv", None)]  # a week with one row that says nothing


@pytest.mark.parametrize("zero", [{"value"}, set()], ids=["zero", "unknown"])
def test_a_week_of_days_is_unknown_where_none_of_its_rows_says_anything(zero: set[str]) -> None:
    empty, nan = (0.0 if zero else float("nan")), float("nan")
    days = pd.date_range("2026-11-02", periods=14)
    nothing, unknown, known = (empty, 0), (nan, 0), (3.0, 1)
    told = [nothing, unknown, *[nothing] * 5, unknown, known, *[nothing] * 5]
    frame = pd.DataFrame(told, columns=["value", "n"]).assign(segment="tv", period=days)
    weeks = grid(frame, days, ["value", "n"], (), zero).longer(days[::7], {"value": "sum", "n": "count"})
    np.testing.assert_array_equal(weeks.columns["value"], [[nan, 3.0]])
    if zero:
        assert weeks.rows.tolist() == [[True, True]]


rows = st.tuples(
    st.sampled_from(["insert", "insert", "again", "move", "delete"]),
    st.integers(1, 60),
    st.integers(0, 55),
    st.integers(1, 3),
    st.sampled_from(["web", "tv"]),
    st.sampled_from([None, None, 0.0, 3.0]),
)
moves = st.lists(st.tuples(st.lists(rows, max_size=5), st.sampled_from([1, 2, 8])), min_size=2, max_size=4)


@pytest.mark.slow
@sampled(fast=0, slow=2, full=100, shrink=False)
@given(moves)
@example([(TV, 50.0), ([("insert", 60, 52, 1, "web", 1.0)], 2)])
def test_incremental_equals_full_where_amounts_are_unknown(changes: list[tuple[list[Any], float]]) -> None:
    replay(KNOWN, changes, kpis=KPIS)
