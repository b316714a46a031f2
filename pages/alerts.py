"""Alerts: what fires, where, who looks after it; what waits; what ended."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from jobs.alerts.board import board
from jobs.project.clock import utc_now
from metrics.alerts.board import AlertItem, Board
from ui.alerts.incident import alert_card
from ui.shell import state
from ui.shell.empty import first_steps
from ui.shell.theme import html, text


@state.cached_view
def view() -> Board:
    """Everything the page shows."""
    return board(state.project(), now=utc_now())


def page() -> None:
    """Firing first, then what may fire, what waits for data, what is silenced, and the history."""
    if not state.project().has_data():
        first_steps(state.project())
        return
    found = view()
    st.title(found.headline)
    html(f"<p class='bw-line'>{text(found.line(utc_now()))}</p>")
    for words in (*found.dead, found.untold):
        if words:
            html(f"<p class='bw-banner'>{text(words)}</p>")
    _section("", found.firing)
    _section("Data is late", found.late)
    _section("Pending", found.pending)
    _section("Silenced", found.silenced)
    _waiting(found.waiting)
    html(f"<p class='bw-line'>{found.quiet} more rules and segments are quiet.</p>")
    st.header("History")
    if found.history.empty:
        html("<p class='bw-line'>No incident yet. `kpi alerts replay KPI` shows what a rule would have done.</p>")
        return
    st.dataframe(found.history, hide_index=True, key="history")
    if found.marks:
        html(f"<p class='bw-line'>{text(found.marks)}</p>")


def _section(title: str, items: Sequence[AlertItem]) -> None:
    if not items:
        return
    if title:
        st.header(title)
    for item in items:
        alert_card(item)


def _waiting(items: Sequence[AlertItem]) -> None:
    """Rules that are not judged now: a line each, no buttons."""
    if not items:
        return
    st.header("Waiting")
    rows = "".join(f"<dt>{text(i.title)}</dt><dd>{text(i.label)}. {text(i.why)}</dd>" for i in items)
    html(f"<dl class='bw-facts'>{rows}</dl>")


page()
