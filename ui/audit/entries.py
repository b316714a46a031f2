"""The table of the audit: what is searched for, a page of what is found, its file; and whether the log is whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from connectors.errors import KpiError
from jobs.audit.listing import WHATS, Entry, Listed, Search, as_csv, listed, search_of
from jobs.audit.verifying import Verification, verify
from ui.audit.download import recorded
from ui.shell import state
from ui.shell.templates import banner, line, render
from ui.shell.words import literal_lines

BEFORE = "audit_before"  # key of the session's state: (search, number of the entry that the page ends before)


@state.cached_view
def found(search: Search) -> Listed:
    """A page of what is recorded."""
    return listed(state.served().state, search)


@state.cached_view
def verified() -> Verification:
    """Whether the log is what was written."""
    return verify(state.served())


def verification() -> None:
    """What `kpi audit verify` says."""
    told = verified()
    (banner if told.findings else line)(told.line())
    render("shell/lists", lists=(("", [*(one.words for one in told.findings), *told.notes]),))


def entries() -> None:
    """The search, its page, and the file of all that it finds."""
    try:
        search = _asked()
    except KpiError as error:
        st.error(literal_lines(f"{error.message}\n{error.hint}"))
        return
    of, before = st.session_state.get(BEFORE, (search, 0))
    before = before if of == search else 0
    page = found(replace(search, before=before))
    if not page.entries:
        line("Nothing is recorded that fits.")
        return
    render("audit/entries", rows=[_row(entry) for entry in page.entries])
    with st.container(horizontal=True):
        if before:
            st.button("Latest", key="audit_latest", on_click=_go, args=(search, 0))
        if page.older:
            st.button("Older", key="audit_older", on_click=_go, args=(search, page.older))
        content = recorded("audit", "csv", lambda: as_csv(state.served().state, search))
        st.download_button("Download CSV", content, "audit.csv", "text/csv", key="audit_csv", on_click="ignore")


def _asked() -> Search:
    """What the fields say. Raises StateError."""
    first, second = st.columns(3), st.columns(3)
    return search_of(
        text=first[0].text_input("Text", key="audit_text", max_chars=200),
        who=first[1].text_input("Who", key="audit_who", max_chars=200),
        what=first[2].selectbox("Did", ["", *WHATS], key="audit_what", format_func=lambda w: WHATS.get(w, "anything")),
        subject=second[0].text_input("What", key="audit_subject", placeholder="kpi:activation", max_chars=200),
        since=second[1].text_input("From", key="audit_from", placeholder="2026-11-01", max_chars=40).strip(),
        until=second[2].text_input("To", key="audit_to", placeholder="2026-11-30", max_chars=40).strip(),
    )


def _row(entry: Entry) -> Sequence[object]:
    return entry, f"{entry.at[:10]} {entry.at[11:19]}", WHATS.get(entry.what, entry.what)


def _go(search: Search, before: int) -> None:
    st.session_state[BEFORE] = (search, before)
