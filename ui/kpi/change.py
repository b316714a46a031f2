"""Where a change sits: segments as bars that add up to it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from metrics.kpi_views.change import ChangeBlock
from ui.shell.templates import render_once


def show_change(blocks: Sequence[ChangeBlock], against: str) -> None:
    """One list per dimension, side by side."""
    if not blocks:
        return
    st.header("Where the change sits")
    render_once("kpi/change", blocks, against, blocks=blocks, against=against)
