"""Plotly figures as Streamlit sends them: built, checked and made plain once for a view."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
import plotly.io
import streamlit as st

from ui.shell.once import once

# Of Plotly's buttons the one that makes a picture to send.
CONFIG = {"displaylogo": False, "responsive": True, "modeBarButtons": [["toImage"]]}


class Plain(go.Figure):  # type: ignore[misc]
    """A figure that is done: what it is made of is only read from here on.

    st.plotly_chart copies a figure, encodes each of its arrays and hashes the text, at each run: 5 ms of 20 KB. Of
    plain lists and numbers nothing is left to encode, and no copy is needed: it only writes it as text.
    """

    def __init__(self, figure: go.Figure) -> None:
        super().__init__()
        self._plain = json.loads(plotly.io.to_json(figure, validate=False))

    def to_dict(self) -> dict[str, Any]:
        """Not a copy: whoever gets it must not change it."""
        plain: dict[str, Any] = self._plain
        return plain


def plot(make: Callable[[], go.Figure], *views: object, key: str, alt: str) -> None:
    """Draw the figure of these view models. alt: what it shows, for those who do not see it."""
    picture = {"format": "png", "filename": key, "scale": 2}
    figure = once(key, lambda: Plain(make()), *views)
    st.plotly_chart(figure, config={**CONFIG, "toImageButtonOptions": picture}, key=key, alt=alt)
