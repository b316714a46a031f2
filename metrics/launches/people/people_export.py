"""The people's part of a scorecard in its two exports."""

from __future__ import annotations

from html import escape

from metrics.launches.people.people_block import PeopleBlock
from metrics.presentation.markdown import escaped as m


def people_markdown(found: PeopleBlock) -> list[str]:
    """Lines of Markdown."""
    lines = ["", "## From people", "", f"{m(_sentence(found.line))} {m(_sentence(found.light))}".strip()]
    if found.rows:
        lines += ["", "| KPI | Variant | Fixed days | Today |", "|---|---|---|---|"]
    for row in found.rows:
        fixed = "; ".join(f"{day}: {said}" for day, said, _ in row.readings) or "–"
        lines.append(f"| {m(row.title)} | {m(row.variant)} | {m(fixed)} | {m(row.today)} |")
    told = [f"- {m(row.title)}: {m('. '.join(filter(None, (row.guard, *row.notes))))}." for row in found.rows]
    others = [f"- {m(text)}" for text in (*found.facts, *found.cannot)]
    return [*lines, *([""] if told or others else []), *told, *others]


def people_html(found: PeopleBlock) -> str:
    """A section of HTML."""
    t = escape
    rows = "".join(
        f"<tr><th scope='row'>{t(row.title)}<br><span class='q'>{t(row.variant)}</span></th><td>"
        + "".join(f"<span class='{slug}'>{t(day)}: {t(said)}</span><br>" for day, said, slug in row.readings)
        + f"<span class='{row.slug}'>Today: {t(row.today)}</span>"
        + (f"<br><span class='{row.guard_slug}'>{t(row.guard)}</span>" if row.guard else "")
        + f"<br><span class='q'>{t('. '.join(row.notes))}</span></td></tr>"
        for row in found.rows
    )
    light = f"<p class='{found.light_slug}'>{t(_sentence(found.light))}</p>" if found.light else ""
    facts = "".join(f"<li>{t(text)}</li>" for text in (*found.facts, *found.cannot))
    table = f"<table>{rows}</table>" if rows else ""
    return f"<h2>From people</h2><p>{t(_sentence(found.line))}</p>{light}{table}{f'<ul>{facts}</ul>' if facts else ''}"


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "?")) else f"{text}."
