"""Who may see a page. Runs before the page is chosen, whatever address was opened."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
from streamlit.errors import StreamlitAPIException

from jobs.project.project import Project
from ui.shell.ended import stop
from ui.shell.templates import render

KEYS = ("redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url")
CALLBACK = "/oauth2callback"
SHORTEST_SECRET = 32
HOW = (
    "Write into .streamlit/secrets.toml, beside the program or in the home folder of the user that runs it, and start "
    "again: [auth] with redirect_uri (the address of this dashboard and /oauth2callback), cookie_secret (32 or more "
    "random letters), client_id, client_secret and server_metadata_url (of the provider; ends in "
    "/.well-known/openid-configuration)."
)


def require_sign_in(project: Project) -> None:
    """Stop the run with a sign-in screen unless the project needs none or the user may see it."""
    settings = project.settings
    if not settings.sign_in:
        return
    wrong = problem()
    if not wrong and may_see(dict(st.user), project):
        return
    st.title("Sign in")
    if wrong:
        st.error("This dashboard asks for sign-in, and that is not set up.")
        render("shell/line", words=f"{wrong} {HOW}")
    elif bool(st.user.get("is_logged_in", False)):
        domains = ", ".join(f"@{name}" for name in settings.sign_in_domains)
        address = str(st.user.get("email") or "nobody with an e-mail address")
        st.error("This account may not see this dashboard.")
        render("shell/line", words=f"You are signed in as {address}; it is for confirmed addresses of {domains}.")
        st.button("Sign out", on_click=st.logout, type="primary")
    else:
        st.button("Sign in", on_click=st.login, type="primary")
    stop()


def may_see(user: Mapping[str, Any], project: Project) -> bool:
    """Whether a signed-in user's address is of a domain that may see the pages. Without domains everybody may.

    An address that the provider calls unconfirmed is nobody's.
    """
    if user.get("is_logged_in") is not True:
        return False
    domains = project.settings.sign_in_domains
    if not domains:
        return True
    name, at, domain = str(user.get("email") or "").strip().lower().rpartition("@")
    confirmed = user.get("email_verified") not in (False, "false")
    return bool(name and at) and confirmed and domain in domains


def problem() -> str:
    """What is missing of a sign-in; empty if nothing is."""
    if not all(importlib.util.find_spec(name) for name in ("authlib", "httpx")):
        return "The packages Authlib and httpx are missing: pip install -r requirements.lock."
    try:
        found = st.secrets.get("auth")
    except (OSError, ValueError, StreamlitAPIException):
        found = None
    if not isinstance(found, Mapping):
        return "There is no [auth] in .streamlit/secrets.toml."
    missing = [key for key in KEYS if not str(found.get(key, "")).strip()]
    if missing:
        return f"[auth] lacks {', '.join(missing)}."
    if len(str(found["cookie_secret"])) < SHORTEST_SECRET:
        return f"cookie_secret of [auth] is shorter than {SHORTEST_SECRET} letters, so anybody could guess it."
    if urlsplit(str(found["redirect_uri"])).path.rpartition("/")[2] != CALLBACK.strip("/"):
        return f"redirect_uri of [auth] does not end in {CALLBACK}."
    if not str(found["server_metadata_url"]).startswith(("https://", "http://")):
        return "server_metadata_url of [auth] is no web address."
    return ""
