"""Audit: who did what, searchable; whether the log is what was written."""

from __future__ import annotations

import streamlit as st

from ui.audit.entries import entries, verification
from ui.audit.rights import may_see_audit
from ui.shell.templates import line


def page() -> None:
    """Whether the log is whole, then its entries."""
    st.title("Audit")
    if not may_see_audit():
        line("It is for those whom settings.yml names under editors.")
        return
    verification()
    entries()


page()
