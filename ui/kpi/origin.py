"""*Where this comes from*: words first, SQL last."""

from __future__ import annotations

import streamlit as st

from metrics.kpi_views.origin import Origin
from ui.shell.theme import html, text


def show_origin(origin: Origin) -> None:
    """A closed panel under the number."""
    with st.expander("Where this comes from"):
        facts = "".join(f"<dt>{text(label)}</dt><dd>{text(words)}</dd>" for label, words in origin.facts)
        html(f"<dl class='bw-facts'>{facts}</dl>")
        for statement in origin.sql:
            st.code(statement, language="sql")
