"""Events of any product: who did what when, wherever they come from."""

from __future__ import annotations

from jobs.authoring.exports.contract import EventsExport


class ProductEvents(EventsExport):
    """A list of events."""

    title = "a list of product events"
    needed = (
        "event|event name|event type|action",
        "user id|distinct id|anonymous id|visitor id|customer id|account id|device id|user",
    )
    event = "event|event name|event type|action"
    person = "user id|distinct id|customer id|account id|user|anonymous id|visitor id|device id"
    entity = (person,)
    dimensions = (event, "platform", "country", "plan", "device", "os", "browser", "channel", "version")
