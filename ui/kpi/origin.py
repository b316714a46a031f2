"""*Where this comes from*: what was counted first, SQL last."""

from __future__ import annotations

import streamlit as st

from metrics.kpi_views.origin import Origin
from ui.shell.templates import line, render_once


def show_origin(origin: Origin) -> None:
    """The sentence, the facts, and the statements, folded."""
    if origin.counted:
        line(origin.counted)
    render_once("shell/facts", [origin], rows=origin.facts)
    with st.expander("SQL"):
        for statement in origin.sql:
            st.code(statement, language="sql")
