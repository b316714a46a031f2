"""Alerts: what fires, where, who looks after it; what waits; what ended."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from connectors.errors import counted
from jobs.alerts.board import board
from jobs.project.clock import utc_now
from metrics.alerts.board import AlertItem, Board
from ui.alerts.incident import alert_card
from ui.shell import state
from ui.shell.empty import first_steps
from ui.shell.templates import banner, line, render
from ui.shell.words import literal


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
    st.title(literal(found.headline))
    line(found.line(utc_now()))
    for words in (*found.dead, found.untold):
        if words:
            banner(words)
    _section("", found.firing)
    _section("Data is late", found.late)
    _section("Not as the tracking plan says", found.unplanned)
    _section("Pending", found.pending)
    _section("Silenced", found.silenced)
    _waiting(found.waiting)
    line(f"{counted(found.quiet, 'more rule or segment is', 'more rules and segments are')} quiet.")
    st.header("History")
    if found.history.empty:
        line("No incident yet. `kpi alerts replay KPI` shows what a rule would have done.")
        return
    st.dataframe(found.history, hide_index=True, key="history")
    if found.marks:
        line(found.marks)


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
    render("shell/facts", rows=[(i.title, f"{i.label}. {i.why}") for i in items])


page()
