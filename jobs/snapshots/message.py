"""The message that carries a snapshot: plain in the outbox, with pictures and the PDF when it is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from connectors.channels.contract import Attachment, Message
from connectors.state import snapshots as store
from jobs.project.project import Project

if TYPE_CHECKING:  # loaded where a snapshot is sent
    from metrics.snapshots.document import Document, Note


def notes_of(project: Project, document: Document) -> tuple[Note, ...]:
    """What people wrote beside a week, the latest first."""
    from metrics.snapshots.document import Note

    with project.state.reading() as connection:
        rows = store.notes(connection, document.snapshot, document.week)
    return tuple(Note(text=row.text, by=row.by, at=row.created_at) for row in rows)


def message_of(project: Project, document: Document, notes: Sequence[Note] = (), *, full: bool = False) -> Message:
    """Title and text; full: with HTML, its pictures, the PDF, and a picture for chats."""
    from metrics.snapshots.formats.as_mail import body, html, title
    from metrics.snapshots.formats.sheet import sheet

    found = sheet(document, links=project.links, notes=notes)
    if not full:
        return Message(title(found), body(found))
    from metrics.snapshots.formats import as_pdf
    from metrics.snapshots.formats.charts import spark

    drawn = [spark(line) for line in document.lines]
    sparks = as_pdf.spark_pngs([picture for picture in drawn if picture])
    names = [f"spark{number}.png" if picture else "" for number, picture in enumerate(drawn)]
    return Message(
        title(found),
        body(found),
        html(found, names),
        tuple(Attachment(name, "image/png", data) for name, data in zip(filter(None, names), sparks, strict=True)),
        (Attachment(f"{found.key}.pdf", "application/pdf", as_pdf.pdf(found, document.taken_at)),),
        Attachment(f"{found.key}.png", "image/png", as_pdf.header_png(found)),
    )


def dressed(project: Project, delivery: int, plain: Message) -> Message:
    """A message of the outbox as it is sent: with everything a snapshot brings, if it carries one."""
    with project.state.reading() as connection:
        item = store.send_of(connection, delivery)
        if item is None:
            return plain
        text = store.document(connection, item.name, item.week, item.revision)
    from metrics.snapshots.document import Document

    document = project.state.parsed(Document.model_validate_json, text or "")
    found = message_of(project, document, notes_of(project, document), full=True)
    return Message(plain.title, plain.body, found.html, found.inline, found.files, found.picture, plain.id)
