"""The parts of a scorecard, drawn: adoption, voice, decision, what it rests on."""

from __future__ import annotations

from functools import partial

import streamlit as st

from connectors.errors import KpiError, counted
from jobs.launches import scorecards as job
from jobs.launches.registry import add, remove
from jobs.project.clock import utc_now
from jobs.project.undo import Scope
from metrics.launches.page import LaunchPage, Remark
from metrics.launches.plan import by_reading
from metrics.launches.segments_block import looked, segments_line
from ui.launches.charts import curve_figure
from ui.shell import state, url
from ui.shell.acts import do
from ui.shell.plot import plot
from ui.shell.templates import line, render
from ui.shell.words import literal, literal_lines

FIRST = 9  # comments shown at once


def show_adoption(page: LaunchPage) -> None:
    """Share, curve, how soon, again, where."""
    st.header("Adoption")
    found = page.adoption
    if found is None:
        line(page.adoption_why)
        return
    render("launches/adoption", found=found)
    left, right = st.columns([3, 2])
    with left:
        plot(lambda: curve_figure(found), found, key="adoption", alt=f"Adoption by day. {found.line}")
    with right:
        if found.segments:
            names = {name: f"By {name}" for name, _ in found.segments}
            chosen = url.choose("split", "Adoption by", names, next(iter(names)))
            render("launches/split", bars=dict(found.segments)[chosen])


def show_people(page: LaunchPage) -> None:
    """Those who were exposed against those who were not; or why it was not read so."""
    if page.people is not None and (page.people.rows or page.people.light):
        st.header("From people")
        render("launches/people", found=page.people)


def show_segments(page: LaunchPage) -> None:
    """The effect in each segment, drawn towards the whole."""
    if page.segments:
        st.header("By segment")
        with st.expander(literal(segments_line(page.segments))):
            render("launches/segments", looked=looked(page.segments), blocks=page.segments)


def show_voice(page: LaunchPage) -> None:
    """Scores before and after, changed words, comments by score and word."""
    st.header("Customer voice")
    found = page.voice
    if found is None:
        line(page.voice_why)
        return
    render("launches/voice", found=found)
    if found.words:
        said = [[f"{w} ({b} → {a})" for w, b, a, up in found.words if up is more] for more in (True, False)]
        names = ("Said more often", "Said less often")
        rows = [(name, ", ".join(words)) for name, words in zip(names, said, strict=True) if words]
        render("launches/words", rows=rows)
    _comments(found.comments)


def _comments(comments: tuple[Remark, ...]) -> None:
    if not comments:
        line("No comments since launch.")
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
    said = f"{len(wanted)} of {counted(len(comments), 'comment')}"
    render("shell/voices", line=said, comments=wanted[:FIRST])
    if len(wanted) > FIRST:
        with st.expander("More"):
            render("shell/voices", line="", comments=wanted[FIRST:60])


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
    """What was decided, by whom, when; what comes next."""
    for what, why, who in page.decisions:
        render("launches/decision", what=what, why=why, who=who)
    if not page.decisions and page.phase != "planned":
        line(" ".join(filter(None, ("Not decided yet.", page.next_step))))


def decide(page: LaunchPage) -> None:
    """A form to decide."""
    with st.popover("Decide"), st.form("decide", border=False):
        what = st.selectbox("What", job.DECISIONS, format_func=str.capitalize)
        why = st.text_area("Why", height=90, max_chars=5000)
        if st.form_submit_button("Save decision", type="primary"):
            try:
                scope = Scope("launch_decisions", (("launch", page.name),))
                act = partial(job.decide, state.project(), page.name, what, why, by=state.who(), now=utc_now())
                do("decide", "The decision is saved.", [scope], act)
                st.rerun()
            except KpiError as error:
                st.error(literal_lines(error.message))


def show_basis(page: LaunchPage) -> None:
    """Assumptions, overlaps, readiness, checklist."""
    st.header("What this rests on")
    notes = list(dict.fromkeys(note for block in page.blocks for note in block.notes))
    others = ("Other changes in these days", (*page.overlaps, *notes))
    why = (
        () if page.people is None or page.people.rows or page.people.light else (page.people.line, *page.people.cannot)
    )
    lists = (
        ("Assumptions", page.assumptions),
        others,
        ("Controls that would fit", page.controls),
        ("Why by day and not from people", why),
    )
    render("shell/lists", lists=[one for one in lists if one[1]])
    if page.breaches:
        render("shell/lists", lists=(("Breached guardrails", page.breaches),))
    if page.readiness:
        st.header("Readiness")
        render("launches/readiness", checks=page.readiness)
    if page.plans:
        _show_plans(page)
    if page.go_to_market:
        st.header("Go-to-market")
        render("launches/go_to_market", items=page.go_to_market)
    if page.links:
        render("launches/links", links=page.links)


def _show_plans(page: LaunchPage) -> None:
    """What each reading could see, for the share that a slider says."""
    share = st.slider(
        "Share of the audience that has it from the first day",
        5,
        100,
        100,
        5,
        format="%d%%",
        key=f"share_of_{page.name}",
    )
    tried = [(plan.kpi.title, by_reading(plan, dict.fromkeys(plan.halves, share / 100))) for plan in page.plans]
    render("launches/plan", plans=tried)


def edit_launch(name: str, kept: str) -> None:
    """Change or delete a launch that was made here."""
    with st.expander("Edit"):
        changed = st.text_area("Definition (YAML)", kept, height=260, key=f"edit_{name}")
        with st.container(horizontal=True):
            if st.button("Save", type="primary", key="save_edit"):
                try:
                    change = partial(add, by=state.who(), now=utc_now(), replace=True, from_page=True)
                    do("launch", "The launch is changed.", [_row_of(name)], partial(change, state.project(), changed))
                    st.rerun()
                except KpiError as error:
                    st.error(literal_lines(f"{error.message}\n\n{error.hint}"))
            if st.button("Delete", key="delete_launch"):
                do("launch", "The launch is deleted.", [_row_of(name)], partial(remove, state.project(), name))
                st.switch_page("../pages/launches.py")


def _row_of(name: str) -> Scope:
    return Scope("launches", (("name", name),))
