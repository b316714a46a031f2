"""Growth accounting: gained above zero, lost below."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from metrics.kpi_views.types.lifecycle import LABELS, LifecycleShape
from ui.shell.plot import plot
from ui.shell.templates import line
from ui.shell.theme import BAD, GOOD, LINE, QUIET

KINDS = {"new": LINE, "returning": QUIET, "resurrected": GOOD, "dormant": BAD}
MOST_TIMES = 4  # returning people more than this many times the gained ones are drawn on demand


def draw(shape: LifecycleShape) -> None:
    """Bars of each period."""
    st.header("Gained and lost")
    gained = max(((a or 0) + (b or 0) for a, b in zip(shape.counts["new"], shape.counts["resurrected"], strict=True)))
    crowded = max(c or 0 for c in shape.counts["returning"]) > MOST_TIMES * gained  # the others would be slivers
    plot(
        lambda: _bars(shape, crowded=crowded),
        shape,
        key="lifecycle",
        alt="New, returning and resurrected people above zero, those who went dormant below, for each period",
    )
    more = " Returning people are many more: click their name to draw them." if crowded else ""
    line(
        "New: never there before. Resurrected: there before, but not in the period before. "
        "Went dormant: there in the period before, not in this one."
        f"{more}"
    )


def _bars(shape: LifecycleShape, *, crowded: bool) -> go.Figure:
    figure = go.Figure()
    for name in ("returning", "resurrected", "new", "dormant"):
        figure.add_bar(
            x=list(shape.periods),
            y=list(shape.counts[name]),
            name=LABELS[name],
            text=list(shape.texts[name]),
            textposition="none",
            marker={"color": KINDS[name], "line": {"width": 0}},
            hovertemplate="%{text}<extra>" + LABELS[name] + "</extra>",
            visible="legendonly" if name == "returning" and crowded else True,
        )
    figure.update_layout(
        barmode="relative",
        bargap=0.25,
        height=320,
        margin={"l": 8, "r": 12, "t": 14, "b": 8},
        font={"size": 12},
        hovermode="x unified",
        legend={"orientation": "h", "yanchor": "top", "y": -0.18, "x": 0, "title": None},
    )
    figure.update_xaxes(
        showgrid=False, automargin=True, nticks=6, tickangle=0, tickformat="%-d %b\n%Y", hoverformat="%-d %b %Y"
    )
    figure.update_yaxes(automargin=True, nticks=6, zeroline=True, zerolinewidth=1.5, tickformat=",d")
    return figure
