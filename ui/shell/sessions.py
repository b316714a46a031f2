"""What is recorded of a session: its first page, or that it was not let in. Once, whatever is clicked after."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from hashlib import sha256

import streamlit as st

from connectors.errors import StateError
from jobs.access.person import Person
from jobs.audit.sign_ins import refused, signed_in
from jobs.project.clock import utc_now
from jobs.project.project import Project
from ui.shell.signed import USER_COOKIE

log = logging.getLogger(__name__)
MOST = 10_000  # sessions that this process remembers; the store knows the others
_known: dict[tuple[str, str, str], None] = {}


def note_session(project: Project, who: Person, why_not: str) -> None:
    """Record that somebody signed in, or was refused and why. While the store has trouble, at a later rerun."""
    session = _session(project, who, st.context.cookies)
    known = (str(project.folder), session, "refused" if why_not else "")
    if known in _known or project.state.problem() or project.state.trouble():
        return
    try:
        if why_not:
            refused(project, session, who=who.name, why=why_not, now=utc_now())
        else:
            by = "proxy" if project.settings.sign_in_proxy else str(who.claims.get("iss") or "provider")
            signed_in(project, session, who=who.name, by=by, now=utc_now())
    except StateError:
        log.warning("a sign-in was not recorded in the audit", exc_info=True)
        return
    if len(_known) >= MOST:
        _known.clear()
    _known[known] = None


def _session(project: Project, who: Person, cookies: Mapping[str, str]) -> str:
    """A name for a session that nobody can make the cookie of; of a proxy, who gives no cookie, one a day."""
    parts = [f"{name}={cookies[name]}" for name in sorted(cookies) if name.startswith(USER_COOKIE)]
    if project.settings.sign_in_proxy is not None:
        parts = [who.id, f"{utc_now():%Y-%m-%d}"]
    return sha256("\n".join(parts).encode()).hexdigest()[:16]
