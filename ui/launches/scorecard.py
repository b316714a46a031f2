"""What the pages of launches draw: a launch in a list, and the parts of a scorecard."""

from __future__ import annotations

import streamlit as st

from connectors.errors import KpiError
from jobs.launches import scorecards as job
from jobs.launches.registry import add, remove
from jobs.project.clock import utc_now
from metrics.launches.board import LaunchItem
from metrics.launches.page import KpiBlock, LaunchPage, Remark
from ui.kpi.charts import CONFIG
from ui.launches.charts import curve_figure
from ui.shell import state, url
from ui.shell.theme import html, text

FIRST = 9  # comments shown at once
CHIPS = {"good": "on_track", "bad": "off_track", "quiet": "none"}
PHASES = {"running": ("fresh", "Running"), "planned": ("none", "Planned"), "read": ("none", "Completed")}
STATES = {"ok": ("on_track", "OK"), "warning": ("at_risk", "Warning"), "missing": ("off_track", "Missing")}


def launch_item(item: LaunchItem) -> str:
    """One launch of the list, as markup."""
    lights = "".join(
        f"<li class='bw-chip bw-{CHIPS[light.slug]}'>{text(light.title)}<span class='bw-hidden'> "
        f"{'holds' if light.slug == 'good' else 'breached' if light.slug == 'bad' else 'not known yet'}</span></li>"
        for light in item.lights
    )
    verdicts = "".join(f"<p class='bw-{slug} bw-verdict'>{text(said)}</p>" for said, slug in item.verdicts)
    facts = " · ".join(text(fact) for fact in (item.when, item.adoption, item.owner) if fact)
    decision = f"<p class='bw-note'>Decided: {text(item.decision)}</p>" if item.decision else ""
    rails = f"<p class='bw-note'>Guardrails</p><ul class='bw-chips'>{lights}</ul>" if lights else ""
    return (
        "<li class='bw-launch'><p class='bw-alert-head'>"
        f"<span class='bw-chip bw-{PHASES[item.phase][0]}'>{PHASES[item.phase][1]}</span>"
        f"<a class='bw-alert-title' href='launch?launch={text(item.name)}' target='_self'>{text(item.title)}</a></p>"
        f"<p class='bw-note'>{facts}</p>{verdicts}{rails}{decision}</li>"
    )


def kpi_markup(block: KpiBlock) -> str:
    """Verdict, what it rests on, and its reading dates."""
    badges = "".join(f"<li class='bw-chip bw-at_risk'>{text(badge)}</li>" for badge in block.badges)
    wish = " · ".join(
        text(x) for x in (block.level, block.wish + (f": {block.wish_met}" if block.wish_met else "")) if x
    )
    guard = (
        f"<p class='bw-{block.guard_slug if block.guard_slug != 'quiet' else 'neutral'}'>"
        f"Guardrail: {text(block.guard)}</p>"
        if block.guard
        else ""
    )
    lines = "".join(f"<p class='bw-note'>{text(x)}</p>" for x in (block.compared, block.calibration) if x)
    rows = "".join(
        f"<tr><th scope='row'>{text(r.day)}</th><td><span class='bw-{r.slug if r.slug != 'quiet' else 'neutral'}'>"
        f"{text(r.words)}</span><p class='bw-sub'>{text(r.published or r.on)}</p>"
        f"{f'<p class=bw-sub><b>{text(r.restated)}</b></p>' if r.restated else ''}</td></tr>"
        for r in block.readings
    )
    return (
        f"<div class='bw-score'><p class='bw-alert-head'><a class='bw-alert-title' href='kpi?kpi={text(block.name)}' "
        f"target='_self'>{text(block.title)}</a><span class='bw-neutral'>{text(block.role)}</span></p>"
        f"<p class='bw-verdict bw-{block.slug if block.slug != 'quiet' else 'neutral'}'>{text(block.verdict)}</p>"
        f"<p class='bw-note'>{wish}</p>{guard}<ul class='bw-chips'>{badges}</ul>{lines}"
        f"<details><summary>Verdicts and today</summary><table class='bw-readings'><tbody>{rows}"
        f"<tr><th scope='row'>Today</th><td>{text(block.today)}<p class='bw-sub'>Interim estimate, not a verdict: "
        f"verdicts are issued on dates fixed in advance.</p></td></tr></tbody></table></details></div>"
    )


def show_adoption(page: LaunchPage) -> None:
    """Share, curve, how soon, again, where."""
    st.header("Adoption")
    found = page.adoption
    if found is None:
        html(f"<p class='bw-line'>{text(page.adoption_why)}</p>")
        return
    tiles = "".join(
        f"<li><b>{text(share)}</b> within {text(name)} <span>{text(of)}</span></li>" for name, share, of in found.within
    )
    html(f"<p class='bw-line'>{text(found.line)}. {text(found.again)}.</p><ul class='bw-shares bw-within'>{tiles}</ul>")
    left, right = st.columns([3, 2])
    with left:
        st.plotly_chart(curve_figure(found), config=CONFIG, key="adoption", alt=f"Adoption by day. {found.line}")
    with right:
        if found.segments:
            names = {name: f"By {name}" for name, _ in found.segments}
            chosen = url.choose("split", "Adoption by", names, next(iter(names)))
            bars = "".join(
                f"<li><p class='bw-step'><b>{text(name)}</b><span>{text(said)}</span></p>"
                f"<div class='bw-bar'><i style='width:{share * 100:.1f}%'></i></div></li>"
                for name, said, share in dict(found.segments)[chosen]
            )
            html(f"<ol class='bw-funnel bw-split'>{bars}</ol>")


def show_voice(page: LaunchPage) -> None:
    """Scores before and after, changed words, comments by score and word."""
    st.header("Customer voice")
    found = page.voice
    if found is None:
        html(f"<p class='bw-line'>{text(page.voice_why)}</p>")
        return
    rows = "".join(
        f"<dt>{text(name)}</dt><dd class='bw-{slug if slug != 'quiet' else 'neutral'}'>{text(said)}</dd>"
        for name, said, slug in found.groups
    )
    html(f"<p class='bw-line'>{text(found.line)}</p><dl class='bw-facts'>{rows}</dl>")
    if found.words:
        said = [[f"{w} ({b} → {a})" for w, b, a, up in found.words if up is more] for more in (True, False)]
        lines = [
            f"<dt>{label}</dt><dd>{text(', '.join(words))}</dd>"
            for label, words in zip(("Said more often", "Said less often"), said, strict=True)
            if words
        ]
        html(f"<p class='bw-line'>Words in comments, before → since</p><dl class='bw-facts'>{''.join(lines)}</dl>")
    _comments(found.comments)


def _comments(comments: tuple[Remark, ...]) -> None:
    if not comments:
        html("<p class='bw-line'>No comments since launch.</p>")
        return
    with st.container(horizontal=True, vertical_alignment="center", key="voice_filters"):
        groups = {"": "All scores", "promoters": "High", "passives": "Middle", "detractors": "Low"}
        who = url.choose("who", "Whose words", groups, "", buttons=True)
        segment = _segment(comments)
        word = st.text_input(
            "Word", key="word", placeholder="Only with this word", label_visibility="collapsed", width=220
        )
    wanted = [
        c
        for c in comments
        if (not who or c.who == who) and (not segment or segment in c.where) and word.lower() in c.words.lower()
    ]
    items = [
        f"<li class='bw-{c.who}'><p>{text(c.words)}</p>"
        f"<p class='bw-note'><b>{text(c.score)}</b> · {text(c.when)}</p></li>"
        for c in wanted
    ]
    html(
        f"<p class='bw-line'>{len(wanted)} of {len(comments)} comments</p>"
        f"<ul class='bw-voices'>{''.join(items[:FIRST])}</ul>"
    )
    if len(items) > FIRST:
        with st.expander("More"):
            html(f"<ul class='bw-voices'>{''.join(items[FIRST:60])}</ul>")


def _segment(comments: tuple[Remark, ...]) -> tuple[str, str] | None:
    """A choice of one segment of those that commented."""
    known = {f"{d}:{v}": (d, v) for c in comments for d, v in c.where}
    if not known:
        return None
    options = {
        "": "All segments",
        **{k: f"{d.replace('_', ' ').capitalize()}: {v}" for k, (d, v) in sorted(known.items())},
    }
    return known.get(url.choose("said_by", "Segment", options, ""))


def show_decision(page: LaunchPage) -> None:
    """What was decided, by whom, when; and a form to decide."""
    st.header("Decision")
    for what, why, who in page.decisions:
        html(f"<p><b>{text(what)}</b>: {text(why)}</p><p class='bw-line'>{text(who)}</p>")
    if not page.decisions:
        html("<p class='bw-line'>No decision yet.</p>")
    with st.popover("Decide"), st.form("decide", border=False):
        what = st.selectbox("What", job.DECISIONS, format_func=str.capitalize)
        why = st.text_area("Why", height=90)
        if st.form_submit_button("Save decision", type="primary"):
            try:
                job.decide(state.project(), page.name, what, why, by=state.who(), now=utc_now())
                state.changed()
                st.rerun()
            except KpiError as error:
                st.error(error.message)


def show_basis(page: LaunchPage) -> None:
    """Assumptions, overlaps, readiness, checklist."""
    st.header("What this rests on")
    notes = list(dict.fromkeys(note for block in page.blocks for note in block.notes))
    html(_list("Assumptions", page.assumptions) + _list("Other changes in these days", (*page.overlaps, *notes)))
    if page.breaches:
        html(_list("Breached guardrails", page.breaches))
    if page.readiness:
        st.header("Readiness")
        rows = "".join(
            f"<li><span class='bw-chip bw-{STATES[kind][0]}'>{STATES[kind][1]}</span> {text(said)}</li>"
            for kind, said in page.readiness
        )
        html(f"<ul class='bw-checks'>{rows}</ul>")
    if page.go_to_market:
        st.header("Go-to-market")
        rows = "".join(
            f"<tr><td><span class='bw-chip bw-{'on_track' if done else 'none'}'>{'Done' if done else 'Open'}</span>"
            f"</td><td>{text(who)}<p class='bw-sub'>{text(channel)}</p></td><td>{text(message)}</td></tr>"
            for who, message, channel, done in page.go_to_market
        )
        html(
            "<div class='bw-scroll' tabindex='0'><table class='bw-list bw-gtm'><thead><tr><th>State</th>"
            f"<th>Audience</th><th>Message</th></tr></thead><tbody>{rows}</tbody></table></div>"
        )
    if page.links:
        links = " · ".join(f"<a href='{text(_safe(target))}'>{text(name)}</a>" for name, target in page.links)
        html(f"<p class='bw-line bw-links'>{links}</p>")


def edit_launch(name: str, kept: str) -> None:
    """Change or delete a launch that was made here."""
    with st.expander("Edit"):
        changed = st.text_area("Definition (YAML)", kept, height=260, key=f"edit_{name}")
        with st.container(horizontal=True):
            if st.button("Save", type="primary", key="save_edit"):
                try:
                    add(state.project(), changed, by=state.who(), now=utc_now(), replace=True, from_page=True)
                    state.changed()
                    st.rerun()
                except KpiError as error:
                    st.error(f"{error.message}\n\n{error.hint}")
            if st.button("Delete", key="delete_launch"):
                remove(state.project(), name)
                state.changed()
                st.switch_page("../pages/launches.py")


def _list(title: str, items: tuple[str, ...]) -> str:
    rows = "".join(f"<li>{text(item)}</li>" for item in items)
    return f"<p class='bw-alert-title'>{title}</p><ul class='bw-plain'>{rows}</ul>"


def _safe(target: str) -> str:
    """Only web addresses: a link of another kind could run something."""
    return target if target.startswith(("https://", "http://")) else "#"
