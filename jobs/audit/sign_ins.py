"""Who signed in, and who was not let in: once for each session, and no flood of them."""

from __future__ import annotations

from datetime import datetime, timedelta

from connectors.state import audit
from connectors.state.audit import Act
from jobs.audit.record import record
from jobs.project.project import Project

MOST_REFUSED = 60  # entries within an hour: whoever has an account elsewhere could else fill the store
HOUR = timedelta(hours=1)


def signed_in(project: Project, session: str, *, who: str, by: str, now: datetime) -> None:
    """Somebody who may see the dashboard opens the first page of a session. Raises StateError.

    session: tells sessions apart and nothing else. by: the provider, or the proxy.
    """
    _once(project, Act("signed_in", f"session:{session}", who, {"by": by}, "page"), now)


def refused(project: Project, session: str, *, who: str, why: str, now: datetime) -> None:
    """Somebody who signed in may not see the dashboard. Raises StateError. The last of an hour's says that it is."""
    _once(project, Act("sign_in_refused", f"session:{session}", who, {"why": why}, "page"), now, most=MOST_REFUSED)


def _once(project: Project, act: Act, now: datetime, *, most: int = 0) -> None:
    state = project.state
    if state.exists():
        with state.reading() as connection:
            if audit.is_recorded(connection, act.what, act.subject):
                return
    with state.writing() as connection:
        if audit.is_recorded(connection, act.what, act.subject):
            return
        if most:
            count = audit.count_since(connection, act.what, now - HOUR)
            if count >= most:
                return
            if count == most - 1:
                told = {**act.details, "more": f"{most} within an hour: further ones of it are not recorded"}
                act = Act(act.what, act.subject, act.who, told, act.via)
        record(state, connection, act, now)
