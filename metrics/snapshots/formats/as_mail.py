"""The snapshot as a mail: a subject, plain text, and HTML that every mail program shows, with pictures by cid."""

from __future__ import annotations

from collections.abc import Sequence

from metrics.snapshots.formats.as_html import forms
from metrics.snapshots.formats.sheet import Sheet

COLORS = {
    "on_track": "#0b6b46",
    "at_risk": "#93500b",
    "off_track": "#b42318",
    "good": "#0b6b46",
    "bad": "#b42318",
    "risk": "#93500b",
}
QUIET = "#4a5264"


def title(sheet: Sheet) -> str:
    """`Larkspur, week 47: 2 of 14 off track; worst Error-free sessions, 0.8 points under target`."""
    week = sheet.week.rpartition(", ")[2]
    return f"{sheet.project}, {week}: {sheet.headline.rstrip('.')}"[:200]


def body(sheet: Sheet) -> str:
    """Plain text: headline, three bullets, one line per KPI, the link; then what else there is to know."""
    first = sheet.front
    lines = [first.headline, sheet.meta, ""]
    lines += [first.missing, ""] if first.missing else []
    lines += [f"- {said}" for said in first.bullets]
    lines += [f'"{words}" ({by})' for words, by in first.notes]
    for part in sheet.parts:
        lines += ["", part.title]
        lines += [
            f"- {c.title}: {c.value}{f' ({c.change})' if c.change else ''}, {c.period}, {c.label.lower()}"
            for c in (block.cell for block in part.blocks)
        ]
    lines += ["", where] if (where := sheet.link or sheet.no_link) else []
    return "\n".join([*lines, *_details(sheet), "", *sheet.footer])


def _details(sheet: Sheet) -> list[str]:
    """What did not stand above: further bullets, whole notes, alerts, verdicts."""
    first, lines = sheet.front, list[str]()
    if first.more:
        lines += ["", "Also this week", *(f"- {said}" for said in first.more)]
    if sheet.missing != first.missing:
        lines += ["", sheet.missing]
    if first.cut_note:
        lines += ["", *(f'"{words}" ({by})' for words, by in sheet.notes)]
    if sheet.alerts:
        lines += ["", "Alerts", *(f"- {kind.capitalize()}: {title}, {words}" for kind, title, words in sheet.alerts)]
    if sheet.launches:
        lines += ["", "Launches", *(f"- {label}, {when}{_said(verdicts)}" for label, when, verdicts in sheet.launches)]
    return lines


def _said(verdicts: Sequence[str]) -> str:
    return "".join(f"; {words}" for words in verdicts)


def html(sheet: Sheet, pictures: Sequence[str]) -> str:
    """pictures: a cid for each KPI, in reading order, empty for one without; none at all = no pictures."""
    return (
        forms()
        .get_template("mail.html.j2")
        .render(s=sheet, pictures=list(pictures), color=lambda name: COLORS.get(name, QUIET), quiet=QUIET)
    )
