"""A kept snapshot in any form: the page's body, files, what a mail would look like."""

from __future__ import annotations

import base64
import json
from datetime import datetime

from jobs.project.project import Project
from jobs.snapshots.message import message_of, notes_of
from jobs.snapshots.restatements import restated_since
from metrics.presentation.links import Links
from metrics.snapshots.document import Document
from metrics.snapshots.formats.sheet import Sheet, sheet

MIMES = {
    "html": "text/html",
    "pdf": "application/pdf",
    "png": "image/png",
    "markdown": "text/markdown",
    "csv": "text/csv",
    "json": "application/json",
    "mail": "text/html",
}
ENDINGS = {"markdown": "md", "mail": "mail.html"}


def sheet_of(project: Project, document: Document, *, now: datetime | None = None, links: Links | None = None) -> Sheet:
    """What every form prints. now: with what was restated until then; None = as it was published.

    links: of the page that shows it; default those of a file that leaves the dashboard.
    """
    restated = restated_since(project, document, now=now) if now is not None and project.has_data() else ()
    return sheet(
        document,
        links=links or project.links,
        notes=notes_of(project, document),
        restated=restated,
        looked_at=now,
    )


def render(project: Project, document: Document, form: str, *, now: datetime | None = None) -> bytes:
    """One form as a file; `form` is a key of MIMES."""
    if form == "json":
        return (json.dumps(document.as_dict(), indent=1, ensure_ascii=False) + "\n").encode()
    if form == "csv":
        from metrics.snapshots.formats.as_csv import as_csv

        return as_csv(document).encode()
    if form == "mail":
        return mail_preview(project, document).encode()
    found = sheet_of(project, document, now=now)
    if form == "markdown":
        from metrics.snapshots.formats.as_markdown import as_markdown

        return as_markdown(found).encode()
    if form == "html":
        from metrics.snapshots.formats import as_html

        return as_html.file(found).encode()
    from metrics.snapshots.formats import as_pdf

    return as_pdf.pdf(found, document.taken_at) if form == "pdf" else as_pdf.header_png(found)


def mail_preview(project: Project, document: Document) -> str:
    """The mail as a recipient sees it: one HTML file, its pictures inside."""
    message = message_of(project, document, notes_of(project, document), full=True)
    found = message.html
    for picture in message.inline:
        data = f"data:{picture.mime};base64,{base64.b64encode(picture.data).decode()}"
        found = found.replace(f'"cid:{picture.name}"', f'"{data}"')
    return found


def file_name(document: Document, form: str) -> str:
    """larkspur-weekly-2026-W47-r1.pdf."""
    return f"{document.snapshot}-{document.week}-r{document.revision}.{ENDINGS.get(form, form)}"
