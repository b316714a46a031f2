"""Who may see a page. Runs before the page is chosen, whatever address was opened."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
from streamlit.errors import StreamlitAPIException

from connectors.errors import counted
from jobs.access.person import kept_out
from jobs.project.project import Project
from ui.shell import signed
from ui.shell.ended import stop
from ui.shell.templates import line
from ui.shell.words import literal

SHARED = ("redirect_uri", "cookie_secret")  # of all providers
KEYS = ("client_id", "client_secret", "server_metadata_url")  # of each
CALLBACK = "/oauth2callback"
SHORTEST_SECRET = 32
HOW = (
    "Write into .streamlit/secrets.toml, beside the program or in the home folder of the user that runs it, and start "
    "again: [auth] with redirect_uri (the address of this dashboard and /oauth2callback), cookie_secret (32 or more "
    "random letters), client_id, client_secret and server_metadata_url (of the provider; ends in "
    "/.well-known/openid-configuration). Of several providers, the last three of each stand in [auth.its_name]."
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
    wrong = "" if settings.sign_in_proxy is not None else problem()
    who = None if wrong else signed.person(st.context.cookies, st.context.headers, project)
    why = kept_out(who, settings) if who is not None else ""
    if who is not None and not why:
        return
    st.title("Sign in")
    if wrong:
        st.error("This dashboard asks for sign-in, and that is not set up.")
        line(f"{wrong} {HOW}")
    elif who is not None:
        st.error("This account may not see this dashboard.")
        line(f"You are signed in as {who.claims.get('email') or 'nobody with an e-mail address'}; {why}")
        if settings.sign_in_proxy is None:
            st.button("Sign out", on_click=st.logout, type="primary")
    elif settings.sign_in_proxy is not None:
        line(PASSED_BY)
    else:
        _offer(project)
    stop()


def _offer(project: Project) -> None:
    """A button for each provider."""
    if signed.ended(st.context.cookies, project):
        line(f"Your session has ended: one lasts {lasting(project.settings.session_length)} here.")
    for name in providers() or [""]:
        words = f"Sign in with {literal(name.replace('-', ' ').capitalize())}" if name else "Sign in"
        st.button(words, key=f"sign_in_{name}", on_click=st.login, args=(name,) if name else (), type="primary")


def lasting(length: timedelta) -> str:
    """`12 hours`, `30 days`."""
    minutes = int(length.total_seconds() // 60)
    for size, word in ((1440, "day"), (60, "hour")):
        if minutes % size == 0:
            return counted(minutes // size, word)
    return counted(minutes, "minute")


def problem() -> str:
    """What is missing of a sign-in; empty if nothing is."""
    if not all(importlib.util.find_spec(name) for name in ("authlib", "httpx")):
        return "The packages Authlib and httpx are missing: pip install -r requirements.lock."
    found = _section()
    if found is None:
        return "There is no [auth] in .streamlit/secrets.toml."
    if wrong := _lacking("auth", found, SHARED):
        return wrong
    if len(str(found["cookie_secret"])) < SHORTEST_SECRET:
        return f"cookie_secret of [auth] is shorter than {SHORTEST_SECRET} letters, so anybody could guess it."
    if urlsplit(str(found["redirect_uri"])).path.rpartition("/")[2] != CALLBACK.strip("/"):
        return f"redirect_uri of [auth] does not end in {CALLBACK}."
    for name in providers() or [""]:
        section, told = (found[name], f"auth.{name}") if name else (found, "auth")
        if wrong := _lacking(told, section, KEYS):
            return wrong
        if not str(section["server_metadata_url"]).startswith(("https://", "http://")):
            return f"server_metadata_url of [{told}] is no web address."
    return ""


def providers() -> list[str]:
    """Names of the providers that have a section of their own; none where [auth] itself is the only one."""
    return [
        name for name, value in (_section() or {}).items() if isinstance(value, Mapping) and name != "client_kwargs"
    ]


def _section() -> Mapping[str, Any] | None:
    try:
        found = st.secrets.get("auth")
    except (OSError, ValueError, StreamlitAPIException):
        return None
    return found if isinstance(found, Mapping) else None


def _lacking(section: str, found: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    missing = [key for key in keys if not str(found.get(key, "")).strip()]
    return f"[{section}] lacks {', '.join(missing)}." if missing else ""
