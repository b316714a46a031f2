"""send snapshots: who gets which revision, once; put into the outbox, dressed when it is sent, retried like alerts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from connectors.clock import utc_now
from connectors.errors import ContactError, SnapshotError, Withheld
from connectors.state import alerts as outbox
from connectors.state import snapshots as store
from connectors.state.snapshots import Send
from jobs.access.audience import may_be_sent
from jobs.audit.record import Act, record
from jobs.outbox.deliver import DeliveryCounts, deliver
from jobs.project.project import Project
from jobs.snapshots.archived import BY_SYNC, subject_of
from jobs.snapshots.message import dressed, message_of, notes_of
from metrics.presentation.format import iso
from metrics.snapshots.document import Document


@dataclass(frozen=True)
class Recipient:
    """One recipient of one revision. status: empty = not sent yet, else of the outbox: pending, delivered, failed …"""

    name: str
    status: str
    attempts: int = 0
    finished_at: datetime | None = None
    error: str = ""


def queue(
    project: Project,
    connection: Connection,
    document: Document,
    recipients: Iterable[str],
    *,
    by: str,
    not_before: datetime | None = None,
) -> list[str]:
    """Put a revision into the outbox for everyone who has not got it; who gets none, and why, in words.

    not_before: when it is sent first.
    In the caller's transaction: what is kept and what is sent can never differ.
    """
    has = {
        send.recipient
        for send, _ in store.sends(connection, document.snapshot, document.week)
        if send.revision == document.revision
    }
    untold, sent = [], []
    for name in dict.fromkeys(recipients):
        point = project.settings.recipient(name)
        if point is None:
            untold.append(f"{name}: it has no contact point in settings.yml")
            continue
        if not may_be_sent(project, point, document.audience):
            untold.append(f"{name}: the role of the contact point sees less than is in it")
            continue
        if name in has:
            continue
        text = message_of(project, document)
        number = outbox.add_delivery(
            connection, point.name, text.title, text.body, utc_now(), {}, not_before=not_before
        )
        store.add_send(connection, Send(document.snapshot, document.week, document.revision, name, number, by))
        sent.append(name)
    if sent:
        act = Act("snapshot_sent", subject_of(document), by, {"to": sent}, "sync" if by == BY_SYNC else "")
        record(project.state, connection, act, utc_now())
    return untold


def send(project: Project, document: Document, to: Sequence[str], *, by: str) -> DeliveryCounts:
    """Send a revision to recipients, default those of its definition; who has it already gets nothing.

    Raises ContactError for a recipient without a contact point, SnapshotError where there is nobody to send to.
    """
    names = list(to) or list(_named(project, document))
    if not names:
        raise SnapshotError(
            "there are no recipients", hint=f"Write `recipients` into snapshots/{document.snapshot}.yml, or --to."
        )
    points = {name: project.settings.recipient(name) for name in names}
    known_points = {name: point for name, point in points.items() if point is not None}
    others = [name for name, point in known_points.items() if not may_be_sent(project, point, document.audience)]
    if others:
        raise Withheld(
            f"{', '.join(others)} may not see this snapshot, by `role` of the contact point",
            where="settings.yml",
            hint="Take one for that role: `role` in snapshots/*.yml.",
        )
    unknown = [name for name, point in points.items() if point is None]
    if unknown:
        known = [point.name for point in project.settings.contact_points]
        raise ContactError(
            f"no contact point for {', '.join(unknown)}",
            where="settings.yml",
            hint=f"Known: {', '.join(known) or 'none'}; an e-mail address needs one whose address has {{owner}}.",
        )
    with project.state.writing() as connection:
        queue(project, connection, document, names, by=by)
    return deliver(project, dressed)


def recipients_of(project: Project, document: Document) -> tuple[Recipient, ...]:
    """Everyone who is to get this revision or got it, with what became of it."""
    found = {name: Recipient(name, "") for name in _named(project, document)}
    with project.state.reading() as connection:
        for item, message in store.sends(connection, document.snapshot, document.week):
            if item.revision == document.revision:
                found[item.recipient] = Recipient(
                    item.recipient, message.status, message.attempts, message.finished_at, message.error
                )
    return tuple(found.values())


def _named(project: Project, document: Document) -> tuple[str, ...]:
    """The recipients of its definition, as it is now."""
    definition = next((s for s in project.catalogue().snapshots if s.name == document.snapshot), None)
    return definition.recipients if definition else ()


def preview(project: Project, document: Document, to: Sequence[str]) -> str:
    """Who would get it and the plain text, nothing sent."""
    has = {r.name: r.status for r in recipients_of(project, document)}
    names = list(to) or list(has)
    lines = []
    for name in names:
        reached = "would get it" if project.settings.recipient(name) else "has no contact point"
        lines.append(f"{name}: {f'has it ({has[name]})' if has.get(name) else reached}")
    text = message_of(project, document, notes_of(project, document))
    return "\n".join([*(lines or ["There are no recipients."]), "", f"Subject: {text.title}", "", text.body])


def status_rows(project: Project, document: Document) -> list[dict[str, object]]:
    """`kpi snapshot send --json`: each recipient and what became of it."""
    return [
        {
            "recipient": r.name,
            "status": r.status or "not sent",
            "attempts": r.attempts,
            "finished_at": iso(r.finished_at),
            "error": r.error or None,
        }
        for r in recipients_of(project, document)
    ]
