"""A funnel: bars of who is left, and where they were lost."""

from __future__ import annotations

import streamlit as st

from metrics.kpi_views.types.funnel import FunnelShape
from ui.shell.templates import render


def draw(shape: FunnelShape) -> None:
    """The last complete period; by segment, a table."""
    st.header(f"Steps, {shape.period}")
    if shape.segments:
        heads = [("Segment", ""), *((step.name, "bw-num") for step in shape.steps)]
        render("kpi/funnel_segments", heads=heads, segments=shape.segments)
    else:
        render("kpi/funnel", steps=shape.steps)
