"""A funnel: bars of who is left, and where they were lost."""

from __future__ import annotations

import streamlit as st

from metrics.kpi_views.types.funnel import FunnelShape
from ui.shell.theme import html, text


def draw(shape: FunnelShape) -> None:
    """The last complete period; by segment, a table."""
    st.header(f"Steps, {shape.period}")
    if shape.segments:
        first, *others = (text(step.name) for step in shape.steps)
        heads = "".join(f"<th class='bw-num'>{name}</th>" for name in (first, *others))
        lines = "".join(
            f"<tr><td>{text(name)}</td>{''.join(f'<td class=bw-num>{text(cell)}</td>' for cell in cells)}</tr>"
            for name, cells in shape.segments
        )
        html(
            f"<div class='bw-scroll' tabindex='0'><table class='bw-list'><thead><tr><th>Segment</th>{heads}</tr>"
            f"</thead><tbody>{lines}</tbody></table></div>"
        )
        return
    bars = []
    for step in shape.steps:
        lost = f"<span class='bw-lost{' bw-bad' if step.worst else ''}'>{text(step.lost)}</span>" if step.lost else ""
        kept = f" · {text(step.of_previous)} of the step before" if step.lost else ""
        bars.append(
            f"<li><p class='bw-step'><b>{text(step.name)}</b>{lost}</p>"
            f"<div class='bw-bar'><i style='width:{step.width * 100:.2f}%'></i></div>"
            f"<p class='bw-note'><b>{text(step.count)}</b> · {text(step.of_first)} of the first{kept}</p></li>"
        )
    html(f"<ol class='bw-funnel'>{''.join(bars)}</ol>")
