"""The page Snapshots: which weeks there are, one of them in full, and two compared."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from connectors.errors import KpiError
from jobs.project.project import Project
from jobs.snapshots.archived import document_of, rows_of
from jobs.snapshots.render import sheet_of
from jobs.snapshots.send import Recipient, recipients_of
from jobs.snapshots.take import open_week
from metrics.catalog.models.snapshot import default_snapshot
from metrics.presentation.format import moment_text
from metrics.presentation.links import PAGES
from metrics.snapshots.comparing import Pair, compared
from metrics.snapshots.document import Document
from metrics.snapshots.formats import as_html
from metrics.snapshots.week import week_of


@dataclass(frozen=True)
class Entry:
    """One revision in the archive."""

    name: str
    week: str
    week_text: str
    revision: int
    taken: str
    by: str
    headline: str
    latest: bool  # of its week


@dataclass(frozen=True)
class Archive:
    """definitions: name → title. untaken: a week that is over and was not taken, as (name, text); None = all are.

    wrong: why no further week can be taken; empty if one can.
    """

    definitions: dict[str, str]
    entries: tuple[Entry, ...]
    untaken: tuple[str, str] | None
    wrong: str = ""


@dataclass(frozen=True)
class Shown:
    """One snapshot on the page. body: markup whose data is escaped."""

    document: Document
    body: str
    recipients: tuple[Recipient, ...]


def archive(project: Project, name: str, *, now: datetime) -> Archive:
    """Everything that was taken of a definition, the latest first. Raises NoData, StateError."""
    rows = rows_of(project)
    defined = project.catalogue().snapshots
    titles = {item.name: item.heading for item in defined if project.sees_all or item.role == project.role}
    titles |= {row.name: row.name.replace("_", " ").capitalize() for row in rows if row.name not in titles}
    titles = titles or {default_snapshot().name: default_snapshot().heading}
    chosen = name or next(iter(titles))
    mine, seen, entries = [row for row in rows if row.name == chosen], set[str](), []
    for row in mine:
        entries.append(
            Entry(
                row.name,
                row.week,
                week_of(row.week, project.settings.week_start_days),
                row.revision,
                moment_text(row.taken_at),
                row.by,
                row.headline,
                row.week not in seen,
            )
        )
        seen.add(row.week)
    if not project.sees_all:  # its weeks are taken by a sync, and by who sees everything
        return Archive(titles, tuple(entries), None)
    try:
        untaken = open_week(project, {row.week for row in mine}, now=now)
    except KpiError as error:
        return Archive(titles, tuple(entries), None, f"{error.message}: {error.hint}")
    return Archive(titles, tuple(entries), untaken)


def shown(project: Project, name: str, week: str, revision: int, *, now: datetime) -> Shown:
    """One snapshot with what was restated since and who got it. Raises SnapshotError, UnknownName."""
    document = document_of(project, name, week, revision)
    body = as_html.body(sheet_of(project, document, now=now, links=PAGES), images=True)
    return Shown(document, body, recipients_of(project, document))


def two(project: Project, name: str, earlier: str, later: str) -> tuple[Pair, ...]:
    """Two weeks side by side, both as published last."""
    return compared(document_of(project, name, earlier), document_of(project, name, later))
