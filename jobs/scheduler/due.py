"""When a job is due: by times that recur, by what was done last, and after failures later and later.

Nothing here asks the time or waits, so a clock that jumps is only another `now`: a time that passed meanwhile, or many,
makes a job due once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
AT_NIGHT = time(4, 7)  # of spans of whole days, on the project's clock: what `kpi schedule` says, too
AFTER_HOUR = timedelta(minutes=7)  # of spans of an hour and more: exports are there by then
SKEW = timedelta(minutes=5)  # by which the clocks of two machines differ, or one is set
FIRST_RETRY = timedelta(minutes=1)
LONGEST_RETRY = timedelta(hours=1)


@dataclass(frozen=True)
class Times:
    """Times that recur: every so often, or never. zone: whose midnights bound days."""

    every: timedelta | None
    zone: str = "UTC"

    def last(self, now: datetime) -> datetime | None:
        """The latest one that is not after now."""
        if self.every is None:
            return None
        if self.every % DAY:
            offset = AFTER_HOUR if self.every >= timedelta(hours=1) else timedelta(0)
            return now.astimezone(UTC) - (now - EPOCH - offset) % self.every
        days, today = self.every // DAY, now.astimezone(ZoneInfo(self.zone)).toordinal()
        turn = today - (today - 1) % days  # the first of all days was a Monday
        return self._on(turn) if self._on(turn) <= now else self._on(turn - days)

    def next(self, now: datetime) -> datetime | None:
        """The earliest one that is after now."""
        if (last := self.last(now)) is None or self.every is None:
            return None
        if self.every % DAY:
            return last + self.every
        local = last.astimezone(ZoneInfo(self.zone))
        return self._on(local.toordinal() + self.every // DAY)

    def _on(self, ordinal: int) -> datetime:
        """The time of a day, which summer time moves or not, as an instant."""
        local = datetime.combine(datetime.fromordinal(ordinal), AT_NIGHT, ZoneInfo(self.zone))
        return local.astimezone(UTC)


@dataclass(frozen=True)
class Ran:
    """The last run of a job. ended_at: None while it runs. failures: in a row, this one among them.

    error: what it said where it failed, else empty.
    """

    started_at: datetime
    ended_at: datetime | None = None
    failures: int = 0
    error: str = ""


def next_run(times: Times, ran: Ran | None, done_at: datetime | None, now: datetime) -> datetime | None:
    """When a job runs next: now or earlier where it is due, None where no time is set for it.

    done_at: when somebody else did the same last, such as a sync by hand. What was noted as of minutes later than now
    is of a clock that was wrong, and counts for nothing.
    """
    last, upcoming = times.last(now), times.next(now)
    if last is None or upcoming is None:
        return None
    done = [at for at in (ran.started_at if ran else None, done_at) if at is not None and at <= now + SKEW]
    if ran and ran.failures and ran.ended_at and ran.ended_at <= now + SKEW and all(at <= ran.ended_at for at in done):
        return ran.ended_at + retry_after(times.every, ran.failures)
    return last if not done or max(done) < last else upcoming


def retry_after(every: timedelta | None, failures: int) -> timedelta:
    """How long after its end a job that failed so many times in a row is tried again: twice as long each time."""
    most = max(LONGEST_RETRY, every or timedelta(0))
    return min(FIRST_RETRY * (1 << min(failures - 1, 20)), most)
