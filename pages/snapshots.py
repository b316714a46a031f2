"""Snapshots: one frozen week at a glance, its files, its archive, two weeks compared."""

from __future__ import annotations

import streamlit as st

from connectors.errors import KpiError
from jobs.project.clock import utc_now
from jobs.snapshots import board
from jobs.snapshots.board import Archive, Shown
from jobs.snapshots.take import take_by_hand
from metrics.snapshots.comparing import Pair
from ui.shell import state, url
from ui.shell.empty import first_steps
from ui.shell.templates import banner, line, render
from ui.shell.words import literal_lines
from ui.snapshots.actions import compare_table, files, note_form, send_form, style


@state.cached_view
def archive(name: str) -> Archive:
    """What was taken."""
    return board.archive(state.project(), name, now=utc_now())


@state.cached_view
def view(name: str, week: str, revision: int) -> Shown:
    """One snapshot."""
    return board.shown(state.project(), name, week, revision, now=utc_now())


@state.cached_view
def pairs(name: str, earlier: str, later: str) -> tuple[Pair, ...]:
    """Two weeks."""
    return board.two(state.project(), name, earlier, later)


def page() -> None:
    """Choose, files and actions, the snapshot, comparison, archive."""
    if not state.project().has_data():
        first_steps(state.project())
        return
    style()
    everything = archive("")
    name = next(iter(everything.definitions))
    if len(everything.definitions) > 1 or st.query_params.get("snapshot", name) != name:
        name = url.subject("snapshot", "Snapshot", everything.definitions, name)
    found = archive(name)
    if not found.entries:
        st.title("No snapshot yet")
        line("A snapshot freezes a week: its numbers stay as published, and later changes are listed.")
        _offer(found, name)
        return
    weeks = {entry.week: entry.week_text for entry in found.entries}
    with st.container(horizontal=True, key="snapshot_bar", gap="small", vertical_alignment="center"):
        week = url.subject("week", "Week", weeks, next(iter(weeks)))
        revisions = [entry.revision for entry in found.entries if entry.week == week]
        revision = revisions[0]
        labels = {str(number): f"Revision {number}" for number in revisions}
        if len(revisions) > 1 or st.query_params.get("revision", str(revision)) != str(revision):
            revision = int(url.subject("revision", "Revision", labels, str(revisions[0])))
        shown = view(name, week, revision)
        if state.may("export"):
            files(shown.document)
        if state.may("note"):
            note_form(shown.document)
        if state.may("send"):
            send_form(shown)
    _offer(found, name)
    if revision != revisions[0]:
        banner(f"Revision {revision} of {revisions[0]}: this week was taken again later.")
    render("snapshots/body", body=shown.body)
    with st.container(key="snapshot_rest"):
        _compare(name, week, weeks)
        _archive(found)


def _offer(found: Archive, name: str) -> None:
    """A week that is over and was not taken, or why none can be."""
    if found.wrong:
        banner(found.wrong, "What is wrong")
    if found.untaken is None:
        return
    week, gaps = found.untaken
    line(f"Week {week} is over and not taken yet. {gaps}")
    if state.may("take") and st.button(f"Take week {week}", type="primary", key="take"):
        try:
            state.rights().require("take")
            take_by_hand(state.project(), name, week, by=state.who(), now=utc_now())
        except KpiError as error:
            st.error(literal_lines(f"{error.message}\n\n{error.hint}"))
            return
        state.changed()
        st.rerun()


def _compare(name: str, week: str, weeks: dict[str, str]) -> None:
    others = {other: f"Against {words}" for other, words in weeks.items() if other != week}
    if not others:
        return
    st.header("Compare two weeks")
    other = url.choose("compare", "Compare", {"none": "Choose a week", **others}, "none")
    if other != "none":
        earlier, later = sorted((week, other))
        compare_table(pairs(name, earlier, later), weeks[earlier], weeks[later])


def _archive(found: Archive) -> None:
    st.header("Archive")
    render("snapshots/archive", entries=found.entries)


page()
