"""Who may see a page. Runs before the page is chosen, whatever address was opened."""

from __future__ import annotations

from datetime import timedelta

import streamlit as st

from connectors.errors import counted
from jobs.access.rights import kept_out
from jobs.project.project import Project
from ui.shell import signed
from ui.shell.ended import stop
from ui.shell.providers import DEFAULT, problem, providers
from ui.shell.sessions import note_session
from ui.shell.templates import line
from ui.shell.words import literal

HOW = (
    "Write into .streamlit/secrets.toml, beside the program or in the home folder of the user that runs it, and start "
    "again: [auth] with redirect_uri (the address of this dashboard and /oauth2callback), cookie_secret (32 or more "
    "random letters), client_id, client_secret and server_metadata_url (of the provider; ends in "
    "/.well-known/openid-configuration). Of several providers, the last three of each stand in [auth.its-name]."
)
PASSED_BY = (
    "This dashboard is opened through a proxy that signs people in, and this request did not come through it, or the "
    "proxy named nobody. Open the address that your team uses; `sign_in_proxy` in settings.yml says which proxy counts."
)


def require_sign_in(project: Project) -> None:
    """Stop the run with a sign-in screen unless the project needs none or the user may see it."""
    settings = project.settings
    if not settings.sign_in:
        return
    proxied = settings.sign_in_proxy is not None
    wrong = "" if proxied else problem()
    who = None if wrong else signed.person(st.context.cookies, st.context.headers, project)
    why = kept_out(who, settings) if who is not None else ""
    if who is not None:
        note_session(project, who, why)
    if who is not None and not why:
        return
    st.title("Sign in")
    if wrong:
        st.error("This dashboard asks for sign-in, and that is not set up.")
        line(f"{wrong} {HOW}")
    elif who is not None:
        st.error("This account may not see this dashboard.")
        line(f"You are signed in as {who.said or 'nobody with an e-mail address'}; {why}")
        if not proxied:
            st.button("Sign out", on_click=st.logout, type="primary")
    else:
        if signed.ended(st.context.cookies, st.context.headers, project):
            line(f"Your session has ended: one lasts {lasting(settings.session_length)} here. Load the page again.")
        elif proxied:
            line(PASSED_BY)
        if not proxied:
            _offer()
    stop()


def _offer() -> None:
    """A button for each provider."""
    for name in providers():
        words = "Sign in" if name == DEFAULT else f"Sign in with {literal(name.replace('-', ' ').capitalize())}"
        args = () if name == DEFAULT else (name,)
        st.button(words, key=f"sign_in_{name}", on_click=st.login, args=args, type="primary")


def lasting(length: timedelta) -> str:
    """`12 hours`, `30 days`."""
    minutes = int(length.total_seconds() // 60)
    for size, word in ((1440, "day"), (60, "hour")):
        if minutes % size == 0:
            return counted(minutes // size, word)
    return counted(minutes, "minute")
