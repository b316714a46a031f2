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
MOST_LETTERS = 34  # of a label
NEAR = 0.02  # of the chart's width: lines so close to each other are one place


@dataclass(frozen=True)
class Place:
    """Where labels stand: yref paper `y`, shifted by up to three rows of `row` pixels from `shift` on."""

    y: float
    shift: int
    row: int


ABOVE, WITHIN = Place(1, 30, -14), Place(0, 10, 13)


def draw_marks(
    figure: go.Figure, marks: Sequence[Mark], first: pd.Timestamp, last: pd.Timestamp, *, at: Place = ABOVE
) -> None:
    """A line for each place with marks, from `first` to `last` of the axis, and what happened there."""
    for index, group in enumerate(_pooled(marks, (last - first) * NEAR)):
        color = COLORS[group[0].kind]
        for mark in group:
            if mark.until is not None and mark.until > mark.on:
                figure.add_vrect(x0=mark.on, x1=mark.until, fillcolor=COLORS[mark.kind], opacity=0.09, line_width=0)
        figure.add_vline(x=group[0].on, line={"color": color, "width": 1.2})
        late = group[0].on > first + (last - first) * 0.6  # its label goes to the left, or it would widen the axis
        figure.add_annotation(
            x=group[0].on,
            y=at.y,
            yref="paper",
            yshift=at.shift + at.row * (index % 3),
            xanchor="right" if late else "left",
            xshift=-4 if late else 4,
            showarrow=False,
            text=_label(group),
            hovertext="<br>".join(f"{mark.on:%-d %b %Y}: {_safe(mark.label)}" for mark in group),
            font={"size": 11, "color": color},
        )


def _pooled(marks: Sequence[Mark], near: pd.Timedelta) -> list[list[Mark]]:
    """Marks, rising, in groups of which each lies within `near` of its first."""
    groups: list[list[Mark]] = []
    for mark in sorted(marks, key=lambda mark: mark.on):
        if groups and mark.on - groups[-1][0].on <= near:
            groups[-1].append(mark)
        else:
            groups.append([mark])
    return groups


def _label(group: Sequence[Mark]) -> str:
    """The first one's label, as a link where it has a page, and how many more there are."""
    head = next((mark for mark in group if mark.kind == "launch"), group[0])
    more = f" +{len(group) - 1}" if len(group) > 1 else ""
    text = _cut(head.label, MOST_LETTERS - len(more))
    if head.name:
        text = markup("kpi/mark", name=head.name, label=text)
    return (text if head.name else _safe(text)) + more


def _cut(label: str, most: int) -> str:
    """A label that leaves room for its neighbours."""
    return label if len(label) <= most else label[: most - 1].rstrip() + "…"


def _safe(label: str) -> str:
    return label.replace("<", "&lt;")
