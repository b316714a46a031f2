"""Who asks, what that one sees, and how an answer is made: in a thread of a few, of one generation, with its ETag."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from hashlib import sha256
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

from api.limits import Rates
from api.problems import LATER, Refused
from connectors.errors import DamagedData, KpiError, SettingsError, counted
from jobs.access.audience import part_of
from jobs.access.tokens import SCOPES, Token, admitted, known
from jobs.project.as_of import AsOf
from jobs.project.project import Project, open_project

R = TypeVar("R")
AT_ONCE, WAITING = 8, 64  # answers in the making, and those that wait for one to end; more are sent away
RATES = Rates(600, 60.0)
ROOM = CapacityLimiter(AT_ONCE)


class Parameters(BaseModel):
    """The query parameters of a resource: typed, and no other ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Asked:
    """One question. project: as the token sees it; where: the names in the address, of: its checked
    parameters, address: its path."""

    project: Project
    token: Token
    where: Mapping[str, str]
    of: Any
    now: datetime
    address: str


@dataclass(frozen=True)
class Answer:
    """body: JSON. notes: what a reader must know beside it. headers: beside those of every answer."""

    body: Any
    status: int = 200
    notes: Sequence[str] = ()
    headers: Mapping[str, str] | None = None


@cache
def project() -> Project:
    """The served project, opened once. Raises ProjectError, SettingsError."""
    return open_project()


def seen(token: Token) -> Project:
    """The project that a token sees: all that is answered is of it. Raises Refused for a role that is no more."""
    try:
        return _part(token.role)
    except SettingsError as error:
        words = f"the token {token.name} has the role {token.role}, and there is none of that name"
        raise Refused(403, KpiError(words, hint="Create another token: kpi token create.")) from error


@lru_cache(maxsize=64)
def _part(role: str) -> Project:
    return part_of(project(), role)


def bearer(request: Request) -> str:
    """The token that a request shows; empty without one. Cookies of pages open nothing here."""
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    return given.strip() if kind.lower() == "bearer" else ""


def entered(secret: str, scope: str, now: datetime) -> Token:
    """The token that opens this. Raises Refused: 401 for none, 403 for another scope, 429 for too many questions."""
    found = admitted(project().state, secret, scope, now=now)
    if found is None:
        other = known(project().state, secret, now=now)
        if other is None:
            words = "the token is not known, or it has ended" if secret else "this needs a token"
            hint = f"kpi token create NAME --scope {scope}, then Authorization: Bearer …"
            raise Refused(401, KpiError(words, hint=hint), {"www-authenticate": 'Bearer realm="bellwether"'})
        words = f"the token {other.name} may not {SCOPES[scope]}"
        raise Refused(403, KpiError(words, hint=f"It needs the scope {scope}; it has {', '.join(other.scopes)}."))
    wait = RATES.wait(found.name)
    if wait:
        words = f"the token {found.name} asks more than {counted(RATES.most, 'time')} in {RATES.seconds:g} s"
        raise Refused(429, KpiError(words, hint=f"Ask again in {wait} s."), {"retry-after": str(wait)})
    return found


async def in_a_thread(work: Callable[[], R]) -> R:
    """What work gives; no more than AT_ONCE run, no more than WAITING wait. Raises Refused (503) beyond."""
    if ROOM.statistics().tasks_waiting >= WAITING:
        raise Refused(503, KpiError("too many questions at once", hint="Ask again in a moment."), LATER)
    return await to_thread.run_sync(work, limiter=ROOM)


def twice(work: Callable[[], R]) -> R:
    """What work gives; once more where damage was found while reading, as the generation before is whole."""
    try:
        return work()
    except DamagedData as error:
        if not error.again:
            raise
        return work()


def marked(asked: Asked, address: str) -> str:
    """What changes whenever the answer may: generation, definitions, the store, the clock's part, role, question.

    Empty where that is not known: a server's store does not say when it changed.
    """
    opened = asked.project
    if opened.state.path is None:
        return ""
    generation = opened.reader().generation.id if opened.has_data() else ""
    rest = opened.definitions.marks(), opened.sources.mark(), opened.state.mark(), opened.sync_log.read()
    return digest((generation, rest, AsOf(opened)(asked.now), asked.token.role, address))


def digest(what: object) -> str:
    """A short name of what is told apart by its text."""
    return sha256(repr(what).encode()).hexdigest()[:32]
