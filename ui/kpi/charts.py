"""Plotly figures of the KPI page. Colours hold on light and dark; Streamlit's theme does the ground."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go

from metrics.alerts.rule_chart import Overlay
from metrics.kpi_views.kpi_page import Chart, Line
from ui.shell.theme import BAD, GOOD, LINE, QUIET, RISK, SERIES

MARKS = {"launch": LINE, "incident": BAD, "campaign": GOOD, "redefinition": RISK, "holiday": QUIET, "note": QUIET}
MOST_LETTERS = 34  # of a mark's label


def series_figure(chart: Chart, shown: Overlay | None = None) -> go.Figure:
    """Lines with limits, target and marks; what is not complete is dashed. shown: a rule's range and incidents."""
    figure = go.Figure()
    if shown is not None:
        _rule(figure, chart, shown)
    colors = iter(SERIES * 4)
    for line in chart.lines:
        _draw(figure, line, next(colors) if line.kind == "segment" else LINE)
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
    drawn = [period for line in chart.lines for period in line.periods]
    first, last = min(drawn), max(drawn)
    end = max([last, *(mark.on for mark in chart.marks if first <= mark.on)])
    _mark(figure, chart, first, end)
    figure.update_layout(
        height=380,
        margin={"l": 8, "r": 12, "t": 44, "b": 8},
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
        hoverformat="%-d %b %Y",
        range=[first, end + (end - first) * 0.015],
    )
    figure.update_yaxes(
        tickformat=chart.tick_format, ticksuffix=chart.tick_suffix, automargin=True, nticks=6, zeroline=False
    )
    return figure


def _rule(figure: go.Figure, chart: Chart, shown: Overlay) -> None:
    """The range in which a rule is quiet, and the incidents it would have opened; within the range that is drawn."""
    drawn = [period for line in chart.lines for period in line.periods]
    first, last = min(drawn), max(drawn)
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
    periods = [p for line in chart.lines for p in line.periods]
    return "%b %Y" if periods and (max(periods) - min(periods)).days > 200 else "%-d %b"


def _draw(figure: go.Figure, line: Line, color: str) -> None:
    if line.kind == "comparison":
        style = {"color": QUIET, "width": 1.4, "dash": "dot"}
    elif line.kind == "companion":
        style = {"color": QUIET, "width": 1.6}
    else:
        style = {"color": color, "width": 2.2}
    solid = [v if done else math.nan for v, done in zip(line.values, line.complete, strict=True)]
    whole = line.values if line.kind in ("comparison", "companion") else solid
    figure.add_scatter(
        x=line.periods,
        y=whole,
        mode="lines",
        name=line.name,
        line=style,
        legendgroup=line.name,
        text=line.texts,
        hovertemplate="%{text}<extra>" + line.name.replace("<", "&lt;").replace("%", "%%") + "</extra>",
    )
    if line.kind in ("value", "segment") and not all(line.complete):
        # The dashed part starts at the last complete neighbour, so that the line does not break.
        near = [
            not done
            or (i + 1 < len(line.complete) and not line.complete[i + 1])
            or (i > 0 and not line.complete[i - 1])
            for i, done in enumerate(line.complete)
        ]
        values = [v if show else math.nan for v, show in zip(line.values, near, strict=True)]
        figure.add_scatter(
            x=line.periods,
            y=values,
            mode="lines",
            line={**style, "dash": "3px,3px", "width": 1.6},
            opacity=0.75,
            showlegend=False,
            legendgroup=line.name,
            hoverinfo="skip",
        )


def _mark(figure: go.Figure, chart: Chart, first: pd.Timestamp, last: pd.Timestamp) -> None:
    for index, mark in enumerate(chart.marks):
        color = MARKS[mark.kind]
        if mark.until is not None and mark.until > mark.on:
            figure.add_vrect(x0=mark.on, x1=mark.until, fillcolor=color, opacity=0.09, line_width=0)
        figure.add_vline(x=mark.on, line={"color": color, "width": 1.2})
        late = mark.on > first + (last - first) * 0.6  # its label goes to the left, or it would widen the axis
        figure.add_annotation(
            x=mark.on,
            y=1,
            yref="paper",
            yshift=30 - 14 * (index % 3),
            xanchor="right" if late else "left",
            xshift=-4 if late else 4,
            showarrow=False,
            text=shortened(mark.label),
            font={"size": 11, "color": color},
        )


def shortened(label: str) -> str:
    """A label that leaves room for its neighbours."""
    cut = label if len(label) <= MOST_LETTERS else label[: MOST_LETTERS - 1].rstrip() + "…"
    return cut.replace("<", "&lt;")
