"""Draws what a type shows besides its line. One function for each shape."""

from __future__ import annotations

import math

import plotly.graph_objects as go
import streamlit as st

from metrics.kpi_views.funnel import FunnelShape
from metrics.kpi_views.lifecycle import LABELS as LIFECYCLE
from metrics.kpi_views.lifecycle import LifecycleShape
from metrics.kpi_views.retention import RetentionShape
from metrics.kpi_views.shape import Shape
from metrics.kpi_views.survey import SurveyShape
from ui.kpi.charts import CONFIG
from ui.shell import url
from ui.shell.theme import BAD, GOOD, LINE, QUIET, SERIES, html, text

KINDS = {"new": LINE, "returning": QUIET, "resurrected": GOOD, "dormant": BAD}
MOST_TIMES = 4  # returning people more than this many times the gained ones are drawn on demand
FIRST = 8  # comments shown at once
GROUPS = {"promoters": GOOD, "passives": QUIET, "detractors": BAD}


def show_shape(shape: Shape | None) -> None:
    """Below the line, above the values."""
    if isinstance(shape, FunnelShape):
        _funnel(shape)
    elif isinstance(shape, RetentionShape):
        _retention(shape)
    elif isinstance(shape, LifecycleShape):
        _lifecycle(shape)
    elif isinstance(shape, SurveyShape):
        _survey(shape)


def _funnel(shape: FunnelShape) -> None:
    st.header(f"Steps, {shape.period}")
    if shape.segments:
        first, *others = (text(step.name) for step in shape.steps)
        heads = "".join(f"<th class='bw-num'>{name}</th>" for name in (first, *others))
        lines = "".join(
            f"<tr><td>{text(name)}</td>{''.join(f'<td class=bw-num>{text(cell)}</td>' for cell in cells)}</tr>"
            for name, cells in shape.segments
        )
        html(
            f"<div class='bw-scroll' tabindex='0'><table class='bw-list'><thead><tr><th>Segment</th>{heads}</tr>"
            f"</thead><tbody>{lines}</tbody></table></div>"
        )
        return
    bars = []
    for step in shape.steps:
        lost = f"<span class='bw-lost{' bw-bad' if step.worst else ''}'>{text(step.lost)}</span>" if step.lost else ""
        kept = f" · {text(step.of_previous)} of the step before" if step.lost else ""
        bars.append(
            f"<li><p class='bw-step'><b>{text(step.name)}</b>{lost}</p>"
            f"<div class='bw-bar'><i style='width:{step.width * 100:.2f}%'></i></div>"
            f"<p class='bw-note'><b>{text(step.count)}</b> · {text(step.of_first)} of the first{kept}</p></li>"
        )
    html(f"<ol class='bw-funnel'>{''.join(bars)}</ol>")


def _retention(shape: RetentionShape) -> None:
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


def _lifecycle(shape: LifecycleShape) -> None:
    st.header("Gained and lost")
    figure = go.Figure()
    gained = max(((a or 0) + (b or 0) for a, b in zip(shape.counts["new"], shape.counts["resurrected"], strict=True)))
    crowded = max(c or 0 for c in shape.counts["returning"]) > MOST_TIMES * gained  # the others would be slivers
    for name in ("returning", "resurrected", "new", "dormant"):
        opacity = [1.0 if done else 0.45 for done in shape.complete]
        figure.add_bar(
            x=list(shape.periods),
            y=list(shape.counts[name]),
            name=LIFECYCLE[name],
            text=list(shape.texts[name]),
            textposition="none",
            marker={"color": KINDS[name], "opacity": opacity, "line": {"width": 0}},
            hovertemplate="%{text}<extra>" + LIFECYCLE[name] + "</extra>",
            visible="legendonly" if name == "returning" and crowded else True,
        )
    figure.update_layout(
        barmode="relative",
        bargap=0.25,
        height=320,
        margin={"l": 8, "r": 12, "t": 14, "b": 8},
        font={"size": 12},
        hovermode="x unified",
        legend={"orientation": "h", "yanchor": "top", "y": -0.12, "x": 0, "title": None},
    )
    figure.update_xaxes(showgrid=False, automargin=True, nticks=8, hoverformat="%-d %b %Y")
    figure.update_yaxes(automargin=True, nticks=6, zeroline=True, zerolinewidth=1.5, tickformat=",d")
    st.plotly_chart(
        figure,
        config=CONFIG,
        key="lifecycle",
        alt="New, returning and resurrected people above zero, those who went dormant below, for each period",
    )
    more = " Returning people are many more: click their name to draw them." if crowded else ""
    html(
        "<p class='bw-line'>New: never there before. Resurrected: there before, but not in the period before. "
        "Went dormant: there in the period before, not in this one. Pale: not complete yet."
        f"{more}</p>"
    )


def _survey(shape: SurveyShape) -> None:
    st.header("Who answered what")
    chips = "".join(
        f"<li class='bw-share bw-{group}'><b>{text(share)}</b> {text(shape.labels[group])} "
        f"<span>{text(count)}</span></li>"
        for group, count, share in shape.latest
    )
    html(f"<p class='bw-line'>{text(shape.latest_period)}</p><ul class='bw-shares'>{chips}</ul>")
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
        legend={"orientation": "h", "yanchor": "top", "y": -0.14, "x": 0, "title": None},
    )
    figure.update_xaxes(showgrid=False, automargin=True, nticks=8, hoverformat="%-d %b %Y")
    figure.update_yaxes(tickformat=".0%", range=[0, 1], automargin=True, nticks=5, zeroline=False)
    st.plotly_chart(figure, config=CONFIG, key="survey", alt="Share of promoters, passives and detractors")
    _comments(shape)


def _comments(shape: SurveyShape) -> None:
    who = url.read("who", list(GROUPS), "")
    if not shape.comments and not who:
        return
    st.header("In their words")
    short = {"": "All", **{group: label.split(" (")[0] for group, label in shape.labels.items()}}
    url.choose("who", "Whose words", short, "", buttons=True)
    if not shape.comments:
        html("<p class='bw-line'>None of these wrote anything.</p>")
    items = [
        f"<li class='bw-{c.who}'><p>{text(c.words)}</p>"
        f"<p class='bw-note'><b>{text(c.score)}</b> · {text(c.when)}</p></li>"
        for c in shape.comments
    ]
    html(f"<ul class='bw-voices'>{''.join(items[:FIRST])}</ul>")
    if len(items) > FIRST:
        with st.expander("More"):
            html(f"<ul class='bw-voices'>{''.join(items[FIRST:])}</ul>")
