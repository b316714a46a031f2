"""Overview: is the product on track, worst first."""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st

from jobs.alerts.board import unattended
from jobs.demo import outdated, questions
from jobs.project.clock import utc_now
from metrics.alerts.board import AlertItem
from metrics.kpi_views.overview import Overview, overview
from metrics.kpi_views.status import LABELS
from ui.kpi.cards import cards
from ui.shell import state
from ui.shell.empty import first_steps
from ui.shell.filters import any_to_draw, area_and_segment, both_widths, draw_area_and_segment, parse_segment
from ui.shell.theme import html, text

NAMED = 3  # alerts that the overview names


@state.cached_view
def view(area: str, segment: str) -> Overview:
    """The overview of the live data."""
    return overview(state.context(), area=area, where=parse_segment(segment))


def page() -> None:
    """Strip, sentence, data line, filters, cards."""
    project = state.project()
    if not project.has_data():
        first_steps(project)
        return
    area, segment = area_and_segment()
    found = view("" if area == "all" else area, segment)
    _demo_strip()
    if found.overdue:
        html(f"<p class='bw-banner'>{text(found.overdue)} <a href='data' target='_self'>Sync now</a></p>")
    if found.held:
        words = f"{', '.join(found.held)}: the definition has an error, so the version published last is shown."
        html(f"<p class='bw-banner'>{text(words)} <a href='data' target='_self'>What is wrong</a></p>")
    st.title(found.headline)
    _alerts()
    chips = "".join(f"<li class='bw-chip bw-{s}'>{n} {LABELS[s].lower()}</li>" for s, n in found.counts.items())
    with st.container(key="bar", horizontal=True, vertical_alignment="center"):
        html(f"<p class='bw-line'>{text(found.freshness.line(utc_now()))}</p><ul class='bw-chips'>{chips}</ul>")
        if any_to_draw():
            both_widths(draw_area_and_segment)
    if set(found.counts) == {"no_target"}:
        html("<p class='bw-line'>Write `targets` or `thresholds` into a KPI's file to see here what is off track.</p>")
    opened = cards(found.cards, key="cards")
    if found.left_out:
        dimension = segment.partition(":")[0]
        html(f"<p class='bw-line'>Not known by {text(dimension)}: {text(', '.join(found.left_out))}.</p>")
    if opened:
        st.switch_page("../pages/kpi.py", query_params={"kpi": opened})


@state.cached_view
def firing() -> tuple[AlertItem, ...]:
    """Incidents that nobody looks after yet."""
    return unattended(state.project(), now=utc_now())


def _alerts() -> None:
    """One line: what fires, critical first, each a link to its exact view."""
    items = firing()
    if not items:
        return
    links = ", ".join(
        f"<a href='kpi?{text(urlencode(i.view))}' target='_self'>{text(i.title)}</a> since {text(i.since)}"
        for i in items[:NAMED]
    )
    rest = f", <a href='alerts' target='_self'>{len(items) - NAMED} more</a>" if len(items) > NAMED else ""
    count = "1 unacknowledged alert" if len(items) == 1 else f"{len(items)} unacknowledged alerts"
    html(f"<p class='bw-banner bw-firing'>{count}: {links}{rest}.</p>")


def _demo_strip() -> None:
    project = state.project()
    asked = questions(project)
    if asked:
        links = "".join(
            f"<a href='kpi?kpi={q['kpi']}&amp;range={q['range']}&amp;by={q['by']}' target='_self'>{text(q['text'])}</a>"
            for q in asked
        )
        html(
            f"<div class='bw-demo'><strong>{text(project.name)}, an invented app</strong>{links}"
            "<a href='data' target='_self'>Use your own data</a></div>"
        )
    if late := outdated(project, utc_now()):
        html(f"<p class='bw-banner'>{text(late)}</p>")


page()
