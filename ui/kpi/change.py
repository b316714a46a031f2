"""Where a change sits: segments as bars left and right of zero that add up to it; an ordinary change is folded."""

from __future__ import annotations

import streamlit as st

from metrics.alerts.change import Change
from ui.shell.templates import render_once


def show_change(change: Change | None) -> None:
    """One list per dimension, side by side."""
    if change is None:
        return
    st.header("Where the change sits")
    if change.folded:
        with st.expander(f"{change.heading}. {change.note}"):
            render_once("kpi/change", (change,), change=change)
    else:
        render_once("kpi/change", (change,), change=change)
