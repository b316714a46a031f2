"""What the page Snapshots draws beside the snapshot itself: files, the editor's note, sending, comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

import streamlit as st

from connectors.errors import KpiError
from jobs.project.clock import utc_now
from jobs.project.undo import Scope
from jobs.snapshots.archived import subject_of, write_note
from jobs.snapshots.board import Shown
from jobs.snapshots.render import MIMES, file_name, mail_preview, render
from jobs.snapshots.send import send
from metrics.kpi_views.status import LABELS
from metrics.presentation.format import moment_text
from metrics.snapshots.comparing import Pair
from metrics.snapshots.document import Document
from metrics.snapshots.formats import as_html
from ui.audit.download import recorded
from ui.shell import state, templates
from ui.shell.acts import do
from ui.shell.words import literal_lines

MORE = {"html": "HTML", "png": "Picture for chats", "markdown": "Markdown", "csv": "CSV", "json": "JSON"}
STATES = {"": "not sent yet", "pending": "waits to be sent", "sending": "is being sent", "unknown": "may have arrived"}


# Printed from the browser, the page is the snapshot and nothing around it.
PAPER = """@media print{.stApp{background:#fff!important}.stApp,.stApp *{overflow:visible!important}
header[data-testid=stHeader],[data-testid=stSidebar],[data-testid=stToolbar],
.st-key-snapshot_bar,.st-key-snapshot_rest{display:none!important}
.stMain,[data-testid=stAppViewContainer]{position:static!important;display:block!important}
.stMainBlockContainer{padding:0!important;max-width:none!important}}"""


def style() -> None:
    """The snapshot's own style, the same as in its file."""
    templates.render("shell/style", css=as_html.css() + PAPER)


def files(document: Document) -> None:
    """The PDF at once; other forms behind one button. Each is made when it is asked for."""
    _download(document, "pdf", "PDF")
    with st.popover("More files", key="more_files"):
        for form, label in MORE.items():
            _download(document, form, label)


def _download(document: Document, form: str, label: str) -> None:
    st.download_button(
        label, _maker(document, form), file_name(document, form), MIMES[form], on_click="ignore", key=f"file_{form}"
    )


def _maker(document: Document, form: str) -> Callable[[], bytes]:
    project = state.project()  # of this run: the file is made where no reader is known
    return recorded(subject_of(document), form, lambda: render(project, document, form, now=utc_now()))


def note_form(document: Document) -> None:
    """A note beside the numbers."""
    with st.popover("Add a note", key="note"):
        said = st.text_area("What should a reader know?", key=f"note_{document.week}", max_chars=2000)
        if st.button("Save note", type="primary", key="save_note"):
            try:
                scope = Scope("snapshot_notes", (("name", document.snapshot), ("week", document.week)))
                write = partial(write_note, state.project(), document, said, by=state.who(), now=utc_now())
                do("note", "The note is saved.", [scope], write)
            except KpiError as error:
                st.error(literal_lines(f"{error.message}. {error.hint}"))
                return
            state.changed()
            st.rerun()


def send_form(shown: Shown) -> None:
    """Who gets it and what became of it; the mail as it will look; send."""
    document = shown.document
    with st.popover("Send", key="send"):
        if not shown.recipients:
            words = f"No recipients: write `recipients` into snapshots/{document.snapshot}.yml."
            templates.line(words)
        said = [f"{r.name}: {_state(r.status, r.error)}{_moment(r.finished_at)}" for r in shown.recipients]
        templates.render("shell/lists", lists=(("", said),))
        left = [r.name for r in shown.recipients if not r.status]
        if left and st.button(f"Send to {len(left)}", type="primary", key="send_now"):
            _send(document, left)
        if st.toggle("Preview the mail", key="preview_mail"):
            st.iframe(mail_preview(state.project(), document), height=520)


def _state(status: str, error: str) -> str:
    return STATES.get(status, status) + (f" ({error})" if error else "")


def _moment(at: datetime | None) -> str:
    return f" {moment_text(at)}" if at else ""


def _send(document: Document, names: Sequence[str]) -> None:
    try:
        state.rights().require("send")
        with st.spinner("Sending"):
            send(state.project(), document, names, by=state.who())
    except KpiError as error:
        st.error(literal_lines(f"{error.message}. {error.hint}"))
        return
    state.changed()
    st.rerun()


def compare_table(pairs: Sequence[Pair], earlier: str, later: str) -> None:
    """Two weeks as they were published."""
    templates.render("snapshots/compare", pairs=pairs, earlier=earlier, later=later, labels=LABELS)
