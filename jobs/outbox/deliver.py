"""deliver: send what is in the outbox. Recorded before it is sent; a confirmed failure is tried again, an outcome that
nobody knows is sent once more and no more often than that. What goes to a webhook is sent until it is taken."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from filelock import FileLock, Timeout

from connectors.channels.contract import Channel, Message, Outcome, channel_for
from connectors.clock import utc_now
from connectors.errors import SettingsError
from connectors.settings import environment, expand_secrets
from connectors.state import alerts as store
from connectors.state.alerts import Delivery
from jobs.outbox import webhooks
from jobs.project.project import Project

log = logging.getLogger(__name__)
# After how long a confirmed failure is tried again, by attempts made; the last one is repeated.
BACK_OFF = [timedelta(seconds=s) for s in (1, 3, 5, 60, 300, 900, 3600, 4 * 3600)]
GIVE_UP = timedelta(days=3)
LEASE = timedelta(minutes=10)  # of a sender on another host
PATIENCE_SECONDS = 6.0  # that one call waits for what is due soon
LOCK_SECONDS = 120.0
# After that no send begins in one call; each is killed after `apprise.LIMIT_SECONDS`. What is left is sent next time.
BEGIN_SECONDS = 20.0
SLOW_SECONDS = 2.0  # a webhook that fails after so long holds back no others in this call


Renderer = Callable[[Project, int, Message], Message]  # project, number in the outbox, plain message → what is sent


@dataclass(frozen=True)
class DeliveryCounts:
    """What one call did."""

    delivered: int = 0
    failed: int = 0
    unknown: int = 0


def deliver(
    project: Project, render: Renderer, channel: Channel | None = None, clock: Callable[[], datetime] = utc_now
) -> DeliveryCounts:
    """Send everything that is due. One sender per machine at a time; a second one waits, then finds nothing left.

    channel: default the one that takes each address. render: what turns a message of the outbox into what is sent, with
    the pictures and files of what it carries.
    Raises StateError.
    """
    if not project.state.exists():
        return DeliveryCounts()
    with project.state.reading() as connection:
        waiting = store.next_due(connection)
        left = store.orphans(connection, socket.gethostname(), clock() - LEASE)
    if waiting is None and not left:
        return DeliveryCounts()
    project.data.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(project.data / "notify.lock", timeout=LOCK_SECONDS):
            return _send_all(project, render, channel, clock)
    except Timeout:
        return DeliveryCounts()  # the other sender has it all in hand


def _send_all(
    project: Project, render: Renderer, channel: Channel | None, clock: Callable[[], datetime]
) -> DeliveryCounts:
    host, started = socket.gethostname(), time.monotonic()
    with project.state.writing() as connection:
        for message in store.orphans(connection, host, clock() - LEASE):
            store.settle(connection, message.id, **_after(message, Outcome("unknown", "the sender died"), clock()))
    tally, slow = {"delivered": 0, "failed": 0, "unknown": 0}, set[str]()
    while True:
        with project.state.reading() as connection:
            batch, upcoming = store.due(connection, clock(), slow), store.next_due(connection, slow)
        for message in batch:
            begun = time.monotonic()
            if begun - started > BEGIN_SECONDS:
                return _told(tally)
            if message.contact in slow:
                continue
            with project.state.writing() as connection:
                mine = store.claim(connection, message.id, host, clock())
            if not mine:
                continue
            found = _send(project, render, channel, message)
            tally[found.status] += 1
            _log_one(message, found)
            with project.state.writing() as connection:
                store.settle(connection, message.id, **_after(message, found, clock()))
            if message.event and found.status != "delivered" and time.monotonic() - begun > SLOW_SECONDS:
                slow.add(message.contact)
        if batch:
            continue
        wait = (upcoming - clock()).total_seconds() if upcoming is not None else None
        if wait is None or time.monotonic() + wait > started + PATIENCE_SECONDS:
            return _told(tally)
        time.sleep(max(0.05, wait))


def _log_one(message: Delivery, found: Outcome) -> None:
    ids = {"delivery": message.id, "contact": message.contact, "attempt": message.attempts + 1, "outcome": found.status}
    log.info("message %d to %s: %s", message.id, message.contact, found.status, extra={"ids": ids})


def _told(tally: dict[str, int]) -> DeliveryCounts:
    bad = tally["failed"] + tally["unknown"]
    words = ", ".join(f"{number} {status}" for status, number in tally.items())
    log.log(logging.WARNING if bad else logging.INFO, "messages: %s", words)
    return DeliveryCounts(**tally)


def _send(project: Project, render: Renderer, channel: Channel | None, message: Delivery) -> Outcome:
    if message.event:
        return webhooks.send(project, message.contact, webhooks.message_of(message), channel)
    point = project.settings.contact(message.contact)
    if point is None:
        return Outcome("failed", f"contact point '{message.contact}' is no longer in settings.yml")
    try:
        url = str(expand_secrets(point.url, environment(), where=f"contact point {point.name}"))
    except SettingsError as error:
        return Outcome("failed", error.message)
    plain = Message(message.title, message.body, id=f"{message.created_at:%Y%m%d%H%M%S%f}.{message.id}")
    try:
        whole = render(project, message.id, plain)
    except Exception as error:  # of making pictures: whatever it is, the message stays and is tried again
        log.exception("the pictures of message %s cannot be made", message.id)
        return Outcome("failed", f"its pictures cannot be made: {type(error).__name__}: {error}")
    return (channel or channel_for(url, project.settings.outbound_hosts)).send(url, whole)


def _after(message: Delivery, found: Outcome, now: datetime) -> dict[str, object]:
    """The columns that an outcome changes."""
    attempts = message.attempts + 1
    done = {"attempts": attempts, "finished_at": now, "error": found.detail}
    if found.status == "delivered":
        return {**done, "status": "delivered", "error": ""}
    if found.status == "unknown" and not message.event:  # a webhook tells a repeat by its id
        again = message.unknowns == 0
        return {**done, "status": "pending" if again else "unknown", "unknowns": message.unknowns + 1, "next_at": now}
    if found.final or now - message.created_at > GIVE_UP:
        return {**done, "status": "failed"}
    wait = max(BACK_OFF[min(attempts, len(BACK_OFF)) - 1], timedelta(seconds=found.after))
    return {**done, "status": "pending", "next_at": now + wait}
