"""The state machine against a plain transition table, and against itself over generations with late data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, seed
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from metrics.alerts.judge import Judgement
from metrics.alerts.machine import Event, Kind, Standing, State, advance
from metrics.alerts.replay import in_words, incidents
from tests.sampling import SEED, cases, limits, sampled

FIRST = pd.Timestamp("2026-01-01")
UNKNOWN = (0, 0, False)
# What one period may say alone: (level, hold, known). hold ≥ level: between a threshold and its recovery only hold.
SAYS = [(0, 0, True), (0, 1, True), (0, 2, True), (1, 1, True), (1, 2, True), (2, 2, True), UNKNOWN]


def judged(says: list[tuple[int, int, bool]], count: int) -> Judgement:
    """A series of such periods, with the sustained level counted here by a loop of its own."""
    level = [s[0] for s in says]
    sustained = [min(level[max(0, i - count + 1) : i + 1]) if i + 1 >= count else 0 for i in range(len(level))]
    size = len(says)
    blank = np.full(size, np.nan)
    return Judgement(
        "",
        pd.date_range(FIRST, periods=size),
        np.array(level, dtype=float),
        np.full(size, 10.0),
        np.array(level, dtype=float),
        np.array([s[1] for s in says], dtype=float),
        np.array(sustained, dtype=float),
        np.array([s[2] for s in says], dtype=bool),
        blank,
        blank,
        blank,
        np.array(level, dtype=float),
        blank,
    )


def table(says: list[tuple[int, int, bool]], count: int) -> list[tuple[int, str, int, str]]:
    """The transition table, read line by line over one series: (day, event, severity, state)."""
    found, severity = [], 0
    for day, (level, hold, known) in enumerate(says):
        run = [s[0] for s in says[max(0, day - count + 1) : day + 1]]
        together = min(run) if len(run) == count else 0
        if severity == 0 and together == 0:
            continue
        if severity == 0:
            severity = together
            found.append((day, "opened", severity, "firing"))
        elif not known:
            found.append((day, "ongoing", severity, ""))
        elif level == 0 and hold == 0:
            found.append((day, "resolved", severity, "ok"))
            severity = 0
        elif together > severity:
            severity = together
            found.append((day, "escalated", severity, "firing"))
        else:
            severity = min(severity, max(level, hold))
            found.append((day, "ongoing", severity, "firing" if level else "recovering"))
    return found


def plain(events: list[Event]) -> list[tuple[int, str, int, str]]:
    return [((e.period - FIRST).days, str(e.kind), e.severity, str(e.state)) for e in events]


@sampled(fast=100, slow=1000, full=10_000)
@given(st.lists(st.sampled_from(SAYS), max_size=40), st.integers(1, 4))
def test_a_replay_is_the_transition_table(says: list[tuple[int, int, bool]], count: int) -> None:
    told = plain(advance(Standing(), judged(says, count))[1])
    wanted = table(says, count)
    assert [t[:3] for t in told] == [w[:3] for w in wanted]
    assert all(t[3] == w[3] for t, w in zip(told, wanted, strict=True) if w[3])


@sampled(fast=100, slow=1000, full=10_000)
@given(st.lists(st.sampled_from(SAYS), min_size=1, max_size=40), st.integers(1, 4), st.data())
def test_in_steps_or_at_once_is_the_same(says: list[tuple[int, int, bool]], count: int, data: Any) -> None:
    whole = judged(says, count)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(says)))))
    standing, events = Standing(), []
    for cut in [*cuts, len(says)]:
        standing, new = advance(standing, judged(says[:cut], count))
        events += new
    assert plain(events) == plain(advance(Standing(), whole)[1])
    assert standing == advance(Standing(), whole)[0]


class LateData(RuleBasedStateMachine):
    """Generations that add periods and restate old ones; after each the rule is evaluated, as a sync does."""

    @initialize(count=st.integers(1, 3))
    def start(self, count: int) -> None:
        self.count = count
        self.says: list[tuple[int, int, bool]] = []
        self.standing = Standing()
        self.generations: list[list[tuple[int, int, bool]]] = []
        self.events: list[tuple[int, Event]] = []

    def evaluate(self) -> None:
        self.generations.append(list(self.says))
        self.standing, events = advance(self.standing, judged(self.says, self.count))
        self.events += [(len(self.generations), event) for event in events]

    @rule(more=st.lists(st.sampled_from(SAYS), min_size=1, max_size=4))
    def new_periods(self, more: list[tuple[int, int, bool]]) -> None:
        self.says += more
        self.evaluate()

    @rule(at=st.integers(0, 200), now=st.sampled_from(SAYS))
    def late(self, at: int, now: tuple[int, int, bool]) -> None:
        if self.says:
            self.says[at % len(self.says)] = now
            self.evaluate()

    @rule()
    def evaluated_again(self) -> None:
        before = len(self.events)
        if self.generations:
            self.evaluate()
            assert len(self.events) == before, "the same generation twice says nothing new"

    @invariant()
    def at_most_one_is_open(self) -> None:
        open_ = 0
        for _, event in getattr(self, "events", []):
            if event.kind is Kind.OPENED:
                assert open_ == 0
                open_ = 1
            elif event.kind in (Kind.RESOLVED, Kind.DISSOLVED):
                assert open_ == 1
                open_ = 0

    @invariant()
    def nothing_fires_without_its_periods(self) -> None:
        for generation, event in getattr(self, "events", []):
            if event.kind is Kind.OPENED:
                day = (event.period - FIRST).days
                known = self.generations[generation - 1]
                assert day + 1 >= self.count
                assert all(known[i][0] >= event.severity for i in range(day - self.count + 1, day + 1))

    @invariant()
    def only_new_periods_page(self) -> None:
        days = [(e.period - FIRST).days for _, e in getattr(self, "events", []) if e.kind is Kind.OPENED]
        assert days == sorted(set(days)), "an old period never opens a second incident"

    @invariant()
    def replay_as_of_each_generation_is_what_was_live(self) -> None:
        standing, events = Standing(), []
        for generation, says in enumerate(getattr(self, "generations", []), start=1):
            standing, new = advance(standing, judged(says, self.count))
            events += [(generation, event) for event in new]
        assert events == getattr(self, "events", [])


HISTORIES = cases(fast=20, slow=200, full=2000)


@pytest.mark.sampled(HISTORIES)
class TestLateData(LateData.TestCase):  # type: ignore[valid-type,misc]
    settings = limits(HISTORIES, stateful_step_count=25)


seed(SEED)(LateData)


def test_late_data_that_takes_the_reason_away_dissolves_the_incident() -> None:
    standing, events = advance(Standing(), judged([(0, 0, True), (2, 2, True)], 1))
    assert plain(events) == [(1, "opened", 2, "firing")]
    standing, events = advance(standing, judged([(0, 0, True), (0, 0, True)], 1))
    assert plain(events) == [(1, "dissolved", 2, "ok")]
    assert standing.state is State.OK
    assert advance(standing, judged([(0, 0, True), (2, 2, True)], 1))[1] == [], "and restating it again pages nobody"


def test_an_old_period_that_turns_bad_pages_nobody() -> None:
    standing, _ = advance(Standing(), judged([(0, 0, True)] * 5, 1))
    assert advance(standing, judged([(0, 0, True), (2, 2, True), *[(0, 0, True)] * 3], 1))[1] == []


def test_incidents_of_a_replay_in_words() -> None:
    good, bad = (0, 0, True), (2, 2, True)
    says = [good, bad, good, bad, bad, good, bad]
    found = incidents(judged(says, 1))
    assert [(i.opened.day, i.closed.day if i.closed is not None else None, i.length) for i in found] == [
        (2, 3, 1),
        (4, 6, 2),
        (7, None, 1),
    ]
    assert in_words(found, "day", "last year") == "3 incidents last year, 1 of one day only, 1 still open."
    assert in_words([], "day", "last year") == "No incident last year."


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_a_word(state: State) -> None:
    from metrics.alerts.board import STATES

    assert STATES[state]
