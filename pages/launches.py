"""Launches: what runs, on which day, with which lights; what is planned; what was read; the time line."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from jobs.launches.board import board
from jobs.project.clock import utc_now
from metrics.launches.board import LaunchBoard
from ui.launches.charts import timeline_figure
from ui.launches.form import launch_form
from ui.shell import state
from ui.shell.empty import first_steps
from ui.shell.ended import headed
from ui.shell.plot import plot
from ui.shell.templates import line, render

NONE_YET = (
    "None yet. Make one above, with kpi launch add, or as a file in launches/: name the KPIs it should move and those "
    "it must not hurt, and its verdict is read 7, 14 and 28 days after."
)


@state.cached_view
def view() -> LaunchBoard:
    """Everything the page shows."""
    return board(state.project(), now=utc_now())


def page() -> None:
    """Sentence, form, launches, drafts, time line."""
    if not state.project().has_data():
        first_steps(state.project())
        return
    found = view()
    st.title("Launches")
    line(found.headline)
    if state.may("launch"):
        launch_form()
    items = (*found.running, *found.planned, *found.read)
    if items:
        render("launches/list", items=items)
    else:
        line(NONE_YET)
    headed()
    if found.drafts:
        st.header("Drafts")
        line(found.drafts_line)
        render("launches/drafts", items=found.drafts)
    if found.bars:
        st.header("Time line")
        words = "Launches and marks by day. Small dots: read-outs on D+7, D+14 and D+28."
        today = pd.Timestamp(found.today)
        plot(lambda: timeline_figure(found.bars, today), found, key="timeline", alt=words)
        line(words)
    if found.marks:
        st.header("Other marks")
        render("launches/marks", marks=found.marks)


page()
