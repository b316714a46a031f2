"""When a job is due: generated clocks, zones, spans and jumps, against what the words in operations.md say."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.scheduler.due import AT_NIGHT, Ran, Times, next_run, retry_after
from tests.sampling import sampled

ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca")
SPANS = [timedelta(minutes=m) for m in (1, 7, 15, 30, 60, 90, 420, 720, 1440, 2880, 10080, 36 * 60)]
SUMMER = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)  # the clocks of Berlin go from 2:00 to 3:00 at 1:00 UTC


def some_times(rng: random.Random) -> tuple[Times, datetime]:
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=rng.randrange(365 * 86400))
    return Times(rng.choice(SPANS), rng.choice(ZONES)), now


@sampled(fast=60, slow=300, full=3000)
@given(st.randoms(use_true_random=False))
def test_times_recur_without_gap_or_overlap(rng: random.Random) -> None:
    times, now = some_times(rng)
    last, upcoming = times.last(now), times.next(now)
    assert last is not None and upcoming is not None and times.every is not None
    assert last <= now < upcoming
    assert times.last(upcoming) == upcoming and times.next(last) == upcoming
    assert times.last(upcoming - timedelta(microseconds=1)) == last
    assert abs((upcoming - last) - times.every) <= timedelta(hours=1 if not times.every % timedelta(days=1) else 0)
    if not times.every % timedelta(days=1) and times.zone != "Pacific/Apia":
        assert upcoming.astimezone(ZoneInfo(times.zone)).time() == AT_NIGHT


@sampled(fast=30, slow=100, full=1000)
@given(st.randoms(use_true_random=False))
def test_what_was_missed_is_done_once(rng: random.Random) -> None:
    """A scheduler that looks at random moments, is away for a while, and whose clock jumps: never two for one time."""
    times, now = some_times(rng)
    ran: Ran | None = None
    runs: list[datetime] = []
    end = now + 20 * (times.every or timedelta(0))
    while now < end:
        at = next_run(times, ran, None, now)
        assert at is not None
        if at <= now:
            runs.append(now)
            ran = Ran(now, now)
            again = next_run(times, ran, None, now)
            assert again is not None and again > now and again == times.next(now)
        now += rng.choice([0.01, 0.3, 0.9, 1.5, 6.0]) * (times.every or timedelta(0))
    reached = {times.last(at) for at in runs}
    assert len(reached) == len(runs), "each run is of another time"


def test_a_daily_sync_follows_summer_time() -> None:
    berlin = Times(timedelta(days=1), "Europe/Berlin")
    assert berlin.last(SUMMER) == datetime(2026, 3, 28, 3, 7, tzinfo=UTC)
    assert berlin.next(SUMMER) == datetime(2026, 3, 29, 2, 7, tzinfo=UTC)
    assert berlin.next(datetime(2026, 10, 24, 12, tzinfo=UTC)) == datetime(2026, 10, 25, 3, 7, tzinfo=UTC)


def test_a_clock_that_was_ahead_stops_nothing() -> None:
    """What was noted years ahead by a wrong clock does not keep the job waiting for years."""
    times, now = Times(timedelta(hours=1)), datetime(2026, 11, 28, 12, 30, tzinfo=UTC)
    later = now + timedelta(days=2000)
    due = next_run(times, Ran(later, later), later, now)
    assert due is not None and due <= now
    near = now + timedelta(minutes=1)  # of another machine, or before the clock was set: nothing is done twice
    assert next_run(times, Ran(near, near), near, now) == times.next(now)
    failed = next_run(times, Ran(later, later, 5, "it failed"), None, now)
    assert failed is not None and failed <= now


@pytest.mark.parametrize("every", [timedelta(minutes=15), timedelta(hours=6), timedelta(days=1)])
def test_a_failure_is_tried_again_later_and_later(every: timedelta) -> None:
    ended = datetime(2026, 11, 28, 4, 10, tzinfo=UTC)
    waits = []
    for failures in range(1, 30):
        at = next_run(Times(every), Ran(ended, ended, failures, "it failed"), None, ended)
        assert at is not None
        waits.append(at - ended)
    assert waits[0] == timedelta(minutes=1) and waits == sorted(waits)
    assert waits[-1] == max(timedelta(hours=1), every)
    assert all(b <= 2 * a for a, b in pairwise(waits))
    assert retry_after(every, 10**9) == waits[-1]


def test_a_sync_by_hand_counts() -> None:
    times, now = Times(timedelta(hours=1)), datetime(2026, 11, 28, 12, 30, tzinfo=UTC)
    assert next_run(times, None, now - timedelta(minutes=5), now) == datetime(2026, 11, 28, 13, 7, tzinfo=UTC)
    failed = Ran(now - timedelta(minutes=20), now - timedelta(minutes=19), 3, "it failed")
    assert next_run(times, failed, now - timedelta(minutes=5), now) == datetime(2026, 11, 28, 13, 7, tzinfo=UTC)
    assert next_run(Times(None), None, None, now) is None, "sync_every: never"
