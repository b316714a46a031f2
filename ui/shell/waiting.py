"""While an engine answers: that it is asked, for how long, and a button that stops it there.

Finished values are there at once. A question that none of them answers may take as long as `query_timeout` in an engine
by URL, and whoever leaves the page, or changes what it asks, waits for it no longer: then it is stopped, too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import ContextVar
from typing import TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx

from connectors.warehouse.engines.guarded import stoppable
from connectors.warehouse.engines.stop import Cancelled, Stop

R = TypeVar("R")
SOON = 0.4  # seconds in which most answers are there; before that nothing is said
EVERY = 0.5  # seconds between looks
STOPPED = "stopped_asking"  # key of the session's state: what it was asking when it was stopped
_asking: ContextVar[bool] = ContextVar("asking", default=False)


def waited(key: object, ask: Callable[[], R], seconds: float) -> R:
    """What `ask` returns. key: of the question; seconds: most time of one statement of it.

    Ends the run of the page where the reader has stopped this question; raises what `ask` does.
    """
    context = get_script_run_ctx()
    if context is None or _asking.get():  # nobody looks; or somebody waits already
        return ask()
    if st.session_state.get(STOPPED) == key:
        _stopped()
    while True:
        stop, answer = Stop(seconds), Future[R]()
        thread = threading.Thread(target=_ask, args=[ask, stop, answer], daemon=True)
        add_script_run_ctx(thread, context)
        thread.start()
        try:
            _wait(answer, key, seconds)
        finally:  # the run ends here where the reader leaves
            if not answer.done():
                stop.cancel()
        with suppress(Cancelled):  # by another reader, who asked the same
            return answer.result()


def _ask(ask: Callable[[], R], stop: Stop, answer: Future[R]) -> None:
    _asking.set(True)
    with stoppable(stop):
        try:
            answer.set_result(ask())
        except BaseException as error:
            answer.set_exception(error)


def _wait(answer: Future[R], key: object, seconds: float) -> None:
    began = time.monotonic()
    with suppress(TimeoutError):
        answer.exception(SOON)
        return
    place = st.empty()
    with place.container():
        words = st.empty()
        st.button("Stop", key="stop_asking", on_click=_stop, args=[key])
    while not answer.done():
        words.markdown(
            f"The engine is counting, {time.monotonic() - began:.0f} s so far; after {seconds:g} s it is stopped."
        )
        with suppress(TimeoutError):
            answer.exception(EVERY)
    place.empty()


def _stop(key: object) -> None:
    st.session_state[STOPPED] = key


def _stopped() -> None:
    """In place of an answer that the reader did not wait for."""
    st.info(
        "Stopped, in the engine, too. Finished values are there at once: those without a filter or a rare breakdown."
    )
    if st.button("Ask again", key="ask_again"):
        del st.session_state[STOPPED]
        st.rerun()
    st.stop()
