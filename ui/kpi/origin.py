"""*Where this comes from*: words first, SQL last."""

from __future__ import annotations

import streamlit as st

from metrics.kpi_views.origin import Origin
from ui.shell.templates import render


def show_origin(origin: Origin) -> None:
    """A closed panel under the number."""
    with st.expander("Where this comes from"):
        render("shell/facts", rows=origin.facts)
        for statement in origin.sql:
            st.code(statement, language="sql")
