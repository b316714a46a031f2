"""*Where this comes from*: words first, SQL last."""

from __future__ import annotations

import streamlit as st

from metrics.kpi_views.origin import Origin
from ui.shell.templates import render_once


def show_origin(origin: Origin) -> None:
    """A closed panel under the number."""
    with st.expander("Where this comes from"):
        render_once("shell/facts", [origin], rows=origin.facts)
        for statement in origin.sql:
            st.code(statement, language="sql")
