"""The state machine of one rule and segment: ok → pending → firing → recovering → ok, in complete periods.

Pure. Only periods that were not judged before can open an incident, so late data never pages twice; what it dissolves
is closed and marked so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from metrics.alerts.judge import Judgement


class State(StrEnum):
    """Where a rule stands. stale and error are told by what is around it: its data is late, it cannot be computed."""

    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"
    NO_DATA = "no_data"
    STALE = "stale"
    ERROR = "error"


class Kind(StrEnum):
    """What happened to an incident."""

    OPENED = "opened"
    ESCALATED = "escalated"
    ONGOING = "ongoing"
    RESOLVED = "resolved"
    DISSOLVED = "dissolved"


@dataclass(frozen=True)
class Standing:
    """One rule and segment by now. severity: 0 = no open incident. since: first period of the state.

    last: the latest period judged. opened: period of the open incident.
    """

    state: State = State.OK
    severity: int = 0
    since: pd.Timestamp | None = None
    last: pd.Timestamp | None = None
    opened: pd.Timestamp | None = None


@dataclass(frozen=True)
class Event:
    """Something to record. severity: after it, or before where it ended the incident."""

    kind: Kind
    period: pd.Timestamp
    severity: int
    state: State


def advance(standing: Standing, judged: Judgement) -> tuple[Standing, list[Event]]:
    """Judge every period after `standing.last` in order, after a look whether late data dissolved what is open."""
    events: list[Event] = []
    if standing.severity and standing.opened is not None and standing.last is not None and _dissolved(standing, judged):
        events.append(Event(Kind.DISSOLVED, standing.last, standing.severity, State.OK))
        standing = Standing(State.OK, since=standing.last, last=standing.last)
    index = 0 if standing.last is None else int(judged.periods.searchsorted(standing.last, side="right"))
    level, hold, sustained, known = (a.tolist() for a in (judged.level, judged.hold, judged.sustained, judged.known))
    raised = judged.sustained.nonzero()[0]
    while index < len(level):
        if not standing.severity:
            ahead = int(raised.searchsorted(index))
            end = int(raised[ahead]) if ahead < len(raised) else len(level)
            standing, index = _calm(standing, judged.periods, level, known, index, end), end
            if index == len(level):
                break
        standing, event = step(
            standing, judged.periods[index], int(level[index]), int(hold[index]), int(sustained[index]), known[index]
        )
        events += [event] if event is not None else []
        index += 1
    return standing, events


def _calm(
    standing: Standing, periods: pd.DatetimeIndex, level: list[int], known: list[bool], start: int, end: int
) -> Standing:
    """The state after periods that raise nothing: only the last ones are looked at."""
    if start == end:
        return standing
    states = [
        State.NO_DATA if not seen else State.PENDING if bad else State.OK
        for bad, seen in zip(level[start:end], known[start:end], strict=True)
    ]
    first = len(states) - 1
    while first and states[first - 1] == states[-1]:
        first -= 1
    before = standing.since if first == 0 and standing.state == states[-1] else None
    return Standing(states[-1], 0, before or periods[start + first], periods[end - 1])


def step(
    standing: Standing, period: pd.Timestamp, level: int, hold: int, sustained: int, known: bool
) -> tuple[Standing, Event | None]:
    """One period. An unknown one neither opens nor closes anything."""
    if standing.severity:
        return _firing(standing, period, level, hold, sustained, known)
    if sustained:
        opened = Standing(State.FIRING, sustained, period, period, period)
        return opened, Event(Kind.OPENED, period, sustained, State.FIRING)
    state = State.NO_DATA if not known else State.PENDING if level else State.OK
    since = standing.since if standing.state == state else period
    return Standing(state, 0, since, period), None


def _firing(
    standing: Standing, period: pd.Timestamp, level: int, hold: int, sustained: int, known: bool
) -> tuple[Standing, Event]:
    if not known:
        return replace(standing, last=period), Event(Kind.ONGOING, period, standing.severity, standing.state)
    if not level and not hold:
        return Standing(State.OK, since=period, last=period), Event(Kind.RESOLVED, period, standing.severity, State.OK)
    severity = max(sustained, min(standing.severity, max(level, hold)))
    state = State.FIRING if level else State.RECOVERING
    since = standing.since if state == standing.state else period
    kind = Kind.ESCALATED if severity > standing.severity else Kind.ONGOING
    return replace(standing, state=state, severity=severity, since=since, last=period), Event(
        kind, period, severity, state
    )


def _dissolved(standing: Standing, judged: Judgement) -> bool:
    """Whether no period of the open incident would raise it as the values are now. A gap dissolves nothing.

    One that opened before its rule begins is none.
    """
    if judged.begins is not None and standing.opened is not None and standing.opened < judged.begins:
        return True
    inside = (judged.periods >= standing.opened) & (judged.periods <= standing.last)
    return bool(inside.any()) and bool(judged.known[inside].any()) and not judged.sustained[inside].any()
