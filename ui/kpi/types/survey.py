"""A survey: shares of answers over time, and what was written."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from metrics.kpi_views.types.survey import SurveyShape
from ui.shell import url
from ui.shell.plot import plot
from ui.shell.templates import line, render
from ui.shell.theme import BAD, GOOD, QUIET

FIRST = 8  # comments shown at once
GROUPS = {"promoters": GOOD, "passives": QUIET, "detractors": BAD}


def draw(shape: SurveyShape) -> None:
    """Shares, then comments."""
    st.header("Who answered what")
    render("kpi/answers", shape=shape)
    plot(lambda: _shares(shape), shape, key="survey", alt="Share of promoters, passives and detractors")
    _comments(shape)


def _shares(shape: SurveyShape) -> go.Figure:
    figure = go.Figure()
    for group in ("detractors", "passives", "promoters"):
        figure.add_bar(
            x=list(shape.periods),
            y=list(shape.shares[group]),
            name=shape.labels[group],
            text=list(shape.texts[group]),
            textposition="none",
            marker={"color": GROUPS[group], "line": {"width": 0}},
            hovertemplate="%{y:.0%}, %{text} answers<extra>" + shape.labels[group] + "</extra>",
        )
    figure.update_layout(
        barmode="stack",
        bargap=0.15,
        height=260,
        margin={"l": 8, "r": 12, "t": 14, "b": 8},
        font={"size": 12},
        hovermode="x unified",
        legend={"orientation": "h", "yanchor": "top", "y": -0.24, "x": 0, "title": None},
    )
    figure.update_xaxes(
        showgrid=False, automargin=True, nticks=6, tickangle=0, tickformat="%-d %b\n%Y", hoverformat="%-d %b %Y"
    )
    figure.update_yaxes(tickformat=".0%", range=[0, 1], automargin=True, nticks=5, zeroline=False)
    return figure


def _comments(shape: SurveyShape) -> None:
    who = url.read("who", list(GROUPS), "")
    if not shape.comments and not who:
        return
    st.header("In their words")
    short = {"": "All", **{group: label.split(" (")[0] for group, label in shape.labels.items()}}
    url.choose("who", "Whose words", short, "", buttons=True)
    if not shape.comments:
        line("None of these wrote anything.")
    render("shell/voices", line="", comments=shape.comments[:FIRST])
    if len(shape.comments) > FIRST:
        with st.expander("More"):
            render("shell/voices", line="", comments=shape.comments[FIRST:])
