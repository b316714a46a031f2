"""Launches and other events on a time line: one label for those of one place, each launch a link to its page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from metrics.kpi_views.chart import Mark
from ui.shell.templates import markup
from ui.shell.theme import BAD, GOOD, LINE, QUIET, RISK

COLORS = {"launch": LINE, "incident": BAD, "campaign": GOOD, "redefinition": RISK, "holiday": QUIET, "note": QUIET}
MOST_LETTERS = 30  # of a label
NEAR = 0.02  # of the chart's width: lines so close to each other are one place
NARROW, LETTER, ROW = 320, 6.2, 14  # pixels: a phone's chart, a letter and a row of labels
MOST_ROWS = 5


@dataclass(frozen=True)
class Place:
    """Where labels stand: yref paper `y`, from `shift` pixels on, a row each `step`."""

    y: float
    shift: int
    step: int


ABOVE, WITHIN = Place(1, 2, ROW), Place(0, 10, ROW)


def draw_marks(
    figure: go.Figure, marks: Sequence[Mark], first: pd.Timestamp, last: pd.Timestamp, *, at: Place = ABOVE
) -> int:
    """A line for each place with marks, from `first` to `last` of the axis, and what happened there.

    Returns how many pixels the labels need, so that none lies over another on a phone.
    """
    groups = _places(marks, first, last)
    rows = _rows([_span(group, first, last) for group in groups])
    for group, row in zip(groups, rows, strict=True):
        color = COLORS[group[0].kind]
        for mark in group:
            if mark.until is not None and mark.until > mark.on:
                figure.add_vrect(x0=mark.on, x1=mark.until, fillcolor=COLORS[mark.kind], opacity=0.09, line_width=0)
        figure.add_vline(x=group[0].on, line={"color": color, "width": 1.2})
        late = _is_late(group, first, last)
        figure.add_annotation(
            x=group[0].on,
            y=at.y,
            yref="paper",
            yanchor="bottom",
            yshift=at.shift + at.step * row,
            xanchor="right" if late else "left",
            xshift=-4 if late else 4,
            showarrow=False,
            borderpad=0,
            text=_label(group),
            hovertext="<br>".join(f"{mark.on:%-d %b %Y}: {_safe(mark.label)}" for mark in group),
            font={"size": 11, "color": color},
        )
    return at.step * (max(rows, default=-1) + 1)


def _is_late(group: Sequence[Mark], first: pd.Timestamp, last: pd.Timestamp) -> bool:
    """Whether its label goes to the left: to the right it would widen the axis."""
    return bool(group[0].on > first + (last - first) * 0.5)


def _span(group: Sequence[Mark], first: pd.Timestamp, last: pd.Timestamp) -> tuple[float, float]:
    """What a label covers of a phone's chart, in pixels from its left."""
    at = (group[0].on - first) / max(last - first, pd.Timedelta(1)) * NARROW
    wide = LETTER * len(_text(group)) + 8
    return (at - wide, at) if _is_late(group, first, last) else (at, at + wide)


def _rows(spans: Sequence[tuple[float, float]]) -> list[int]:
    """The lowest row of each, so that no two of a row touch."""
    taken: list[list[tuple[float, float]]] = []
    found = []
    for low, high in spans:
        row = next((i for i, row in enumerate(taken) if all(high < a or b < low for a, b in row)), len(taken))
        if row == len(taken):
            taken.append([])
        taken[row].append((low, high))
        found.append(row)
    return found


def _places(marks: Sequence[Mark], first: pd.Timestamp, last: pd.Timestamp) -> list[list[Mark]]:
    """Marks by place; ever wider places until their labels fit."""
    near = NEAR
    while True:
        groups = _pooled(marks, (last - first) * near)
        rows = _rows([_span(group, first, last) for group in groups])
        if max(rows, default=0) < MOST_ROWS or near > 1:
            return groups
        near *= 1.5


def _pooled(marks: Sequence[Mark], near: pd.Timedelta) -> list[list[Mark]]:
    """Marks, rising, in groups of which each lies within `near` of its first."""
    groups: list[list[Mark]] = []
    for mark in sorted(marks, key=lambda mark: mark.on):
        if groups and mark.on - groups[-1][0].on <= near:
            groups[-1].append(mark)
        else:
            groups.append([mark])
    return groups


def _head(group: Sequence[Mark]) -> Mark:
    return next((mark for mark in group if mark.kind == "launch"), group[0])


def _more(group: Sequence[Mark]) -> str:
    return f" +{len(group) - 1}" if len(group) > 1 else ""


def _text(group: Sequence[Mark]) -> str:
    """The first one's label, cut, and how many more there are."""
    more = _more(group)
    return _cut(_head(group).label, MOST_LETTERS - len(more)) + more


def _label(group: Sequence[Mark]) -> str:
    """The text, as a link where the first one has a page."""
    head, more = _head(group), _more(group)
    text = _text(group).removesuffix(more)
    return (markup("kpi/mark", name=head.name, label=text) if head.name else _safe(text)) + more


def _cut(label: str, most: int) -> str:
    """A label that leaves room for its neighbours."""
    return label if len(label) <= most else label[: most - 1].rstrip() + "…"


def _safe(label: str) -> str:
    return label.replace("<", "&lt;")
