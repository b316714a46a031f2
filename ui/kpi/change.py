"""Where a change sits: segments as bars that add up to it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from metrics.kpi_views.change import ChangeBlock, ChangePart
from ui.shell.theme import html, text

TONES = {True: "good", False: "bad", None: "neutral"}


def show_change(blocks: Sequence[ChangeBlock], against: str) -> None:
    """One list per dimension, side by side."""
    if not blocks:
        return
    st.header("Where the change sits")
    lists = "".join(
        f"<div><p class='bw-alert-title'>By {text(block.dimension)}</p><p class='bw-line'>{text(block.line)}</p>"
        f"<ol class='bw-funnel bw-split'>{''.join(_row(part) for part in block.parts)}</ol></div>"
        for block in blocks
    )
    html(
        f"<div class='bw-changes'>{lists}</div><p class='bw-line'>The last complete period, {text(against)}. It says "
        "where the change sits, not why. The parts add up to it.</p>"
    )


def _row(part: ChangePart) -> str:
    tone = TONES[part.good]
    notes = " · ".join(text(note) for note in (part.levels, part.detail) if note)
    return (
        f"<li><p class='bw-step'><b>{text(part.segment)}</b><span class='bw-{tone}'>{text(part.change)}</span></p>"
        f"<div class='bw-bar bw-{tone}'><i style='width:{part.share * 100:.1f}%'></i></div>"
        f"<p class='bw-note'>{notes}</p></li>"
    )
