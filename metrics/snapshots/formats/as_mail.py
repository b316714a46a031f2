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
    """Plain text: the headline, what to know, one line per KPI, the link."""
    lines = [sheet.headline, sheet.meta, ""]
    lines += [sheet.missing, ""] if sheet.missing else []
    lines += [f"- {said}" for said in sheet.summary]
    lines += [f'"{words}" ({by})' for words, by in sheet.notes]
    for part in sheet.parts:
        lines += ["", part.title]
        lines += [
            f"- {c.title}: {c.value}{f' ({c.change})' if c.change else ''}, {c.period}, {c.label.lower()}"
            for c in (block.cell for block in part.blocks)
        ]
    return "\n".join([*lines, "", *filter(None, [sheet.link or sheet.no_link]), sheet.footer[0]])


def html(sheet: Sheet, pictures: Sequence[str]) -> str:
    """pictures: a cid for each KPI, in reading order; empty = none."""
    return (
        forms()
        .get_template("mail.html.j2")
        .render(s=sheet, pictures=list(pictures), color=lambda name: COLORS.get(name, QUIET), quiet=QUIET)
    )
