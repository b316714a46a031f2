"""What webhooks are told of weeks: taken, and restated since."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection

from connectors.errors import KpiError
from connectors.secrets import mask
from connectors.state import alerts as outbox
from connectors.state import snapshots as store
from connectors.state.snapshots import ArchivedSnapshot
from connectors.webhooks import Webhook
from jobs.access.audience import may_be_sent, part_of
from jobs.outbox.webhooks import Event, body_of, listening, put
from jobs.project.project import Project
from jobs.snapshots.archived import revision_called, row_of, rows_of
from jobs.snapshots.restatements import diff_rows, restated_in
from metrics.snapshots.document import Document
from metrics.snapshots.inputs import WeekInputs

log = logging.getLogger(__name__)
MOST_WEEKS = 26  # of a definition that are looked at for restatements, the latest ones
RESTATED = "restatement.found"


def tell_taken(project: Project, connection: Connection, row: ArchivedSnapshot) -> None:
    """Put into the outbox that a revision was taken, in the transaction that keeps it."""

    def told(hook: Webhook) -> dict[str, Any] | None:
        may = may_be_sent(project, hook, row.audience or "")
        return {**row_of(row), **_addresses(project, row)} if may else None

    put(project, connection, Event("snapshot.taken", _called(row), row.taken_at), told)


def tell_restated(project: Project, *, now: datetime) -> list[str]:
    """Tell of each of the latest weeks whose numbers are different now, where these are others than were told last.

    The same generation and definitions give the same, so a second look tells nothing. Gives why a week was not looked
    at, in sentences. Raises NoData, StateError.
    """
    hooks = listening(project, "restatement")
    found, live = list[str](), dict[str, tuple[Project, WeekInputs]]()
    for row in _newest(project) if hooks else ():
        if not any(may_be_sent(project, hook, row.audience or "") for hook in hooks):
            continue
        try:
            _look(project, row, live, now)
        except KpiError as error:  # of one week: the others are looked at all the same
            found.append(f"restatements of {_called(row)} were not looked for: {error}")
        except Exception as error:
            log.exception("restatements of %s were not looked for", _called(row))
            found.append(mask(f"restatements of {_called(row)} were not looked for: unexpected {error}"))
    return found


def _look(project: Project, row: ArchivedSnapshot, live: dict[str, tuple[Project, WeekInputs]], now: datetime) -> None:
    """live: role → what it sees of the project, and its values, for all weeks."""
    with project.state.reading() as connection:
        text = store.document(connection, row.name, row.week, row.revision)
    document = project.state.parsed(Document.model_validate_json, text or "")
    if document.role not in live:
        part = part_of(project, document.role)
        live[document.role] = part, WeekInputs(part.context(now))
    part, inputs = live[document.role]
    rows = diff_rows(restated_in(part, document, inputs, points=False), points=False)
    data = {**row_of(row), **_addresses(project, row), "live": inputs.generation, "rows": rows}
    event = Event(RESTATED, _called(row), now)
    same = json.loads(body_of(event, data))["data"]["rows"]

    def news(connection: Connection, hook: Webhook) -> dict[str, Any] | None:
        if not may_be_sent(project, hook, row.audience or ""):
            return None
        before = outbox.last_told(connection, hook.name, RESTATED, event.about)
        return None if same == (json.loads(before)["data"]["rows"] if before else []) else data

    with project.state.reading() as connection:
        if all(news(connection, hook) is None for hook in listening(project, "restatement")):
            return
    with project.state.writing() as connection:  # looked up once more: another sync may have been here
        put(project, connection, event, partial(news, connection))


def _newest(project: Project) -> Iterator[ArchivedSnapshot]:
    """The latest revision of each of the latest weeks of each definition."""
    weeks: dict[str, set[str]] = {}
    for row in rows_of(project):  # the latest week and revision first
        mine = weeks.setdefault(row.name, set())
        if row.week not in mine and len(mine) < MOST_WEEKS:
            mine.add(row.week)
            yield row


def _called(row: ArchivedSnapshot) -> str:
    return revision_called(row.name, row.week, row.revision)


def _addresses(project: Project, row: ArchivedSnapshot) -> dict[str, str | None]:
    """Where a revision is: its page, and where programs ask for it."""
    which: dict[str, object] = {"snapshot": row.name, "revision": row.revision}
    page = project.links.to("snapshots", {**which, "week": row.week})
    return {"url": page or None, "api": project.links.to(f"api/v1/snapshots/{row.week}", which) or None}
