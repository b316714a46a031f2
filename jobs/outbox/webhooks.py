"""Webhooks: an event is put into the outbox for whoever is told of its kind, and sent by `deliver` like a message."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from connectors.channels.contract import Channel, Message, Outcome
from connectors.clock import utc_now
from connectors.errors import ContactError, SettingsError
from connectors.settings import environment, expand_secrets
from connectors.state import alerts as store
from connectors.state.alerts import Delivery
from connectors.webhooks import HOW_TO_MAKE, Kind, Webhook, address_problem, secret_problem
from jobs.project.log import masked
from jobs.project.plain import finite
from jobs.project.project import Project
from metrics.presentation.format import iso

ADDRESSES = ("url", "api")  # of the dashboard
Told = Callable[[Webhook], Mapping[str, Any] | None]  # what a webhook is told; None = it may not see it


@dataclass(frozen=True)
class Event:
    """Something that happened. type: such as incident.opened; about: what it is of, such as incident:12."""

    type: str
    about: str
    at: datetime

    @property
    def kind(self) -> str:
        """What a webhook subscribes to."""
        return self.type.partition(".")[0]


def listening(project: Project, kind: Kind) -> tuple[Webhook, ...]:
    """Webhooks that are told of a kind of events."""
    return tuple(hook for hook in project.settings.webhooks if kind in hook.events)


def put(project: Project, connection: Connection, event: Event, told: Told) -> None:
    """Put an event into the outbox for each webhook of its kind, in the writing transaction of what caused it.

    told: what one is told of it. So there is no event without a cause, and none twice.
    """
    for hook in project.settings.webhooks:
        data = told(hook) if event.kind in hook.events else None
        if data is not None:
            body = body_of(event, data)
            store.add_event(connection, hook.name, event.type, event.about, body, utc_now())


def body_of(event: Event, data: Mapping[str, Any]) -> str:
    """What is signed and sent. Our own addresses are shown with their parameters."""
    said = {key: value if key in ADDRESSES else masked(value) for key, value in data.items()}
    plain = {"type": event.type, "timestamp": iso(event.at), "data": finite(said)}
    return json.dumps(plain, ensure_ascii=False, allow_nan=False)


def message_of(delivery: Delivery) -> Message:
    """A message of the outbox, with an id that is the same at every attempt."""
    return Message(delivery.title, delivery.body, id=f"evt_{delivery.created_at:%Y%m%d%H%M%S%f}_{delivery.id}")


def send(project: Project, name: str, message: Message, channel: Channel | None = None) -> Outcome:
    """Sign and send to the webhook of a name. channel: default one with its secret."""
    hook = project.settings.webhook(name)
    if hook is None:
        return Outcome("failed", f"webhook '{name}' is no longer in settings.yml")
    try:
        url, secret = filled(hook)
    except SettingsError as error:
        return Outcome("failed", error.message)
    from connectors.channels.webhook import WebhookChannel  # and HTTP, which few commands need

    return (channel or WebhookChannel(secret, project.settings.outbound_hosts)).send(url, message)


def filled(hook: Webhook) -> tuple[str, str]:
    """Address and secret with what their ${NAME} stand for. Raises SettingsError where one is missing or wrong."""
    where = f"settings.yml, webhook {hook.name}"
    url, secret = (str(expand_secrets(text, environment(), where=where)) for text in (hook.url, hook.secret))
    if problem := address_problem(url):
        raise SettingsError(problem, where=where)
    if problem := secret_problem(secret):
        raise SettingsError(problem, where=where, hint=HOW_TO_MAKE)
    return url, secret


def unusable(hook: Webhook) -> str:
    """Why nothing can be sent to a webhook as this process's environment is; empty if it can."""
    try:
        filled(hook)
    except SettingsError as error:
        return error.message
    return ""


def send_test(project: Project, hook: Webhook) -> Outcome:
    """One event `test` to a webhook, now. Raises ContactError where its address or secret cannot be used."""
    try:
        filled(hook)
    except SettingsError as error:
        raise ContactError(error.message, where=error.where, hint=error.hint) from None
    at = utc_now()
    event = Event("test", hook.name, at)
    body = body_of(event, {"project": project.name, "url": project.links.to() or None})
    return send(project, hook.name, Message("test", body, id=f"evt_{at:%Y%m%d%H%M%S%f}_test"))
