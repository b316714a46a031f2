"""record: an entry of what somebody does, with it or before it, so that there is no act without one."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from connectors.state import audit
from connectors.state.audit import Act
from connectors.state.store import StateStore
from jobs.project.project import Project

__all__ = ["Act", "exported", "is_kept", "record", "record_alone"]


def record(state: StateStore, connection: Connection, act: Act, now: datetime) -> None:
    """An entry in the writing transaction of what it is about: both are kept, or neither. Raises StateError."""
    audit.append(connection, state.keys, act, now)


def record_alone(state: StateStore, act: Act, now: datetime) -> None:
    """An entry of what happens outside of the state store, written before it does. Raises StateError."""
    with state.writing() as connection:
        record(state, connection, act, now)


def is_kept(project: Project) -> bool:
    """Whether what is done outside of the state store is recorded: where there is one, or people sign in."""
    return project.settings.sign_in or project.state.exists()


def exported(project: Project, subject: str, *, by: str, now: datetime, form: str) -> None:
    """Somebody takes a file: recorded before it is handed out, and not handed out where that fails. Raises StateError.

    subject: what it shows, such as `kpi:activation`. form: csv, pdf …
    """
    if is_kept(project):
        record_alone(project.state, Act("exported", subject, by, {"form": form}), now)
