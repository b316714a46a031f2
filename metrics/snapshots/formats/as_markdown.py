"""The snapshot as Markdown, for wikis, tickets and terminals."""

from __future__ import annotations

from collections.abc import Sequence

from metrics.presentation.markdown import escaped as m
from metrics.snapshots.formats.front import Cell
from metrics.snapshots.formats.sheet import Block, Sheet


def as_markdown(sheet: Sheet) -> str:
    """Headline, three bullets, the grid; then details, and at the end where the numbers come from."""
    first = sheet.front
    lines = [f"# {m(first.headline)}", "", f"**{m(sheet.project)} · {m(sheet.title)}**", "", m(sheet.meta), ""]
    lines += [f"> {m(first.missing)}", ""] if first.missing else []
    lines += [f"> {m(sheet.restated_line)}", ""] if sheet.restated_line else []
    lines += [*(f"- {m(said)}" for said in first.bullets), ""] if first.bullets else []
    lines += _quoted(first.notes)
    lines += ["| KPI | Value | Change | Status | Period |", "|---|---|---|---|---|", *map(_row, sheet.cells), ""]
    return "\n".join([*lines, *_details(sheet), *_appendix(sheet)]) + "\n"


def _quoted(notes: Sequence[tuple[str, str]]) -> list[str]:
    return [line for words, by in notes for line in (f"> {m(words)}", ">", f"> {m(by)}", "")]


def _row(c: Cell) -> str:
    return f"| {m(c.title)} | {m(c.value)} | {m(c.change)} | {m(c.label)} | {m(c.period)} |"


def _details(sheet: Sheet) -> list[str]:
    first, lines = sheet.front, list[str]()
    if first.more:
        lines += ["## Also this week", "", *(f"- {m(said)}" for said in first.more), ""]
    lines += [f"> {m(sheet.missing)}", ""] if sheet.missing != first.missing else []
    lines += _quoted(sheet.notes) if first.cut_note else []
    for part in sheet.parts:
        lines += [f"## {m(part.title)}", "", *map(_block, part.blocks), ""]
    if sheet.alerts:
        lines += ["## Alerts in the week", ""]
        lines += [f"- {kind.capitalize()}: {m(title)}, {m(words)}" for kind, title, words in sheet.alerts]
        lines += [""]
    if sheet.launches:
        lines += ["## Launches", ""]
        lines += [
            f"- **{m(label)}**, {m(when)}{''.join(f'; {m(v)}' for v in said)}" for label, when, said in sheet.launches
        ]
        lines += [""]
    return lines


def _block(block: Block) -> str:
    return f"- **{m(block.cell.title)}**: {m(' '.join(said.text for said in block.sentences))}"


def _appendix(sheet: Sheet) -> list[str]:
    lines = ["## Appendix: where the numbers come from", "", *(m(words) for words in sheet.footer)]
    lines += [where] if (where := sheet.link or sheet.no_link) else []
    if sheet.restated:
        lines += ["", "### Restated since", "", m(sheet.restated_line), ""]
        lines += ["| KPI | Period | Published | Now | Cause |", "|---|---|---|---|---|"]
        lines += [f"| {' | '.join(map(m, row))} |" for row in sheet.restated]
    return lines
