"""Account: who is signed in, for how long, what that one may do; tokens of programs."""

from __future__ import annotations

import streamlit as st

from jobs.access.told import facts_of
from ui.account.tokens import tokens
from ui.shell import state
from ui.shell.gate import lasting
from ui.shell.templates import line, render


def page() -> None:
    """The person, then the tokens."""
    st.title("Account")
    who, settings = state.person(), state.project().settings
    if who is None:
        line("Nobody signs in here, so whoever reaches this server sees all of it (`sign_in` in settings.yml).")
        tokens()
        return
    proxied = settings.sign_in_proxy is not None
    rows = [
        ("Signed in as", who.name),
        ("Signed in by", "your team's proxy" if proxied else str(who.claims.get("iss") or "the provider")),
        ("Groups", ", ".join(sorted(who.groups)) or "none"),
        *facts_of(state.rights(), names=False),
    ]
    if not proxied:
        rows.append(("Session", f"ends {lasting(settings.session_length)} after you signed in"))
    render("shell/facts", rows=rows)
    if not proxied:
        st.button("Sign out", key="sign_out", on_click=st.logout)
    tokens()


page()
