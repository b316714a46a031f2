"""While an engine answers: that it is asked, for how long, and a button that stops it there.

Finished values are there at once. A question that none of them answers may take as long as `query_timeout` in an engine
by URL, and whoever leaves the page, or changes what it asks, waits for it no longer: then it is stopped, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx

from jobs.operations.asking import Asking, asked_within
from ui.shell.ended import headed, stop

R = TypeVar("R")
SOON = 0.4  # seconds in which most answers are there; before that nothing is said
EVERY = 0.5  # seconds between looks
STOPPED = "stopped_asking"  # key of the session's state: what it was asking when it was stopped


def waited(key: object, ask: Callable[[], R], seconds: float) -> R:
    """What `ask` returns. key: of the question; seconds: most time of one statement of it.

    Ends the run of the page where the reader has stopped this question; raises what `ask` does.
    """
    if get_script_run_ctx() is None or asked_within():  # nobody looks; or somebody waits already
        return ask()
    if st.session_state.get(STOPPED) == key:
        _stopped()
    while True:
        asking = Asking(ask, seconds, add_script_run_ctx)
        try:
            if not asking.answered(SOON):
                _wait(asking, key, seconds)
        finally:  # the run ends here where the reader leaves
            asking.cancel()
        if not asking.cancelled():  # by another reader, who asked the same
            return asking.answer()


def _wait(asking: Asking[R], key: object, seconds: float) -> None:
    place = st.empty()
    with place.container():
        words = st.empty()
        st.button("Stop query", key="stop_asking", on_click=_stop, args=[key])
        headed()
    answered = False
    while not answered:
        took = f"{asking.seconds:.0f} s so far"
        words.info(f"Query running in the warehouse: {took}. It is stopped after {seconds:g} s.")
        answered = asking.answered(EVERY)
    place.empty()


def _stop(key: object) -> None:
    st.session_state[STOPPED] = key


def _stopped() -> None:
    """In place of an answer that the reader did not wait for."""
    st.info("Query stopped. Values without filters are stored: they show at once.")
    if st.button("Run again", key="ask_again"):
        del st.session_state[STOPPED]
        st.rerun()
    stop()
