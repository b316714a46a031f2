"""KPI cards: one component with inline SVG, no chart library. Rows of 64 px on a phone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from metrics.kpi_views.card import Card

FOLDER = Path(__file__).parent / "component"
_component = st.components.v2.component(
    "bellwether_cards",
    html="<ul class='cards'></ul>",
    css=(FOLDER / "cards.css").read_text(),
    js=(FOLDER / "cards.js").read_text(),
)


def cards(items: Sequence[Card], *, key: str) -> str | None:
    """Draw the cards; the name of the KPI whose card was opened in this run, or None.

    All text reaches the page as text nodes, never as markup (component/cards.js).
    """
    result = _component(data={"cards": [item.as_dict() for item in items]}, key=key, on_open_change=lambda: None)
    opened = result.get("open")
    return str(opened) if opened else None
