"""*Sync now*: the same job as `kpi sync`, with its progress on the page and a button that stops it."""

from __future__ import annotations

import streamlit as st

from connectors.errors import counted
from jobs.operations.syncing import Ended, Syncing
from jobs.project.clock import utc_now
from jobs.project.pace import time_left
from jobs.project.project import Project
from ui.shell import state
from ui.shell.words import literal, literal_lines

EVERY_SECONDS = 0.5  # that the page looks how far it is
UNTOUCHED = "Stopped. Nothing was published: the numbers are those of before, and what was being loaded is removed."
HALFWAY = "Stopped after the new data was published. The next sync looks at alerts, launches and snapshots."


def sync_now(project: Project) -> None:
    """A button; while a sync of this session runs, how far it is and how it is stopped; then what happened."""
    if "syncing" in st.session_state:
        _followed()
    elif state.may("sync") and st.button("Sync now", type="primary", key="sync_now"):
        st.session_state["syncing"] = Syncing(project, utc_now(), by=state.who())
        st.rerun()


@st.fragment(run_every=EVERY_SECONDS)
def _followed() -> None:
    running: Syncing | None = st.session_state.get("syncing")
    if running is None:  # told already: the page is drawn anew
        return
    if state.signed_out():  # this part is drawn without the page's gate
        st.rerun()
    ended = running.ended()
    if ended is None:
        reached = running.reached
        words = "Starting"
        if reached is not None:
            left = time_left(reached.left)
            words = literal(f"{reached.text}, {left}" if left else reached.text)
        st.progress(0.0 if reached is None else min(1.0, reached.done / max(1, reached.total)), words)
        if st.button("Stop", key="stop_sync"):
            with st.spinner("Stopping"):
                ended = running.stop()
    if ended is not None:
        _told(ended)
        st.rerun()


def _told(ended: Ended) -> None:
    """Keep what happened for the page that is drawn next."""
    del st.session_state["syncing"]
    if ended.stopped:
        st.session_state["synced"] = HALFWAY if ended.published else UNTOUCHED
    elif ended.rows is not None:
        loaded = f"{counted(ended.rows, 'row')} loaded" if ended.rows else "nothing new"
        st.session_state["synced"] = f"Synced: {loaded}."
    st.session_state["sync_errors"] = "\n".join(ended.said)
    state.changed()


def last_result() -> None:
    """What the last *Sync now* of this session said."""
    if done := st.session_state.pop("synced", ""):
        st.success(done)
    if errors := st.session_state.pop("sync_errors", ""):
        st.error(literal_lines(errors))
