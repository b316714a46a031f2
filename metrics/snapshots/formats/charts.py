"""A KPI's last six weeks beside its last twelve months, and its sparkline: SVG that page, file, PDF and mail share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from connectors.errors import counted
from metrics.presentation.sparkline import HEIGHT, WIDTH, sparkline
from metrics.snapshots.document import Line, Point

LINE, QUIET, INK = "#6366f1", "#8b93a7", "#475467"  # mid-tones: they hold on light and dark ground
TONES = {"good": "#1f9d6b", "bad": "#dc4b4b", "neutral": LINE}
WIDE, HIGH = 420, 112
TOP, BOTTOM = 24, 90  # of the plotted part
WEEKS_TO, MONTHS_FROM = 158, 182  # x where the weeks end and the months begin
EDGE = 6


def chart(line: Line) -> str:
    """The working-backwards form: weeks on the left, months on the right, each on its own scale; empty if unknown."""
    left = _panel(line.weeks, EDGE, WEEKS_TO - EDGE, counted(len(line.weeks), "week")) if line.weeks else ""
    start = MONTHS_FROM + EDGE if line.weeks else EDGE
    right = _panel(line.months, start, WIDE - EDGE, counted(len(line.months), "month")) if line.months else ""
    if not left and not right:
        return ""
    words = escape(alt(line), quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" width="{WIDE}" height="{HIGH}" '
        f'role="img" aria-label="{words}" color="{INK}" font-family="Inter, sans-serif" font-size="11">'
        f"{left}{right}</svg>"
    )


def alt(line: Line) -> str:
    """What the chart shows, for readers who do not see it."""
    parts = [f"{line.title}."]
    for points, what in ((line.weeks, "weeks"), (line.months, "months")):
        known = [p for p in points if p.value is not None]
        if known:
            parts.append(
                f"Last {len(points)} {what}: from {known[0].text} ({known[0].name}) to {known[-1].text} "
                f"({known[-1].name})."
            )
    return " ".join(parts)


def _panel(points: Sequence[Point], start: float, end: float, title: str) -> str:
    values = [p.value if p.value is not None else math.nan for p in points]
    known = [v for v in values if not math.isnan(v)]
    if not known:
        return ""
    targets = [p.target for p in points]
    near = [t for t in targets if t is not None and _near(t, known)]
    low, high = min([*known, *near]), max([*known, *near])
    spread = (high - low) or abs(high) or 1.0
    step = (end - start) / max(1, len(points) - 1)

    def at(index: int, value: float) -> str:
        return f"{start + step * index:.1f},{BOTTOM - (value - low) / spread * (BOTTOM - TOP):.1f}"

    drawn = [_path([at(i, t) for i, t in enumerate(targets) if t is not None and _near(t, known)], QUIET, "1.2", "4 3")]
    drawn.append(_path([at(i, v) for i, v in enumerate(values) if not math.isnan(v)], LINE, "2", ""))
    dots = [at(i, v).split(",") for i, v in enumerate(values) if not math.isnan(v)]
    marks = "".join(f"M{x} {y}h0" for x, y in dots)
    drawn.append(f'<path d="{marks}" stroke="{LINE}" stroke-width="4.6" stroke-linecap="round"/>')
    first, last = (next(p for p in order if p.value is not None) for order in (points, list(reversed(points))))
    left, right, low_row, high_row = start - EDGE, end + EDGE, HIGH - 5, 11
    drawn.append(_label(first.text, left, high_row, "start"))
    drawn.append(_label(title, (left + right) / 2, high_row, "middle"))
    drawn.append(_label(last.text, right, high_row, "end", bold=True))
    drawn.append(_label(points[0].name, left, low_row, "start"))
    drawn.append(_label(points[-1].name, right, low_row, "end"))
    return "".join(drawn)


def _near(target: float, known: Sequence[float]) -> bool:
    """Whether a target fits without flattening the line."""
    spread = max(known) - min(known) or abs(max(known)) or 1.0
    return min(known) - 1.5 * spread <= target <= max(known) + 1.5 * spread


def _path(points: Sequence[str], color: str, width: str, dashes: str) -> str:
    dash = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<polyline points="{" ".join(points)}" fill="none" stroke="{color}" stroke-width="{width}"{dash}/>'


def _label(text: str, x: float, y: float, anchor: str, *, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:.0f}" y="{y}" text-anchor="{anchor}" fill="currentColor"{weight}>{escape(text)}</text>'


def spark(line: Line) -> str:
    """The last weeks, or months, as a small picture without words."""
    points = line.weeks if len(line.weeks) > 1 else line.months
    values = [p.value if p.value is not None else math.nan for p in points]
    target = points[-1].target if points else None
    drawn = sparkline(values, target, line.title)
    color = TONES[line.change_is]
    goal = (
        f'<path d="M0 {drawn.target_y} L{WIDTH} {drawn.target_y}" stroke="{QUIET}" stroke-dasharray="3 3"/>'
        if (drawn.target_y is not None)
        else ""
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" width="{WIDTH:.0f}" '
        f'height="{HEIGHT:.0f}">{goal}<path d="{drawn.area}" fill="{color}" opacity="0.12"/>'
        f'<path d="{drawn.line}" fill="none" stroke="{color}" stroke-width="2"/></svg>'
    )
