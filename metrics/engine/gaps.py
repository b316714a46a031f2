"""Why a KPI of several datasets is known for less time than one of them: which begins late or ends early, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pandas as pd

from connectors.warehouse.contract import DatasetState
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine import frames, periods
from metrics.engine.query import Scope


@dataclass(frozen=True)
class Gap:
    """One dataset that limits its KPI. text: a sentence; hint: what to write.

    early: it ends before others do; else it begins after them. at: to or from when, on the grain's clock.
    """

    dataset: str
    at: pd.Timestamp
    early: bool
    text: str
    hint: str

    def __str__(self) -> str:
        return f"{self.text}. {self.hint}".rstrip()

    def within(self, start: pd.Timestamp, end: pd.Timestamp) -> bool:
        """Whether a range has periods that are not known because of it."""
        return bool(end > self.at if self.early else start < self.at)


def gaps(kpi: KpiCommon, scope: Scope) -> tuple[Gap, ...]:
    """What makes periods of a KPI incomplete that are complete for another of its datasets, at the scope's grain."""
    names = [name for name in scope.catalogue.datasets_of(kpi) if name in scope.states]
    if len(names) < 2:
        return ()
    grain = "day" if scope.grain == periods.TOTAL else scope.grain
    return (*_ends(names, scope, grain), *_begins(names, scope, grain))


def _ends(names: list[str], scope: Scope, grain: str) -> Iterator[Gap]:
    marks = {name: frames.watermark(scope, (name,), grain) for name in names}
    known = {name: mark for name, mark in marks.items() if mark is not None}
    if not known:
        return
    furthest = max(known, key=lambda name: known[name])
    for name in names:
        if name not in known:
            text = f"nothing is known, for {name} has no rows yet"
            yield Gap(name, pd.Timestamp(0), True, text, f"{_sync(name)} and `since:` at its source in sources.yml.")
        elif _floor(known[name], grain, scope) < _floor(known[furthest], grain, scope):
            text = f"known only to {_last_day(known[name])}, where {name} ends; {furthest} goes on to "
            silent = scope.catalogue.datasets[name].watermark is None and _by_rows(scope.states[name])
            hint = f"{_sync(name)}." if silent else ""
            yield Gap(name, _floor(known[name], grain, scope), True, f"{text}{_last_day(known[furthest])}", hint)


def _begins(names: list[str], scope: Scope, grain: str) -> Iterator[Gap]:
    starts = {name: frames.begins(scope, (name,), grain) for name in names}
    known = {name: start for name, start in starts.items() if start is not None}
    for name, start in known.items():
        if _floor(start, grain, scope) > min(_floor(other, grain, scope) for other in known.values()):
            stated = scope.states[name].since is not None
            text = f"known only from {start:%Y-%m-%d} on, where {name} {'is stated to begin' if stated else 'begins'}"
            hint = "If there was nothing of it before, write `since:` at its source in sources.yml: then it is 0."
            yield Gap(name, start, False, text, "" if stated else hint)


def _floor(at: pd.Timestamp, grain: str, scope: Scope) -> pd.Timestamp:
    return periods.floor(at, grain, scope.week_start_days)


def _last_day(mark: pd.Timestamp) -> str:
    return f"{mark - pd.Timedelta(microseconds=1):%Y-%m-%d}"


def _by_rows(state: DatasetState) -> bool:
    """Whether a dataset is complete to its latest row, or the end of its day."""
    if state.watermark is None or state.last_at is None:
        return False
    return timedelta(0) <= state.watermark - state.last_at <= timedelta(days=1)


def _sync(name: str) -> str:
    return f"If {name} holds all there is whenever it is pulled, write `watermark: sync` in datasets/{name}.yml"
