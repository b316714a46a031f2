"""What people do on pages: not too often, and with a way back that is offered for a while."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from connectors.errors import KpiError
from jobs.alerts.incident_events import tell_undone
from jobs.audit.acting import in_role
from jobs.project.clock import utc_now
from jobs.project.undo import Scope, Undo, undoable
from ui.shell import state
from ui.shell.words import literal_lines

A_MINUTE, ALL_A_MINUTE = 30, 300  # acts of one session, of all sessions
OFFERED_SECONDS = 120.0
KEY, TIMES = "undo", "acts"
_all: deque[float] = deque()
_lock = threading.Lock()


def do(action: str, words: str, scopes: Sequence[Scope], act: Callable[[], object]) -> None:
    """An act that may be undone for a while. action: the right to it.

    Raises KpiError: what the act says, that it is too much, or that they may not.
    """
    admit(action, time.monotonic())
    undo = undoable(state.project(), words, scopes, act)
    st.session_state[KEY] = (time.monotonic() + OFFERED_SECONDS, undo)
    state.changed()


def admit(action: str, now: float) -> None:
    """Count one act of this session. action: the right to it; empty = it takes back what they did.

    Raises KpiError when it is one too many, the session has ended, or their role may not.
    """
    state.require_session()
    rights = state.rights()
    if action:
        rights.require(action)
    in_role(rights.role)
    own: deque[float] = st.session_state.setdefault(TIMES, deque())
    with _lock:
        for times, most, whose in ((own, A_MINUTE, "you"), (_all, ALL_A_MINUTE, "all readers")):
            while times and times[0] <= now - 60:
                times.popleft()
            if len(times) >= most:
                raise KpiError(
                    f"{whose} did {most} things within a minute, and no more are taken", hint="Wait a minute."
                )
        own.append(now)
        _all.append(now)


def offer_undo() -> None:
    """A button under the navigation, for a while after an act."""
    ends, undo = st.session_state.get(KEY, (0.0, None))
    if undo is None or time.monotonic() > ends:
        st.session_state.pop(KEY, None)
        return
    with st.container(horizontal=True, key="undo_bar", vertical_alignment="center"):
        st.text(undo.words)
        st.button("Undo", key="undo_now", on_click=_take_back, args=(undo,))


def _take_back(undo: Undo) -> None:
    try:
        admit("", time.monotonic())
        now = utc_now()
        undo.apply(state.project(), by=state.who(), now=now, then=partial(tell_undone, state.project(), now))
        state.changed()
        st.toast("Undone.")
    except KpiError as error:
        st.toast(literal_lines(f"{error.message} {error.hint}"))
    st.session_state.pop(KEY, None)
