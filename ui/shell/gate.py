"""Who may see a page. Runs before the page is chosen, whatever address was opened."""

from __future__ import annotations

import streamlit as st

from jobs.project.project import Project


def require_sign_in(project: Project) -> None:
    """Stop the run with a sign-in screen unless the project needs none or the user is known."""
    if not project.settings.sign_in or bool(st.user.get("is_logged_in", False)):
        return
    st.title("Sign in")
    if "auth" in st.secrets:
        st.button("Sign in", on_click=st.login, type="primary")
    else:
        st.error("This dashboard asks for sign-in, but no provider is configured.")
        st.caption("Fill in [auth] of .streamlit/secrets.toml, or set `sign_in: false` in settings.yml.")
    st.stop()
