"""The address of what is shown, to copy."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

import streamlit as st

from ui.shell import state
from ui.shell.templates import line


def share(page: str) -> None:
    """A popover with the address of this page as it is set now: below the setting `url`, else where it is open."""
    with st.popover("Share"):
        links = state.project().links
        asked = {name: st.query_params.get_all(name) for name in st.query_params}
        st.code(f"{links.base or _here()}/{page}?{urlencode(asked, doseq=True)}", language=None)
        if links.why:
            line("It is the address of this browser: others may know the dashboard by another, the setting `url`.")


def _here() -> str:
    parts = urlsplit(st.context.url or "http://127.0.0.1:8501")
    return f"{parts.scheme}://{parts.netloc}"
