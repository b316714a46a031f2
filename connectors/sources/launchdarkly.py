"""LaunchDarkly: changes of flags, from the audit log, and what each flag did from then on.

The log is read newest first, page by page before the oldest of the last one. Its list does not say what a flag does
after a change; the entry does (`currentVersion`), so each change that turns a flag on or off, or moves its rollout, is
one more request. Entries never change: those that a look-back brings again are known by their ids, in the cursor.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urljoin

from pydantic import Field

from connectors.errors import counted
from connectors.settings import Span
from connectors.sources.contract import FUTURE, Batch, Cursor, RecordField
from connectors.sources.rest.auth import Header
from connectors.sources.rest.client import Client
from connectors.sources.rest.flags import CHANGES, FlagOptions
from connectors.sources.rest.paging import Records, at, records_of
from connectors.sources.rest.source import RestSource
from connectors.sources.rest.spool import Spool

PAGE = 20  # entries of one answer, the most there may be
VERSION = "20240415"  # of the API
LOG = "api/v2/auditlog"
WHOLE = 100_000  # what the weights of a rollout add up to
FIELDS = {**CHANGES, "changed_at": RecordField(("changed_at",), "epoch_ms")}
RESOURCE = re.compile(r"proj/([^:;]+)[^:]*:env/([^:;]+)[^:]*:flag/([^:;]+)")
# Actions after which a flag may do something else; the entry says what.
STATED = ("updateOn", "updateFallthrough", "updateOffVariation", "updateRules", "updateTargets", "copyFlagConfig")
RIGHTS = "An access token with the built-in role Reader may read the audit log."


class LaunchdarklyOptions(FlagOptions):
    """Options of `type: launchdarkly`."""

    url: str = Field("https://app.launchdarkly.com", description="Address; https://app.eu.launchdarkly.com of the EU.")
    project: str = Field(description="Key of the project, such as default.")
    lookback: Span = Field(
        timedelta(minutes=10), description="How far before the last change to ask again, such as 1h."
    )


class Launchdarkly(RestSource):
    """Changes of flags. The cursor holds the moment of the last one, and which of its look-back are known."""

    Options = LaunchdarklyOptions
    example = (
        '- {name: flags, type: launchdarkly, table: flags, token: "${LAUNCHDARKLY_TOKEN}", project: default, '
        "start: 2026-01-01}"
    )

    def pull(self, cursor: Cursor) -> Iterator[Batch]:
        """Yield changes since the last one. Raises SourceError."""
        options: LaunchdarklyOptions = self.options
        known = set(json.loads(cursor.get("known", "[]")))
        back = round(options.lookback.total_seconds() * 1000)
        last = int(cursor.get("until", 0))
        seen: dict[str, int] = {}
        silent = 0
        with self._client() as client, Spool(options.name, FIELDS, self.now) as spool:
            for entry in self._listed(client, max(last - back, _written(options.begins))):
                key = str(entry.get("_id"))
                if key in seen:
                    continue
                seen[key] = _date(entry)
                if key not in known:
                    rows = self._rows(client, entry)
                    silent += sum(row["is_on"] is None and _states(row["action"]) for row in rows)
                    for row in rows:
                        spool.add(row)
                if spool.full:
                    yield Batch(options.table, spool.take(), dict(cursor))
            if silent:
                self.notes.append(f"{counted(silent, 'change does', 'changes do')} not say what the flag does since.")
            most = max([last, *(date for date in seen.values() if date <= _written(self.now + FUTURE))])
            if not spool.empty or not cursor:
                recent = sorted(key for key, date in seen.items() if date >= most - back)
                done = {"until": str(most), "known": json.dumps(recent)}
                yield Batch(options.table, spool.take(), done, covered=_moment(most) if most else None)

    def probe(self) -> str:
        """Ask for one entry."""
        options: LaunchdarklyOptions = self.options
        with self._client() as client:
            answer = client.get(LOG, {"spec": self._spec(), "limit": 1})
            found = records_of(answer.body, "items", self.where)
        return f"answers; project {options.project}, {'its last change is known' if found else 'no change yet'}"

    def _client(self) -> Client:
        options: LaunchdarklyOptions = self.options
        return Client(
            options.url,
            place=self.place,
            auth=Header("Authorization", options.token.strip()),
            headers={"LD-API-Version": VERSION},
            rights=RIGHTS,
        )

    def _spec(self) -> str:
        options: LaunchdarklyOptions = self.options
        return f"proj/{options.project}:env/{options.environment}:flag/*"

    def _listed(self, client: Client, since: int) -> Iterator[Mapping[str, Any]]:
        """Entries from a moment on, newest first; those at the edge of a page may come twice."""
        before: int | None = None
        while True:
            asked = {"spec": self._spec(), "limit": PAGE, "after": since - 1, "before": before}
            body = client.get(LOG, asked).body
            found: Records = [one for one in records_of(body, "items", self.where) if isinstance(one, Mapping)]
            yield from found
            if not found or (len(found) < PAGE and not at(body, "_links.next.href")):
                return
            # `before` leaves its own moment out, and more of that moment may follow.
            oldest = min(map(_date, found))
            if before is not None and oldest + 1 >= before:  # a page of one moment
                self.notes.append(f"{PAGE} changes or more at {_moment(oldest).isoformat()}: some may be missing.")
                oldest -= 1
            before = oldest + 1

    def _rows(self, client: Client, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
        """A row for each environment in which an entry changed a flag."""
        places: dict[tuple[str, str, str], list[str]] = {}
        for access in entry.get("accesses") or ():
            found = RESOURCE.match(str(access.get("resource", "")))
            if found and self.options.wants(found[2]):
                places.setdefault((found[1], found[2], found[3]), []).append(str(access.get("action", "")))
        version: Mapping[str, Any] = {}
        if any(_states(action) for actions in places.values() for action in actions):
            answer = client.get(f"{LOG}/{entry.get('_id')}", missing=(404,))
            version = at(answer.body, "currentVersion") or {}
        return [self._row(entry, place, actions, version) for place, actions in places.items()]

    def _row(
        self, entry: Mapping[str, Any], place: tuple[str, str, str], actions: list[str], version: Mapping[str, Any]
    ) -> dict[str, Any]:
        project, environment, flag = place
        state = at(version, f"environments.{environment}") if "." not in environment else None
        link = at(entry, "_links.site.href") or f"/{project}/{environment}/features/{flag}"
        return {
            "id": str(entry.get("_id")),
            "project": project,
            "flag": flag,
            "name": entry.get("name"),
            "environment": environment,
            "changed_at": _date(entry),
            "action": ", ".join(dict.fromkeys(actions)),
            "author": at(entry, "member.email") or at(entry, "token.name") or at(entry, "app.name"),
            "comment": entry.get("comment"),
            "url": urljoin(self.options.url, str(link)),
            **_state(version, state if isinstance(state, Mapping) else {}),
        }


def _states(action: str) -> bool:
    """Whether an action, or one of several, may change who gets a flag."""
    return any(part.strip().startswith(STATED) for part in action.split(","))


def _state(version: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    """What a flag does in an environment."""
    on = state.get("on")
    return {
        "is_on": on if isinstance(on, bool) else None,
        "share": _share(version, state),
        "strategy": None,
        "constrained": bool(state.get("rules") or state.get("targets") or state.get("contextTargets"))
        if state
        else None,
    }


def _share(version: Mapping[str, Any], state: Mapping[str, Any]) -> float | None:
    """Percent of those whom no rule and no target names that get another variation than the off one."""
    off = state.get("offVariation")
    if off is None:
        values = [one.get("value") for one in version.get("variations") or ()]
        off = next((index for index, value in enumerate(values) if value is False), None)
    rest = state.get("fallthrough")
    if off is None or not isinstance(rest, Mapping):
        return None
    if isinstance(rest.get("variation"), int):
        return 0.0 if rest["variation"] == off else 100.0
    weights = at(rest, "rollout.variations")
    if not isinstance(weights, list):
        return None
    return sum(100.0 * float(one.get("weight", 0)) / WHOLE for one in weights if one.get("variation") != off)


def _date(entry: Mapping[str, Any]) -> int:
    """When, in milliseconds since 1970; the documentation shows it as a number and as text."""
    return int(entry.get("date") or 0)


def _written(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
