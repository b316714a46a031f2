"""Plotly figures of the KPI page. Colours hold on light and dark; Streamlit's theme does the ground."""

from __future__ import annotations

import math

import plotly.graph_objects as go

from metrics.alerts.rule_chart import Overlay
from metrics.kpi_views.chart import Chart, Line, Projected
from ui.kpi.marks import draw_marks
from ui.shell.theme import BAD, LINE, QUIET, RISK, SERIES

HEIGHT = 300  # pixels: number, sentence and chart fit the first screen
LABELS = 44  # of them above it, for marks and the buttons; more where marks need more
FEW = 8  # periods: each is marked with a dot
# The period, once, above what the pointer shows.
HOVER = {
    "hour": "%a %-d %b %Y, %H:%M UTC",
    "day": "%a %-d %b %Y",
    "week": "Week of %-d %b %Y",
    "month": "%B %Y",
    "quarter": "Q%q %Y",
    "year": "%Y",
}


def series_figure(chart: Chart, shown: Overlay | None = None) -> go.Figure:
    """Lines with limits, target and marks; what is on its way is dashed. shown: a rule's range and incidents."""
    figure = go.Figure()
    if shown is not None:
        _rule(figure, chart, shown)
    colors = iter(SERIES * 4)
    for line in chart.lines:
        _draw(figure, line, next(colors) if line.kind == "segment" else LINE)
    if chart.projected is not None:
        _project(figure, chart.projected)
    if chart.target:
        style = {"color": RISK, "width": 1.3, "dash": "5px,4px"}
        figure.add_scatter(
            x=chart.target[0], y=chart.target[1], mode="lines", name="Target", line=style, hoverinfo="skip"
        )
    for label, value, kind in chart.limits:
        color = RISK if kind == "warning" else BAD
        figure.add_hline(
            y=value,
            line={"color": color, "width": 1, "dash": "2px,3px"},
            annotation={
                "text": label,
                "font": {"size": 11, "color": color},
                "xanchor": "left",
                "x": 0,
                "yanchor": "bottom",
            },
        )
    first, last = chart.periods[0], chart.periods[-1]
    ahead = [chart.projected.period] if chart.projected is not None else []
    end = max([last, *ahead, *(mark.on for mark in chart.marks if first <= mark.on)])
    labels = max(LABELS, draw_marks(figure, chart.marks, first, end) + 2)
    figure.update_layout(
        height=HEIGHT + labels - LABELS,
        margin={"l": 8, "r": 12, "t": labels, "b": 8},
        hovermode="x unified",
        showlegend=len(figure.data) > 1,
        legend={"orientation": "h", "yanchor": "top", "y": -0.12, "x": 0, "title": None},
        font={"size": 12},
    )
    figure.update_xaxes(
        showgrid=False,
        automargin=True,
        tickformat=_dates(chart),
        nticks=8,
        hoverformat=HOVER[chart.grain],
        range=[first, end + (end - first) * 0.015],
    )
    figure.update_yaxes(
        tickformat=chart.tick_format, ticksuffix=chart.tick_suffix, automargin=True, nticks=6, zeroline=False
    )
    return figure


def _rule(figure: go.Figure, chart: Chart, shown: Overlay) -> None:
    """The range in which a rule is quiet, and the incidents it would have opened; within the range that is drawn."""
    first, last = chart.periods[0], chart.periods[-1]
    inside = [i for i, period in enumerate(shown.periods) if first <= period <= last]
    periods = [shown.periods[i] for i in inside]
    low, high = ([side[i] for i in inside] for side in (shown.low, shown.high))
    edge = {"color": QUIET, "width": 1, "dash": "1px,3px"}
    filled = any(not math.isnan(v) for v in low) and any(not math.isnan(v) for v in high)
    for values, name in ((low, "Fires below"), (high, "Fires above")):
        if all(math.isnan(v) for v in values):
            continue
        upper = values is high
        figure.add_scatter(
            x=periods,
            y=values,
            mode="lines",
            line={**edge, "width": 0.6} if filled else edge,
            hoverinfo="skip",
            name="Expected" if filled else name,
            showlegend=not filled or upper,
            fill="tonexty" if filled and upper else None,
            fillcolor="rgba(99,102,241,0.13)",
        )
    for start, end, severity in shown.spans:
        if end > first and start <= last:
            color = BAD if severity == "critical" else RISK
            figure.add_vrect(x0=max(start, first), x1=min(end, last), fillcolor=color, opacity=0.14, line_width=0)


def _dates(chart: Chart) -> str:
    """Days within a year, months beyond."""
    return "%b %Y" if chart.periods and (chart.periods[-1] - chart.periods[0]).days > 200 else "%-d %b"


def _draw(figure: go.Figure, line: Line, color: str) -> None:
    style = {"color": color, "width": 2.2}
    if line.kind in ("comparison", "companion"):
        style = {"color": QUIET, "width": 1.4} | ({"dash": "dot"} if line.kind == "comparison" else {})
    alone = len(line.periods) < FEW  # two points are hardly a line
    figure.add_scatter(
        x=line.periods,
        y=line.values,
        mode="lines+markers" if alone else "lines",
        name=line.name,
        line=style,
        legendgroup=line.name.removesuffix(", compared with"),
        text=line.texts,
        hovertemplate="%{text}<extra>" + line.name.replace("<", "&lt;").replace("%", "%%") + "</extra>",
    )


def _project(figure: go.Figure, found: Projected) -> None:
    """Dashed from the last complete period to where the running one is heading, with the range of earlier paces."""
    (since, value), style = found.since, {"color": LINE, "width": 1.8, "dash": "3px,3px"}
    reach = {"array": [0, found.high - found.value], "arrayminus": [0, found.value - found.low]}
    figure.add_scatter(
        x=[since, found.period],
        y=[value, found.value],
        mode="lines+markers",
        name="On pace for",
        line=style,
        marker={"size": [0, 7], "symbol": "circle-open", "color": LINE},
        error_y={"type": "data", "symmetric": False, "color": LINE, "thickness": 1.2, "width": 5, **reach},
        text=["", found.text],
        hovertemplate=["<extra></extra>", "%{text}<extra></extra>"],
    )
