"""Labels of marks: none lies over another on a phone's chart, none is lost, and they take few rows."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd
import plotly.graph_objects as go
from hypothesis import given
from hypothesis import strategies as some

from metrics.kpi_views.chart import Mark
from tests.sampling import sampled
from ui.kpi.marks import LETTER, MOST_ROWS, NARROW, ROW, draw_marks

FIRST, DAYS = pd.Timestamp("2026-06-01"), 180
LAST = FIRST + pd.Timedelta(days=DAYS)
KINDS = ("launch", "incident", "campaign", "redefinition", "holiday", "note")
MARKS = some.lists(
    some.builds(
        lambda day, label, kind, days: Mark(
            FIRST + pd.Timedelta(days=day), label, kind, FIRST + pd.Timedelta(days=day + days) if days else None
        ),
        some.integers(0, DAYS),
        some.text("abcdefgh ", min_size=1, max_size=60).filter(str.strip),
        some.sampled_from(KINDS),
        some.integers(0, 20),
    ),
    max_size=25,
)


def spans(figure: go.Figure) -> dict[float, list[tuple[float, float]]]:
    """Row → what its labels cover, in pixels of a phone's chart."""
    found: dict[float, list[tuple[float, float]]] = {}
    for note in figure.layout.annotations:
        at = (pd.Timestamp(note.x) - FIRST) / (LAST - FIRST) * NARROW + note.xshift
        wide = LETTER * len(note.text)
        found.setdefault(note.yshift, []).append((at - wide, at) if note.xanchor == "right" else (at, at + wide))
    return found


@sampled(fast=12, slow=60, full=800)
@given(marks=MARKS)
def test_no_label_lies_over_another_and_each_mark_is_told(marks: list[Mark]) -> None:
    figure = go.Figure()
    height = draw_marks(figure, marks, FIRST, LAST)
    rows = spans(figure)
    assert len(rows) <= MOST_ROWS and height == ROW * len(rows)
    for row in rows.values():
        row.sort()
        assert all(left[1] <= right[0] for left, right in pairwise(row))
    told = [line for note in figure.layout.annotations for line in note.hovertext.split("<br>")]
    assert sorted(told) == sorted(f"{mark.on:%-d %b %Y}: {mark.label}" for mark in marks)
