"""Retention: the curve of all cohorts, and the triangle."""

from __future__ import annotations

import math

import plotly.graph_objects as go
import streamlit as st

from metrics.kpi_views.types.retention import RetentionShape
from ui.shell.plot import plot
from ui.shell.templates import line, render
from ui.shell.theme import LINE, QUIET, SERIES


def draw(shape: RetentionShape) -> None:
    """Curve, then triangle."""
    st.header("Who comes back")
    words = f"Share of a cohort that is back, by {shape.unit}; the headline is {shape.unit} {shape.at}"
    plot(lambda: _curves(shape), shape, key="curve", alt=words)
    line(f"{words}. Cohorts count by their size, each only where it is old enough.")
    if shape.cohorts:
        _triangle(shape)


def _curves(shape: RetentionShape) -> go.Figure:
    figure = go.Figure()
    for index, curve in enumerate(shape.curves):
        color = LINE if len(shape.curves) == 1 else SERIES[index % len(SERIES)]
        shares = curve.shares[1:]  # after 0 units everybody is there
        texts = [f"{shape.unit} {k}: {x:.1%}" for k, x in enumerate(shares, start=1)]
        figure.add_scatter(
            x=list(range(1, len(shares) + 1)),
            y=[None if math.isnan(x) else x for x in shares],
            mode="lines+markers",
            name=curve.name.replace("<", "&lt;"),
            line={"color": color, "width": 2.2},
            marker={"size": 5},
            text=texts,
            hovertemplate="%{text}<extra>" + curve.name.replace("<", "&lt;").replace("%", "%%") + "</extra>",
        )
    figure.add_vline(x=shape.at, line={"color": QUIET, "width": 1, "dash": "3px,3px"})
    figure.update_layout(
        height=280,
        margin={"l": 8, "r": 12, "t": 14, "b": 8},
        showlegend=len(shape.curves) > 1,
        font={"size": 12},
        legend={"orientation": "h", "yanchor": "top", "y": -0.2, "x": 0, "title": None},
        hovermode="x unified",
    )
    figure.update_xaxes(title=f"{shape.unit.capitalize()}s after the start", showgrid=False, automargin=True, nticks=14)
    figure.update_yaxes(tickformat=".0%", rangemode="tozero", automargin=True, nticks=5, zeroline=False)
    return figure


def _triangle(shape: RetentionShape) -> None:
    known = [cell for cohort in shape.cohorts for cell in cohort.cells if cell is not None]
    least, most = min(known, default=0.0), max(known, default=1.0)
    spread = most - least or 1.0
    rows = [
        (c, [None if x is None else (x * 100, 8 + (x - least) / spread * 54) for x in c.cells]) for c in shape.cohorts
    ]
    render("kpi/triangle", shape=shape, rows=rows)
