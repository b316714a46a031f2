"""Tokens of programs on the page: who may edit creates and ends them; one is shown once."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import streamlit as st

from connectors.errors import KpiError
from jobs.access.tokens import SCOPES, Token, create, listed, revoke
from jobs.project.clock import utc_now
from ui.shell import state
from ui.shell.acts import admit
from ui.shell.templates import line, render
from ui.shell.words import literal, literal_lines

LASTS = {"30 days": 30, "90 days": 90, "1 year": 365, "2 years": 730}
MADE = "token_made"
SHOWN_SECONDS = 60.0  # after the click: not on the next visit of the page


def tokens() -> None:
    """The list, and forms for who may edit."""
    if state.rights().role and not state.may("tokens"):  # whose programs ask is nobody else's business
        return
    st.header("Service tokens")
    line("A program that asks this server sends one. Only a hash of each is kept.")
    now = utc_now()
    try:
        found = listed(state.served().state, now=now)
    except KpiError as error:
        st.error(literal_lines(error.message))
        return
    _made()
    if found:
        render("account/tokens", rows=[(one, *_times(one)) for one in found])
    else:
        line("There is none yet.")
    if not state.may("tokens"):
        line("Those whom settings.yml names under editors create and revoke them, and `kpi token` does.")
        return
    _create()
    _revoke([one.name for one in found if one.state == "active"])


def _made() -> None:
    """A token that was created by the last click, this once."""
    secret, until = st.session_state.pop(MADE, ("", 0.0))
    if secret and time.monotonic() < until:
        st.success("Copy it now. It is not shown again.")
        st.code(secret, language=None)


def _times(token: Token) -> tuple[str, str, str]:
    ends = {"active": _day(token.expires_at), "expired": f"{_day(token.expires_at)}, expired"}
    revoked = f"revoked {_day(token.revoked_at)} by {token.revoked_by}"
    return ends.get(token.state, revoked), _day(token.used_at), f"{_day(token.created_at)} by {token.by}"


def _day(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d}" if at is not None else "never"


def _create() -> None:
    with st.form("token_form", border=False, clear_on_submit=True):
        roles = [role.name for role in state.served().settings.roles]
        left, middle, right, last = st.columns([3, 3, 2, 2]) if roles else (*st.columns(3), None)
        name = left.text_input("Name of a new token", placeholder="prometheus", max_chars=60)
        scopes = middle.multiselect("Opens", sorted(SCOPES), default=["metrics"], format_func=_scope)
        lasts = right.selectbox("For", list(LASTS), index=1)
        role = last.selectbox("Sees", ["", *roles], format_func=lambda r: r or "everything") if last else ""
        pressed = st.form_submit_button("Create token", type="primary")
    if pressed:
        _act(lambda: _created(name.strip(), scopes, timedelta(days=LASTS[lasts]), role))


def _scope(name: str) -> str:
    return literal(f"{name}: {SCOPES[name]}")


def _created(name: str, scopes: list[str], lasts: timedelta, role: str) -> None:
    made = create(state.served().state, name, scopes, lasts, by=state.who(), now=utc_now(), role=role)
    st.session_state[MADE] = (made.secret, time.monotonic() + SHOWN_SECONDS)


def _revoke(active: list[str]) -> None:
    if not active:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Token to revoke", active, width=300)
        pressed = st.button("Revoke", key="revoke_token")
    if pressed:
        _act(lambda: revoke(state.served().state, name, by=state.who(), now=utc_now()))


def _act(act: Callable[[], object]) -> None:
    try:
        admit("tokens", time.monotonic())
        act()
    except KpiError as error:
        st.error(literal_lines(f"{error.message}\n{error.hint}" if error.hint else error.message))
        return
    state.changed()
    st.rerun()
