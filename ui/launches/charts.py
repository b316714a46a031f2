"""Plotly figures of launches: before and after with the expected path, adoption, the time line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import pandas as pd
import plotly.graph_objects as go

from metrics.launches.board import Bar
from metrics.launches.page import AdoptionBlock, Path
from ui.kpi.marks import COLORS, WITHIN, draw_marks
from ui.shell.theme import LINE, QUIET

T = TypeVar("T")
BAND = "rgba(99,102,241,0.14)"
LEGEND = {"orientation": "h", "yanchor": "top", "y": -0.14, "x": 0, "title": None}


def path_figure(path: Path) -> go.Figure:
    """As seen, against what would have been expected without the launch, with its 95% band."""
    figure = go.Figure()
    periods = list(path.periods)
    edge = {"color": QUIET, "width": 0}
    figure.add_scatter(x=periods, y=list(path.low), mode="lines", line=edge, hoverinfo="skip", showlegend=False)
    figure.add_scatter(
        x=periods,
        y=list(path.high),
        mode="lines",
        line=edge,
        fill="tonexty",
        fillcolor=BAND,
        hoverinfo="skip",
        name="Expected without it, 95%",
    )
    expected, texts = _broken(path, path.expected), _broken(path, path.texts)
    figure.add_scatter(
        x=[period for period, _ in expected],
        y=[value for _, value in expected],
        mode="lines",
        line={"color": QUIET, "width": 1.6, "dash": "5px,4px"},
        hoverinfo="skip",
        name="Expected",
        showlegend=False,
    )
    actual = _broken(path, path.actual)
    figure.add_scatter(
        x=[period for period, _ in actual],
        y=[None if value is None or math.isnan(value) else value for _, value in actual],
        mode="lines",
        name="As seen",
        line={"color": LINE, "width": 2.2},
        text=[text or "" for _, text in texts],
        hovertemplate="%{text}<extra></extra>",
    )
    _mark_events(figure, path)
    _layout(figure, 340, top=26)
    figure.update_yaxes(tickformat=path.tick_format, ticksuffix=path.tick_suffix, nticks=6)
    return figure


def _broken(path: Path, values: Sequence[T]) -> list[tuple[pd.Timestamp, T | None]]:
    """Periods with their values, and nothing where days were left out: no line is drawn through a campaign."""
    steps = [after - before for before, after in pairwise(path.periods)]
    found: list[tuple[pd.Timestamp, T | None]] = []
    for i, (period, value) in enumerate(zip(path.periods, values, strict=True)):
        found.append((period, value))
        if i < len(steps) and steps[i] > min(steps):
            found.append((period + min(steps), None))
    return found


def _mark_events(figure: go.Figure, path: Path) -> None:
    """The launch itself, and what else happened while it was read."""
    draw_marks(figure, path.marks, path.periods[0], path.periods[-1], at=WITHIN)
    figure.add_vline(x=path.start, line={"color": LINE, "width": 1.2})
    figure.add_annotation(
        x=path.start,
        y=1,
        yref="paper",
        yshift=14,
        xanchor="left",
        xshift=4,
        showarrow=False,
        text="Launch",
        font={"size": 11, "color": LINE},
    )


def curve_figure(found: AdoptionBlock) -> go.Figure:
    """Share of those seen since launch who used it, by day."""
    figure = go.Figure()
    days, shares = [day for day, _ in found.curve], [share for _, share in found.curve]
    figure.add_scatter(
        x=days,
        y=shares,
        mode="lines+markers" if len(days) < 45 else "lines",
        line={"color": LINE, "width": 2.2},
        marker={"size": 5},
        fill="tozeroy",
        fillcolor=BAND,
        hovertemplate="%{y:.1%}<extra></extra>",
        name="Used it",
    )
    _layout(figure, 260, top=12)
    figure.update_layout(showlegend=False)
    figure.update_yaxes(tickformat=".0%", rangemode="tozero", nticks=5)
    return figure


def timeline_figure(bars: tuple[Bar, ...], today: pd.Timestamp) -> go.Figure:
    """Launches and marks, one row each, with the days of their readings."""
    figure = go.Figure()
    rows = [bar.title.replace("<", "&lt;") for bar in bars]
    for bar, row in zip(bars, rows, strict=True):
        color, start, end = COLORS[bar.kind], pd.Timestamp(bar.start), pd.Timestamp(bar.end)
        if end > start:
            figure.add_scatter(
                x=[start, end],
                y=[row, row],
                mode="lines",
                line={"color": color, "width": 9},
                opacity=0.45,
                hoverinfo="skip",
                showlegend=False,
            )
        figure.add_scatter(
            x=[start, *(pd.Timestamp(day) for day in bar.readings)],
            y=[row] * (1 + len(bar.readings)),
            mode="markers",
            marker={"color": color, "size": [11, *[7] * len(bar.readings)], "line": {"width": 0}},
            showlegend=False,
            text=[f"{bar.kind.capitalize()}: {row}", *["Reading"] * len(bar.readings)],
            hovertemplate="%{text}, %{x|%-d %b %Y}<extra></extra>",
        )
    figure.add_vline(x=today, line={"color": QUIET, "width": 1.2, "dash": "3px,3px"})
    figure.add_annotation(
        x=today, y=1, yref="paper", yshift=12, showarrow=False, text="Today", font={"size": 11, "color": QUIET}
    )
    _layout(figure, 60 + 34 * max(2, len(rows)), top=24)
    figure.update_layout(hovermode="closest")
    figure.update_yaxes(autorange="reversed", categoryorder="array", categoryarray=rows, ticklabelstandoff=6)
    return figure


def _layout(figure: go.Figure, height: int, *, top: int) -> None:
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 12, "t": top, "b": 8},
        hovermode="x unified",
        legend=LEGEND,
        font={"size": 12},
    )
    figure.update_xaxes(showgrid=False, automargin=True, nticks=8, tickformat="%-d %b", hoverformat="%-d %b %Y")
    figure.update_yaxes(automargin=True, zeroline=False)
