"""Audit: who did what, searchable; whether the log is what was written."""

from __future__ import annotations

import streamlit as st

from ui.audit.entries import entries, verification
from ui.shell import state
from ui.shell.templates import line


def page() -> None:
    """Whether the log is whole, then its entries."""
    st.title("Audit")
    if not state.may("audit"):
        line("It is for those whom settings.yml names under editors, or whose role may read it.")
        return
    verification()
    entries()


page()
