"""A KPI's last six weeks beside its last twelve months, and its sparkline: SVG that page, file, PDF and mail share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from metrics.snapshots.document import Line, Point
from metrics.snapshots.formats.scale import Scale, scale

LINE, QUIET, INK = "#6366f1", "#8b93a7", "#475467"  # mid-tones: they hold on light and dark ground
TONES = {"good": "#1f9d6b", "bad": "#dc4b4b", "neutral": LINE}
WIDE, HIGH = 420, 118
TOP, BOTTOM = 24, 86  # of the plotted part
WEEKS_TO, MONTHS_FROM = 196, 212  # x where the weeks end and the months begin
LETTER, DIGIT = 5.7, 6.6  # their widths, about
EDGE = 5
SPARK_WIDE, SPARK_HIGH, SPARK_PAD = 100, 30, 2.5


@dataclass(frozen=True)
class Panel:
    """The weeks or the months of a KPI. what: their name; home: values of the KPI's own grain."""

    points: tuple[Point, ...]
    what: str
    home: bool

    @property
    def known(self) -> list[Point]:
        """Those that have a value."""
        return [p for p in self.points if p.value is not None]


def panels(line: Line) -> list[Panel]:
    """Those of which something is known: weeks, then months."""
    both = (("week", line.weeks, line.weeks_note), ("month", line.months, line.months_note))
    found = [Panel(points, f"{grain}s", bool(note) or line.grain == grain) for grain, points, note in both]
    return [panel for panel in found if panel.known]


def chart(line: Line) -> str:
    """The working-backwards form: weeks on the left, months on the right, each with its scale; empty if unknown."""
    found = measured(line)
    if not found:
        return ""
    spans = [(0, WIDE)] if len(found) == 1 else [(0, WEEKS_TO), (MONTHS_FROM, WIDE)]
    drawn = "".join(_panel(*panel, *span) for panel, span in zip(found, spans, strict=True))
    return _svg(WIDE, HIGH, f'font-size="11" role="img" aria-label="{escape(alt(line), quote=True)}"', drawn)


def _svg(wide: int, high: int, more: str, inner: str) -> str:
    """What holds for a whole picture is said once: a page has dozens of them."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" '
        f'color="{INK}" fill="none" stroke-linecap="round" font-family="Inter, sans-serif" {more}>{inner}</svg>'
    )


def measured(line: Line) -> list[tuple[Panel, Scale]]:
    """Each panel with its scale; rates and scores have one for both, since they mean the same in a week and a month."""
    found = panels(line)
    if line.in_points:
        both = [p for panel in found for p in panel.points]
        return [(panel, of) for panel in found if (of := scale(line, both, home=True))]
    return [(panel, of) for panel in found if (of := scale(line, panel.points, home=panel.home))]


def alt(line: Line) -> str:
    """What the chart shows, for readers who do not see it."""
    parts = [f"{line.title}."]
    for panel, measure in measured(line):
        known, (least, greatest) = panel.known, _extremes(panel)
        parts.append(
            f"Last {len(panel.points)} {panel.what}: from {known[0].text} ({known[0].name}) to {known[-1].text} "
            f"({known[-1].name}), least {least}, greatest {greatest}; "
            f"scale from {measure.low_text} to {measure.high_text}."
        )
    return " ".join(parts)


def _extremes(panel: Panel) -> tuple[str, str]:
    """The least and the greatest value, as told."""
    least, greatest = (pick(panel.known, key=lambda p: p.value or 0.0).text for pick in (min, max))
    return least, greatest


def _panel(panel: Panel, measure: Scale, start: float, end: float) -> str:
    left = start + DIGIT * max(len(measure.low_text), len(measure.high_text)) + 7 + EDGE
    targets = _at(panel.points, measure, left, end - EDGE, targets=True)
    runs = _at(panel.points, measure, left, end - EDGE)
    dots = "".join(f"M{x:.0f} {y:.1f}h0" for run in runs for x, y in run)
    words, dash = _legend(panel, left, end) if targets else ("", "")
    labels = [_heading(panel, start, end), words, _label(measure.high_text, left - EDGE - 4, TOP + 4, "end")]
    labels.append(_label(measure.low_text, left - EDGE - 4, BOTTOM + 4, "end"))
    first, last = panel.known[0], panel.known[-1]
    for point, x, anchor in ((first, left - EDGE, "start"), (last, end, "end")):
        if point is not first or first is not last or anchor == "end":
            labels.append(_label(point.name, x, BOTTOM + 16, anchor))
            labels.append(_label(point.text, x, HIGH - 3, anchor, bold=point is last))
    dashed = dash + "".join(map(_path, targets))
    drawn = [_frame(measure, left - EDGE, end)]
    drawn += [f'<path d="{dashed}" stroke="{QUIET}" stroke-width="1.2" stroke-dasharray="4 3"/>'] if dashed else []
    drawn.append(f'<path d="{"".join(map(_path, runs))}" stroke="{LINE}" stroke-width="2"/>')
    drawn.append(f'<path d="{dots}" stroke="{LINE}" stroke-width="4.6"/>')
    return "".join([*drawn, '<g fill="currentColor">', *labels, "</g>"])


def _frame(measure: Scale, left: float, end: float) -> str:
    """The ends of the scale as lines; one at 0 is as strong as an axis."""
    ends = "".join(f"M{left:.0f} {y}H{end:.0f}" for y in (TOP, BOTTOM))
    drawn = f'<path d="{ends}" stroke="{QUIET}" stroke-width=".6"/>'
    if measure.low <= 0 <= measure.high:
        drawn += f'<path d="M{left:.0f} {_y(measure, 0):.1f}H{end:.0f}" stroke="{QUIET}" stroke-width="1.3"/>'
    return drawn


def _heading(panel: Panel, start: float, end: float) -> str:
    """`6 weeks, least 99.4%, greatest 99.5%`, as far as there is room."""
    words = f"{len(panel.points)} {panel.what if len(panel.points) > 1 else panel.what[:-1]}"
    room, least, greatest = (end - start) / LETTER, *_extremes(panel)
    for more in (f", least {least}, greatest {greatest}", f": {least} to {greatest}"):
        if len(words + more) <= room:
            words += more
            break
    return _label(words, start, 11, "start")


def _legend(panel: Panel, left: float, end: float) -> tuple[str, str]:
    """What is dashed, between the first and the last value; and its dash. Empty where there is no room."""
    free_from = left + DIGIT * len(panel.known[0].text) if len(panel.known) > 1 else left
    free_to = end - DIGIT * len(panel.known[-1].text)
    x = (free_from + free_to) / 2 - 26
    if free_to - free_from < 60:
        return "", ""
    return _label("target", x + 20, HIGH - 3, "start"), f"M{x:.0f} {HIGH - 7}h16"


def _y(measure: Scale, value: float, top: float = TOP, bottom: float = BOTTOM) -> float:
    return bottom - measure.share(value) * (bottom - top)


def _at(
    points: Sequence[Point],
    measure: Scale,
    start: float,
    end: float,
    *,
    top: float = TOP,
    bottom: float = BOTTOM,
    targets: bool = False,
) -> list[list[tuple[float, float]]]:
    """Where the points lie; a run ends where one is unknown, or a target has no place on the scale."""
    step, runs = (end - start) / max(1, len(points) - 1), list[list[tuple[float, float]]]([[]])
    for index, point in enumerate(points):
        value = point.target if targets else point.value
        if value is not None and measure.holds(value):
            runs[-1].append((start + step * index, _y(measure, value, top, bottom)))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _path(run: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.0f} {y:.1f}" for x, y in run)


def _label(text: str, x: float, y: float, anchor: str, *, bold: bool = False) -> str:
    look = ' text-anchor="end"' if anchor == "end" else ""
    look += ' font-weight="600"' if bold else ""
    return f'<text x="{x:.0f}" y="{y}"{look}>{escape(text)}</text>'


def spark(line: Line) -> str:
    """The last weeks, or months, as a small line with the ends of its scale; empty if nothing can be shown.

    Where the value is of another grain (a day's, beside weeks) it is a dot behind the line; where it is of another size
    as well (17 a day, 169 a week) there is no line, since nobody could read the two together.
    """
    panel = next((p for p in panels(line) if len(p.known) > 1), None)
    if panel is None or not (panel.home or _alike(line, panel)):
        return ""
    alone = line.value is not None and not panel.home and panel.known[-1].value != line.value
    dot = Point(period=panel.points[-1].period, name="", value=line.value, text=line.text)
    points = (*panel.points, dot) if alone else panel.points
    measure = scale(line, points, home=True)
    assert measure is not None
    texts = (measure.high_text, measure.low_text)
    end = SPARK_WIDE - 5.8 * max(map(len, texts)) - 2
    top, bottom = SPARK_PAD, SPARK_HIGH - SPARK_PAD
    runs = _at(points, measure, SPARK_PAD, end - SPARK_PAD, top=top, bottom=bottom)
    marked = f"M{runs[-1].pop()[0]:.0f} {_y(measure, line.value or 0.0, top, bottom):.1f}h0" if alone else ""
    path = "".join(_path(run) + ("h0" if len(run) == 1 else "") for run in runs if run)
    labels = "".join(_label(text, SPARK_WIDE, y, "end") for text, y in zip(texts, (9, SPARK_HIGH - 2), strict=True))
    look = f'stroke="{TONES[line.change_is]}" stroke-linejoin="round"'
    inner = (
        f'<path d="M0 {top}H{end:.0f}M0 {bottom}H{end:.0f}" stroke="{QUIET}" stroke-width=".5" stroke-dasharray="1 2"/>'
        f'<path d="{path}" {look} stroke-width="2"/><g fill="currentColor">{labels}</g>'
    )
    inner += f'<path d="{marked}" {look} stroke-width="5"/>' if marked else ""
    return _svg(SPARK_WIDE, SPARK_HIGH, 'font-size="10"', inner)


def _alike(line: Line, panel: Panel) -> bool:
    """Whether a value and points of another grain can stand on one scale: rates, scores, amounts of one size."""
    sizes = [abs(p.value) for p in panel.known if p.value is not None]
    return line.in_points or (line.value is not None and min(sizes) / 2 <= abs(line.value) <= max(sizes) * 2)
