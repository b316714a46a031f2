"""The mark until which a browser shows the shape of a page (ui/shell/first.css): its end, or that of its head."""

from __future__ import annotations

from typing import NoReturn

import streamlit as st

from ui.shell.templates import render


def ended() -> None:
    """All that the run draws is drawn."""
    render("shell/done")


def headed() -> None:
    """What stands at the top is drawn, and what follows moves none of it: it can be seen while the rest comes."""
    render("shell/done")


def stop() -> NoReturn:
    """End the run here. What is drawn after Streamlit's own st.stop, it drops."""
    ended()
    st.stop()
