"""The mark that ends a run: until it is there, a browser shows the shape of a page (ui/shell/first.css)."""

from __future__ import annotations

from typing import NoReturn

import streamlit as st

from ui.shell.templates import render


def ended() -> None:
    """All that the run draws is drawn."""
    render("shell/done")


def stop() -> NoReturn:
    """End the run here. What is drawn after Streamlit's own st.stop, it drops."""
    ended()
    st.stop()
