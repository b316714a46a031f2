"""Where rules stand and what became of them, between the state store's rows and what a judgement says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from connectors.state.alerts import Incident, StandingRow
from metrics.alerts.levels import CRITICAL, SEVERITIES, known_or_none
from metrics.alerts.machine import Standing, State
from metrics.alerts.rules import Rule
from metrics.alerts.together import Failing, side_of, together

if TYPE_CHECKING:  # loaded where something is judged: a sync with nothing new waits for no array
    import pandas as pd

    from metrics.alerts.compared import Opened
    from metrics.alerts.judge import Judgement


@dataclass(frozen=True)
class Found:
    """An incident as this evaluation sees it, with its rule. fresh: whether it opened in it."""

    incident: Incident
    rule: Rule
    judged: Judgement
    fresh: bool

    @property
    def is_open(self) -> bool:
        """Whether it still fails."""
        return self.incident.closed_at is None


def moment(at: datetime | None) -> pd.Timestamp:
    """A moment of the state store, as periods are compared with it."""
    import pandas as pd

    return pd.Timestamp(at)


def grouped(found: Sequence[Found], quiet: Callable[[Incident], bool]) -> list[tuple[Found, list[Found]]]:
    """Incidents that are one: the one that stands for all, and the others. quiet: whether nobody hears of one.

    That is the one that is stored already, else the first of those that are open, else the first.
    """
    groups = together([_failing(one, quiet) for one in found])
    chosen = []
    for places in groups:
        group = [found[place] for place in places]
        host = min(group, key=lambda one: (not one.is_open, not one.incident.id))
        chosen.append((host, [one for one in group if one is not host]))
    return chosen


def _failing(one: Found, quiet: Callable[[Incident], bool]) -> Failing:
    incident = one.incident
    closed = incident.closed_period if incident.closed_at is not None else None
    seen = moment(incident.peak_period or incident.last_period or incident.opened_period)
    return Failing(
        incident.kpi,
        incident.segment,
        moment(incident.opened_period),
        None if closed is None else moment(closed),
        side_of(one.judged, seen),
        quiet(incident),
        one.fresh,
    )


def changed(incident: Incident, old: StandingRow | None, rule: Rule, judged: Judgement) -> bool:
    """Whether an incident dissolved because of its rule, or of when that begins, and not of late data."""
    opened, begins = incident.opened_period, judged.begins
    early = opened is not None and begins is not None and moment(opened) < begins
    return early or (old is not None and old.words != rule.words)


def standing_of(row: StandingRow | None) -> Standing:
    """Where a rule stands, as its machine knows it."""
    if row is None:
        return Standing()
    times = {
        name: None if at is None else moment(at)
        for name, at in (
            ("since", row.since),
            ("last", row.last_period),
            ("opened", row.opened_period),
        )
    }
    state = (
        State(row.state)
        if row.state in (State.OK, State.PENDING, State.FIRING, State.RECOVERING)
        else (State.FIRING if row.severity else State.OK)
    )
    return Standing(state, SEVERITIES.index(row.severity), **times)


def row_of(rule: Rule, judged: Judgement, standing: Standing, sequence: int, now: datetime) -> StandingRow:
    """What is kept of a rule that was judged."""
    value, threshold = None, None
    if len(judged.periods):
        value = known_or_none(float(judged.value[-1]))
        threshold = threshold_of(judged, len(judged.periods) - 1, standing.severity)
    plain: dict[str, Any] = {
        name: at.to_pydatetime() if at is not None else None
        for name, at in (("since", standing.since), ("last_period", standing.last), ("opened_period", standing.opened))
    }
    return StandingRow(
        rule.key,
        judged.segment,
        rule.kpi,
        rule.name,
        standing.state,
        SEVERITIES[standing.severity],
        value=value,
        threshold=threshold,
        words=rule.words,
        why="",
        phase=judged.phase,
        sequence=sequence,
        evaluated_at=now,
        **plain,
    )


def threshold_of(judged: Judgement, index: int, severity: int) -> float | None:
    """The bound that a value is held against: that of its severity, else the one it is beyond or near."""
    critical = known_or_none(float(judged.critical[index]))
    if severity == CRITICAL and critical is not None:
        return critical
    value, low, high = (known_or_none(float(a[index])) for a in (judged.value, judged.low, judged.high))
    if low is None or high is None or value is None:
        return low if low is not None else high
    return low if abs(value - low) <= abs(value - high) else high


def blank(rule: Rule, sequence: int, now: datetime) -> StandingRow:
    """What is kept of a rule that could not be judged yet."""
    return StandingRow(
        rule.key,
        "",
        rule.kpi,
        rule.name,
        State.OK,
        "",
        None,
        None,
        None,
        None,
        None,
        rule.words,
        "",
        "ready",
        sequence,
        now,
    )


def peaked(incident: Incident, judged: Judgement) -> Incident:
    """With the worst value between opening and the last period seen."""
    index = judged.worst(moment(incident.opened_period), moment(incident.last_period))
    if index is None:
        return incident
    value = known_or_none(float(judged.value[index]))
    return replace(incident, peak_period=judged.periods[index].to_pydatetime(), peak_value=value)


def opened_of(incident: Incident, judged: Judgement) -> Opened:
    """An incident's periods, and which way its rule fails at its worst."""
    from metrics.alerts.compared import Opened

    first, last = moment(incident.opened_period), moment(incident.last_period or incident.opened_period)
    return Opened(first, last, side_of(judged, moment(incident.peak_period or last)))
