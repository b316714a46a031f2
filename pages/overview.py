"""Overview: is the product on track, worst first."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import streamlit as st

from connectors.errors import counted
from jobs.alerts.board import unattended
from jobs.demo import outdated, questions
from jobs.project.clock import utc_now
from metrics.alerts.board import AlertItem
from metrics.kpi_views.overview import Overview, headline, overview
from metrics.kpi_views.status import LABELS
from ui.kpi.cards import cards
from ui.shell import state
from ui.shell.empty import first_steps
from ui.shell.filters import any_to_draw, area_and_segment, draw_area_and_segment, parse_segment, row
from ui.shell.templates import banner, line, render
from ui.shell.words import literal

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
        banner(found.overdue, "Sync now")
    if found.held:
        words = f"{', '.join(found.held)}: the definition has an error, so the version published last is shown."
        banner(words, "What is wrong")
    if found.behind:
        banner(
            f"{', '.join(found.behind)}: not computed at the last sync, so earlier values are shown.", "What is wrong"
        )
    items = firing()
    labels = {card.label for card in found.cards}
    critical = [item.title for item in items if item.severity == "critical" and item.title in labels]
    st.title(literal(headline(found.cards, critical)))
    _alerts(items)
    counts = [(slug, count, LABELS[slug].lower()) for slug, count in found.counts.items()]
    with st.container(key="bar", horizontal=True, vertical_alignment="center"):
        render("kpi/counts", line=found.freshness.line(utc_now()), counts=counts)
        if any_to_draw():
            with row():
                draw_area_and_segment()
    if set(found.counts) == {"no_target"}:
        line("Write `targets` or `thresholds` into a KPI's file to see here what is off track.")
    opened = cards(found.cards, key="cards")
    if found.left_out:
        dimension = segment.partition(":")[0]
        line(f"Not known by {dimension}: {', '.join(found.left_out)}.")
    if opened:
        st.switch_page("../pages/kpi.py", query_params={"kpi": opened})


@state.cached_view
def firing() -> tuple[AlertItem, ...]:
    """Incidents that nobody looks after yet."""
    return unattended(state.project(), now=utc_now())


def _alerts(items: Sequence[AlertItem]) -> None:
    """One line: what fires, critical first, each a link to its exact view."""
    if not items:
        return
    links = [(item.title, item.since, urlencode(item.view)) for item in items[:NAMED]]
    count = counted(len(items), "unacknowledged alert")
    render("alerts/unattended", count=count, links=links, more=max(0, len(items) - NAMED))


def _demo_strip() -> None:
    project = state.project()
    asked = questions(project)
    if asked:
        render("shell/demo", name=project.name, questions=asked)
    if late := outdated(project, utc_now()):
        banner(late)


page()
