"""The server's log, and what a reader sees of an error that nobody expected: one sentence, never a stack trace."""

from __future__ import annotations

import logging

import streamlit as st

from connectors.errors import KpiError
from jobs.project.log import adopt, set_up
from ui.shell.words import literal_lines

SENTENCE = "Something unexpected went wrong here; the server's log says what. The other pages go on as before."
log = logging.getLogger(__name__)


def server_logs(format: str = "text", level: str = "") -> None:
    """Write the log of this process, Streamlit's lines included. Raises SettingsError."""
    set_up(format=format, level=level or "info")
    adopt("streamlit", "uvicorn")


def started(project: str) -> None:
    """Say which project this server shows."""
    log.info("the server shows project %s", project)


def failed(error: Exception, where: str) -> None:
    """Log an unexpected error with its traceback, and say the sentence in place of the page."""
    log.error("unexpected %s on %s", type(error).__name__, where, exc_info=error)
    st.title("This cannot be shown")
    st.error(SENTENCE)


def show_error(error: KpiError) -> None:
    """What is wrong and what to do, in place of the page."""
    st.title("This cannot be shown")
    st.error(literal_lines(error.message if not error.where else f"{error.where}: {error.message}"))
    if error.hint:
        st.caption(literal_lines(error.hint))


def outside_of_a_page(error: Exception) -> bool:
    """What a button's callback raised; Streamlit has logged it. True: it need not show anything."""
    if isinstance(error, KpiError):
        show_error(error)
    else:
        st.error(SENTENCE)
    return True
