"""A scorecard for the stakeholder mail: Markdown, and one self-contained HTML file. What people wrote is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import pandas as pd

from metrics.launches.page import KpiBlock, LaunchPage, Path
from metrics.launches.people.people_export import people_html, people_markdown
from metrics.launches.segments_block import SegmentsBlock, looked
from metrics.presentation.links import Links
from metrics.presentation.markdown import escaped as m

QUIET, LINE = "#667085", "#4f46e5"
STYLE = (
    "body{font:15px/1.5 Inter,system-ui,sans-serif;color:#1f2533;background:#fff;max-width:720px;margin:32px auto;"
    "padding:0 20px}h1{font-size:26px;line-height:1.2;margin:0 0 4px}h2{font-size:17px;margin:28px 0 8px}"
    "h3{font-size:15px;margin:18px 0 2px}p{margin:4px 0}.q{color:#475467}.good{color:#137a52}.bad{color:#b42318}"
    ".quiet{color:#475467}table{border-collapse:collapse;width:100%;font-size:14px}th,td{text-align:left;padding:5px "
    "10px 5px 0;border-bottom:1px solid #e4e7ec;vertical-align:top}svg{width:100%;height:auto;margin:8px 0}"
    "blockquote{margin:6px 0;padding-left:12px;border-left:3px solid #e4e7ec}"
)


def markdown(page: LaunchPage, links: Links) -> str:
    """The scorecard as Markdown."""
    lines = [
        f"# {m(page.title)}",
        "",
        f"**{m(page.summary)}**",
        "",
        f"{m(page.line)}. Owner: {m(page.owner or 'nobody')}.",
    ]
    lines += ["", f"> {m(page.hypothesis)}"] if page.hypothesis else []
    lines += ["", "| KPI | Verdict | Seen | Read-out | |", "|---|---|---|---|---|"]
    for block in page.blocks:
        latest = next((r for r in reversed(block.readings) if r.published), None)
        day = latest.day if latest else "–"
        lines.append(
            f"| {m(block.title)} ({block.role}) | {m(block.verdict)} | {m(block.level)} | {day} | "
            f"{m(', '.join(block.badges))} |"
        )
    sampled = [f"- {m(b.title)}: {m(b.sampling)}" for b in page.blocks if b.sampling]
    lines += ["", *sampled] if sampled else []
    rails = [f"- {m(b.title)}: {m(b.guard)}" for b in page.blocks if b.guard]
    lines += ["", "## Guardrails", "", *rails] if rails else []
    lines += people_markdown(page.people) if page.people else []
    lines += ["", "## By segment", "", m(looked(page.segments)), *_segments(page)] if page.segments else []
    if page.adoption:
        within = ", ".join(f"{share} within {name}" for name, share, _ in page.adoption.within)
        told = f"**{page.adoption.share}**: {m(page.adoption.line)}. {m(page.adoption.again)}."
        told += f" Of being first seen: {within}."
        lines += ["", "## Adoption", "", told, *(m(words) for words in page.adoption.bridge)]
    if page.voice:
        lines += ["", "## Customer voice", "", *(f"- {m(name)}: {m(said)}" for name, said, _ in page.voice.groups)]
        lines += ["", *(f"> {m(said.words)} ({said.score}, {said.when})" for said in page.voice.comments[:3])]
    if page.decisions:
        lines += ["", "## Decision", "", *(f"- {m(what)}: {m(why)} ({m(who)})" for what, why, who in page.decisions)]
    lines += ["", "## What is assumed, what overlaps", "", *(f"- {m(t)}" for t in (*page.assumptions, *page.overlaps))]
    lines += [f"- {m(note)}" for note in _notes(page)]
    lines += ["", m(page.data_line), "", links.line("launch", {"launch": page.name})]
    return "\n".join(lines).rstrip() + "\n"


def html(page: LaunchPage, links: Links) -> str:
    """The scorecard as one HTML file: no script, nothing from the network, charts inline."""
    t = escape
    headline = " ".join(f"<b class='{slug}'>{t(said)}</b>" for said, slug in page.headline)
    body = [
        f"<h1>{t(page.title)}</h1><p>{headline}</p>",
        f"<p class='q'>{t(page.line)}. Owner: {t(page.owner or 'nobody')}.</p>",
        f"<blockquote>{t(page.hypothesis)}</blockquote>" if page.hypothesis else "",
        "<h2>KPIs</h2>",
        *(_block(block) for block in page.blocks),
    ]
    body.append(people_html(page.people) if page.people else "")
    body += [f"<h2>By segment</h2><p class='q'>{t(looked(page.segments))}</p>"] if page.segments else []
    body += [_segments_table(block) for block in page.segments]
    if page.adoption:
        within = " · ".join(f"{t(share)} within {t(name)} ({t(of)})" for name, share, of in page.adoption.within)
        body.append(
            f"<h2>Adoption</h2><p><b>{t(page.adoption.share)}</b> {t(page.adoption.line)}. "
            f"{t(page.adoption.again)}.</p>"
            f"<p class='q'>Of being first seen: {within}. {t(' '.join(page.adoption.bridge))}</p>"
        )
    if page.voice:
        rows = "".join(
            f"<tr><td>{t(name)}</td><td class='{slug}'>{t(said)}</td></tr>" for name, said, slug in page.voice.groups
        )
        quotes = "".join(
            f"<blockquote>{t(s.words)} <span class='q'>{t(s.score)}, {t(s.when)}</span></blockquote>"
            for s in page.voice.comments[:5]
        )
        body.append(f"<h2>Customer voice</h2><table>{rows}</table>{quotes}")
    if page.decisions:
        body.append("<h2>Decision</h2>" + _list(f"{what}: {why} ({who})" for what, why, who in page.decisions))
    body.append("<h2>What is assumed, what overlaps</h2>" + _list((*page.assumptions, *page.overlaps, *_notes(page))))
    link = links.to("launch", {"launch": page.name})
    where = f"<a href='{t(link, quote=True)}'>{t(link)}</a>" if link else t(links.why)
    body.append(f"<p class='q'>{t(page.data_line)} {where}</p>")
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{t(page.title)}</title><style>{STYLE}</style></head><body><main>{''.join(body)}</main></body></html>\n"
    )


def _segments(page: LaunchPage) -> list[str]:
    lines = []
    for block in page.segments:
        lines += ["", f"{m(block.title)}. {m(block.said)} {m(block.left_out)}".rstrip(), ""]
        lines += [f"- {m(row.segment)} ({row.part}): {m(row.drawn)}" for row in block.rows]
    return lines


def _segments_table(block: SegmentsBlock) -> str:
    t = escape
    rows = "".join(f"<tr><td>{t(r.segment)}</td><td>{r.part}</td><td>{t(r.drawn)}</td></tr>" for r in block.rows)
    return f"<h3>{t(block.title)}</h3><p class='q'>{t(block.said)} {t(block.left_out)}</p><table>{rows}</table>"


def _block(block: KpiBlock) -> str:
    t = escape
    rows = "".join(
        f"<tr><th scope='row'>{r.day}</th><td>{t(r.on)}</td><td class='{r.slug}'>{t(r.words)}"
        f"{f'<br><span class=q>{t(r.between)}</span>' if r.between else ''}"
        f"{f'<br><span class=q>{t(r.restated)}</span>' if r.restated else ''}</td>"
        f"<td class='q'>{t(', '.join(r.badges))}</td></tr>"
        for r in block.readings
    )
    facts = " ".join(
        filter(
            None,
            (
                block.level and f"{block.level}.",
                block.wish and f"{block.wish}: {block.wish_met}.",
                block.compared,
                block.calibration,
                block.sampling,
                block.adopters,
            ),
        )
    )
    guard = f"<p class='{block.guard_slug}'>Guardrail: {t(block.guard)}</p>" if block.guard else ""
    return (
        f"<h3>{t(block.title)} <span class='q'>({block.role})</span></h3><p class='{block.slug}'>{t(block.verdict)}</p>"
        f"<p class='q'>{t(facts)}</p>{guard}{_svg(block.path, block.title) if block.path else ''}<table>{rows}</table>"
    )


def _svg(path: Path, title: str) -> str:
    """Actual, expected and band, the day of the launch, first and last day: 640 × 170."""
    values = [*path.actual, *path.low, *path.high]
    known = [v for v in values if v == v]
    least, most = min(known), max(known)
    count, spread = max(1, len(path.periods) - 1), (most - least) or 1.0

    def points(series: Iterable[float]) -> list[str]:
        return [f"{i / count * 640:.1f},{142 - (v - least) / spread * 134:.1f}" for i, v in enumerate(series) if v == v]

    band = " ".join([*points(path.low), *reversed(points(path.high))])
    expected, actual = (" ".join(points(series)) for series in (path.expected, path.actual))
    part = (path.start - path.periods[0]) / max(path.periods[-1] - path.periods[0], pd.Timedelta(days=1))
    at = min(max(float(part), 0.0), 1.0) * 640
    side, gap = ("end", -5) if at > 320 else ("start", 5)
    first, last = (f"{day:%-d %b %Y}" for day in (path.periods[0], path.periods[-1]))
    words = f"fill='{QUIET}' font-size='11'"
    label = escape(f"{title}: as seen, and as expected without the launch", quote=True)
    return (
        f"<svg viewBox='0 0 640 170' role='img' aria-label='{label}'>"
        f"<line x1='{at:.1f}' x2='{at:.1f}' y1='4' y2='146' stroke='{LINE}'/>"
        f"<text x='0' y='164' {words}>{first}</text><text x='640' y='164' text-anchor='end' {words}>{last}</text>"
        f"<text x='{at + gap:.1f}' y='12' text-anchor='{side}' {words}>Launch</text>"
        f"<text x='0' y='12' {words}>{escape(path.ends[1])}</text>"
        f"<text x='0' y='145' {words}>{escape(path.ends[0])}</text>"
        f"<polygon points='{band}' fill='{LINE}' opacity='.12'/>"
        f"<polyline points='{expected}' fill='none' stroke='{QUIET}' stroke-dasharray='4 4'/>"
        f"<polyline points='{actual}' fill='none' stroke='{LINE}' stroke-width='2'/></svg>"
    )


def _list(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def _notes(page: LaunchPage) -> list[str]:
    return list(dict.fromkeys([*(note for block in page.blocks for note in block.notes), *page.controls]))
