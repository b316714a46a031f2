"""Who is told when: over random times, acknowledgements and silences nobody hears anything twice too soon."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from metrics.alerts.notification_policy import NotificationState, notification_due
from tests.sampling import sampled

STEP = st.tuples(st.integers(0, 2000), st.sampled_from([1, 2]), st.booleans(), st.booleans())  # minutes, severity, …


@sampled(fast=150, slow=2000, full=20_000)
@given(st.lists(STEP, max_size=30), st.one_of(st.none(), st.integers(1, 3000)))
def test_nobody_is_told_twice_before_it_is_time(steps: list[tuple[int, int, bool, bool]], after: int | None) -> None:
    now, told, severity, acknowledged = datetime(2026, 11, 1, tzinfo=UTC), NotificationState(), 0, False
    wait = None if after is None else timedelta(minutes=after)
    last: dict[str, datetime] = {}
    for minutes, worse, ack, silenced in steps:
        now += timedelta(minutes=minutes)
        severity, acknowledged = max(severity, worse), acknowledged or ack
        event = notification_due(severity, told, now, silenced=silenced, acknowledged=acknowledged, renotify_after=wait)
        if not event:
            missing = told.at is None and not acknowledged and not silenced
            worse_now = told.at is not None and severity > told.severity and not silenced
            assert not missing and not worse_now, "nothing new is kept back"
            continue
        assert not silenced
        if event == "opened":
            assert told.at is None and not acknowledged
        if event == "escalated":
            assert "escalated" not in last and severity > told.severity, "it gets critical once"
        if event == "reminder":
            assert wait is not None and told.at is not None and now - told.at >= wait and not acknowledged
        last[event] = now
        told = NotificationState(severity, now)
