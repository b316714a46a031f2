"""Draws what a type shows besides its line. One file = one type = one function `draw`."""

from __future__ import annotations

import importlib

from metrics.kpi_views.types.contract import Shape


def draw(shape: Shape | None) -> None:
    """Below the line, above the values."""
    if shape is not None:
        importlib.import_module(f"{__name__}.{shape.drawn_by}").draw(shape)
