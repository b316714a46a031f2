"""Launches: what runs, on which day, with which lights; what is planned; what was read; the time line."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from jobs.launches.board import board
from jobs.project.clock import utc_now
from metrics.launches.board import LaunchBoard
from ui.kpi.charts import CONFIG
from ui.launches.charts import timeline_figure
from ui.launches.form import launch_form
from ui.launches.scorecard import launch_item
from ui.shell import state
from ui.shell.empty import first_steps
from ui.shell.theme import html, text

NONE_YET = (
    "None yet. Make one above, with kpi launch add, or as a file in launches/: name the KPIs it should move and those "
    "it must not hurt, and its verdict is read 7, 14 and 28 days after."
)


@state.cached_view
def view() -> LaunchBoard:
    """Everything the page shows."""
    return board(state.project(), now=utc_now())


def page() -> None:
    """Sentence, form, launches, time line."""
    if not state.project().has_data():
        first_steps(state.project())
        return
    found = view()
    st.title("Launches")
    html(f"<p class='bw-line'>{text(found.headline)}</p>")
    launch_form()
    items = (*found.running, *found.planned, *found.read)
    if items:
        html(f"<ul class='bw-launches'>{''.join(launch_item(item) for item in items)}</ul>")
    else:
        html(f"<p class='bw-line'>{NONE_YET}</p>")
    if found.bars:
        st.header("Time line")
        words = "Launches and marks by day. Small dots: read-outs on D+7, D+14 and D+28."
        today = pd.Timestamp(found.today)
        st.plotly_chart(timeline_figure(found.bars, today), config=CONFIG, key="timeline", alt=words)
        html(f"<p class='bw-line'>{words}</p>")
    if found.marks:
        st.header("Other marks")
        rows = "".join(
            f"<tr><td>{text(title)}<p class='bw-sub'>{text(kind)}</p></td><td>{text(day)}</td>"
            f"<td>{text(where)}</td></tr>"
            for day, title, kind, where in found.marks
        )
        html(
            f"<div class='bw-scroll' tabindex='0'><table class='bw-list'><thead><tr><th>Mark</th><th>Day</th>"
            f"<th>Drawn on</th></tr></thead><tbody>{rows}</tbody></table></div>"
        )


page()
