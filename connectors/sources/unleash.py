"""Unleash: changes of flags, from the event log: environments turned on and off, strategies and their rollout.

Events are listed newest first from a day on, and pages go by offset: one that comes meanwhile moves others to a later
page, where they come again, and hides none. But events of one moment have no order, so what was received is counted
against `total`, and read again where it is less.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from connectors.errors import SourceError, counted
from connectors.settings import Span
from connectors.sources.contract import FUTURE, Batch, Cursor
from connectors.sources.rest.auth import Header
from connectors.sources.rest.client import Client
from connectors.sources.rest.flags import CHANGES, EVERYWHERE, FlagOptions
from connectors.sources.rest.moments import moment
from connectors.sources.rest.paging import at, records_of
from connectors.sources.rest.source import RestSource
from connectors.sources.rest.spool import Spool

PAGE = 1000  # events of one answer, the most there may be
ROUNDS = 10  # of reading pages that do not add up
EVENTS = "api/admin/search/events"
ON = {
    "feature-environment-enabled": True,
    "feature-environment-disabled": False,
    "feature-archived": False,
    "feature-deleted": False,
}
STRATEGIES = ("feature-strategy-add", "feature-strategy-update", "feature-strategy-remove")
SHARES = {"flexibleRollout": "rollout"}  # strategy → parameter that holds percent
LISTS = ("userWithId", "remoteAddress", "applicationHostname")  # strategies for who is named, and nobody else
RIGHTS = "It needs a personal access token, or a service account's, of who may read the events of the project."


class UnleashOptions(FlagOptions):
    """Options of `type: unleash`."""

    url: str = Field(description="Address of Unleash, such as https://us.app.unleash-hosted.com/shop.")
    project: str = Field("", description="Id of the project; default: all that the token may see.")
    lookback: Span = Field(timedelta(days=1), description="How far before the last change to ask again; whole days.")


class Unleash(RestSource):
    """Changes of flags. The cursor is the moment of the last one."""

    Options = UnleashOptions
    example = (
        '- {name: flags, type: unleash, table: flags, url: "https://unleash.example.com", token: "${UNLEASH_TOKEN}", '
        "start: 2026-01-01}"
    )

    def pull(self, cursor: Cursor) -> Iterator[Batch]:
        """Yield changes since the last one. Raises SourceError."""
        options: UnleashOptions = self.options
        last = moment(cursor.get("until"))
        since = max(last - options.lookback, options.begins) if last else options.begins
        most, unreadable = last, 0
        with self._client() as client, Spool(options.name, CHANGES, self.now) as spool:
            for event in self._events(client, since):
                created = moment(event.get("createdAt"))
                if created is None or not event.get("featureName"):
                    unreadable += 1
                    continue
                if not options.wants(str(event.get("environment") or EVERYWHERE)) or created < options.begins:
                    continue
                spool.add(self._row(event))
                if created <= self.now + FUTURE:  # one of the future would hide all that comes before it
                    most = max(most, created) if most else created
                if spool.full:
                    yield Batch(options.table, spool.take(), dict(cursor))
            if unreadable:
                self.notes.append(
                    f"{counted(unreadable, 'event names', 'events name')} no flag or no moment: left out."
                )
            if not spool.empty or not cursor:
                done = {"until": most.isoformat()} if most else {}
                yield Batch(options.table, spool.take(), done, covered=most)

    def probe(self) -> str:
        """Ask for one event."""
        with self._client() as client:
            answer = client.get(EVENTS, {**self._asked(), "limit": 1})
            records_of(answer.body, "events", self.where)
        total = int(at(answer.body, "total") or 0)
        return f"answers; {counted(total, 'change')} of flags" if total else "answers"

    def _client(self) -> Client:
        options: UnleashOptions = self.options
        auth = Header("Authorization", options.token.strip())
        return Client(options.url, place=self.place, auth=auth, rights=RIGHTS)

    def _asked(self) -> dict[str, str]:
        project = self.options.project
        return {
            "type": f"IS_ANY_OF:{','.join((*ON, *STRATEGIES))}",
            **({"project": f"IS:{project}"} if project else {}),
        }

    def _events(self, client: Client, since: datetime) -> Iterator[Mapping[str, Any]]:
        """Events from a day on, each once. Raises SourceError where pages do not add up."""
        asked = {**self._asked(), "from": f"IS:{since:%Y-%m-%d}", "limit": PAGE}
        seen: set[Any] = set()
        total = 0
        for _ in range(ROUNDS):
            offset = 0
            while True:
                body = client.get(EVENTS, {**asked, "offset": offset}).body
                found = [one for one in records_of(body, "events", self.where) if isinstance(one, Mapping)]
                fresh = [one for one in found if one.get("id") not in seen]
                seen |= {one.get("id") for one in fresh}
                yield from fresh
                offset += len(found)
                total = int(at(body, "total") or 0)
                if not found or offset >= total:
                    break
            if len(seen) >= total:
                return
        raise SourceError(
            f"Unleash counts {counted(total, 'event')} and gave {len(seen):,}, {ROUNDS} times",
            where=self.where,
            hint="Nothing of this pull was loaded; the next sync tries again.",
            retryable=True,
        )

    def _row(self, event: Mapping[str, Any]) -> dict[str, Any]:
        project, flag = str(event.get("project") or "default"), str(event["featureName"])
        return {
            "id": str(event["id"]),
            "project": project,
            "flag": flag,
            "name": flag,
            "environment": event.get("environment") or EVERYWHERE,
            "changed_at": event["createdAt"],
            "action": event.get("type"),
            "is_on": ON.get(str(event.get("type"))),
            "author": event.get("createdBy"),
            "comment": None,
            "url": f"{self.options.url.rstrip('/')}/projects/{project}/features/{flag}",
            **_strategy(event),
        }


def _strategy(event: Mapping[str, Any]) -> dict[str, Any]:
    """Which strategy an event is about, and what share it lets in from then on."""
    kind, data = event.get("type"), event.get("data")
    if kind == "feature-strategy-remove":
        return {"strategy": at(event, "preData.id"), "share": 0.0, "constrained": False}
    if kind not in STRATEGIES or not isinstance(data, Mapping):
        return {"strategy": None, "share": None, "constrained": None}
    name = data.get("name")
    limited = bool(data.get("constraints") or data.get("segments") or name in LISTS)
    return {"strategy": data.get("id"), "share": _share(data), "constrained": limited}


def _share(data: Mapping[str, Any]) -> float | None:
    """Percent whom a strategy lets in, of those that its constraints let through; None for one of your own."""
    name = str(data.get("name"))
    if data.get("disabled") is True or name in LISTS:
        return 0.0
    if name == "default":
        return 100.0
    text = at(data, f"parameters.{SHARES.get(name, 'percentage')}")
    try:
        return min(100.0, max(0.0, float(text)))
    except (TypeError, ValueError):
        return None
