"""Files that people take from a page: recorded when they click, before the file is handed out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from jobs.audit.acting import in_role
from jobs.audit.record import exported
from jobs.project.clock import utc_now
from ui.shell import state

Content = TypeVar("Content", str, bytes)


def recorded(subject: str, form: str, make: Callable[[], Content]) -> Callable[[], Content]:
    """What a download button takes: makes the content once it is in the audit who took it, else raises.

    subject: what the file shows, such as `kpi:activation`. Called while the page is drawn: a click has no session's
    cookies to say who it is.
    """
    project, by, role = state.project(), state.who(), state.rights().role

    def take() -> Content:
        in_role(role)
        exported(project, subject, by=by, now=utc_now(), form=form)
        return make()

    return take
