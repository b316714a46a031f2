"""The snapshot as Markdown, for wikis, tickets and terminals."""

from __future__ import annotations

from metrics.presentation.markdown import escaped as m
from metrics.snapshots.formats.sheet import Part, Sheet


def as_markdown(sheet: Sheet) -> str:
    """Headline, summary, a table per section, what was restated, alerts and launches."""
    lines = [f"# {m(sheet.headline)}", "", f"**{m(sheet.project)} · {m(sheet.title)}**", "", m(sheet.meta), ""]
    lines += [f"> {m(sheet.missing)}", ""] if sheet.missing else []
    lines += [f"- {m(said)}" for said in sheet.summary]
    lines += [""] if sheet.summary else []
    for words, by in sheet.notes:
        lines += [f"> {m(words)}", ">", f"> {m(by)}", ""]
    for part in sheet.parts:
        lines += _part(part)
    if sheet.restated_line:
        lines += ["## Restated since", "", m(sheet.restated_line), ""]
        lines += ["| KPI | Period | Published | Now | Cause |", "|---|---|---|---|---|"]
        lines += [*(f"| {' | '.join(map(m, row))} |" for row in sheet.restated), ""]
    if sheet.alerts:
        lines += ["## Alerts in the week", ""]
        lines += [f"- {severity.capitalize()}: {m(title)}, {m(words)}" for severity, title, words in sheet.alerts]
        lines += [""]
    if sheet.launches:
        lines += ["## Launches", ""]
        lines += [
            f"- **{m(label)}**, {m(when)}{''.join(f'; {m(v)}' for v in said)}" for label, when, said in sheet.launches
        ]
        lines += [""]
    lines += [m(words) for words in sheet.footer]
    return "\n".join([*lines, *filter(None, [sheet.link or sheet.no_link])]) + "\n"


def _part(part: Part) -> list[str]:
    rows = [
        f"| {m(b.cell.title)} | {m(b.cell.value)} | {m(b.cell.change)} | {m(b.cell.label)} | "
        f"{m(' '.join(said.text for said in b.sentences))} |"
        for b in part.blocks
    ]
    return [f"## {m(part.title)}", "", "| KPI | Value | Change | Status | |", "|---|---|---|---|---|", *rows, ""]
