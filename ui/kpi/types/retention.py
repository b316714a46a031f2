"""Retention: the curve of all cohorts, and the triangle."""

from __future__ import annotations

import math

import plotly.graph_objects as go
import streamlit as st

from metrics.kpi_views.types.retention import RetentionShape
from ui.kpi.charts import CONFIG
from ui.shell.theme import LINE, QUIET, SERIES, html, text


def draw(shape: RetentionShape) -> None:
    """Curve, then triangle."""
    st.header("Who comes back")
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
    words = f"Share of a cohort that is back, by {shape.unit}; the headline is {shape.unit} {shape.at}"
    st.plotly_chart(figure, config=CONFIG, key="curve", alt=words)
    html(f"<p class='bw-line'>{text(words)}. Cohorts count by their size, each only where it is old enough.</p>")
    if shape.cohorts:
        html(_triangle(shape))


def _triangle(shape: RetentionShape) -> str:
    known = [cell for cohort in shape.cohorts for cell in cohort.cells if cell is not None]
    least, most = min(known, default=0.0), max(known, default=1.0)
    spread = most - least or 1.0
    here = [" class='bw-here'" if k == str(shape.at) else "" for k in shape.columns]
    heads = "".join(f"<th scope='col'{mark}>{k}</th>" for k, mark in zip(shape.columns, here, strict=True))
    lines = []
    for cohort in shape.cohorts:
        cells = "".join(
            "<td><span class='bw-hidden'>not over yet</span></td>"
            if cell is None
            else f"<td style='--heat:{8 + (cell - least) / spread * 54:.0f}%'>{cell * 100:.0f}%</td>"
            for cell in cohort.cells
        )
        lines.append(f"<tr><th scope='row'>{text(cohort.name)}</th><td class='bw-size'>{cohort.size}</td>{cells}</tr>")
    caption = f"Cohorts, newest first: people who started, and the share back after each {shape.unit}"
    return (
        f"<div class='bw-scroll' tabindex='0' role='region' aria-label='Cohort triangle'><table class='bw-triangle'>"
        f"<caption>{text(caption)}</caption><thead><tr><th scope='col'>Started</th><th scope='col'>People</th>{heads}"
        f"</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )
