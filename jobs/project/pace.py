"""How much longer a sync takes, by how long each of its steps took the last time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from connectors.errors import counted

LEAST = 5.0  # seconds before a first sync, of which nothing is known, says how long it takes
SURE = 0.5  # seconds of the last time that say how much slower or faster it is now
RATES = (0.1, 100.0)  # a sync of everything is as much slower than one of a day
SOON = 10.0  # seconds; below them nobody counts

T = TypeVar("T")


@dataclass(frozen=True)
class Progress:
    """One step of a running sync, for a bar or a status line. left: seconds to its end, as far as one can know."""

    done: int
    total: int
    text: str
    left: float | None = None

    @property
    def step(self) -> str:
        """What it does, without how far it is."""
        return self.text.split(":", 1)[0]


class Pace:
    """Times the steps of one run. before: step → seconds, of the last one."""

    def __init__(self, before: Mapping[str, float], clock: Callable[[], float] = time.monotonic) -> None:
        self._before, self._clock = before, clock
        self._began = self._since = clock()
        self._step = ""
        self.took: dict[str, float] = {}

    def timed(self, steps: Iterator[Progress | T]) -> Iterator[Progress | T]:
        """The same steps, each with what is left; `took` is known at their end."""
        for step in steps:
            yield self._reached(step) if isinstance(step, Progress) else step
        self._end(self._clock())

    def _reached(self, step: Progress) -> Progress:
        now = self._clock()
        if step.step != self._step:
            self._end(now)
            self._step, self._since = step.step, now
        return replace(step, left=self._left(now, step))

    def _end(self, now: float) -> None:
        if self._step:
            self.took[self._step] = self.took.get(self._step, 0.0) + now - self._since

    def _left(self, now: float, step: Progress) -> float | None:
        if not self._before:
            elapsed = now - self._began
            return elapsed * (step.total - step.done) / step.done if step.done and elapsed >= LEAST else None
        again = [name for name in self.took if name in self._before]
        then, spent = sum(self._before[name] for name in again), sum(self.took[name] for name in again)
        rate = min(max(spent / then, RATES[0]), RATES[1]) if then >= SURE else 1.0
        ahead = sum(took for name, took in self._before.items() if name not in self.took and name != self._step)
        here = rate * self._before.get(self._step, 0.0) - (now - self._since)
        return rate * ahead + max(0.0, here)


def time_left(seconds: float | None) -> str:
    """`about 3 minutes left`; empty where nobody knows."""
    if seconds is None:
        return ""
    if seconds < SOON:
        return "a few seconds left"
    if seconds < 90:
        return f"about {counted(10 * round(seconds / 10), 'second')} left"
    return f"about {counted(round(seconds / 60), 'minute')} left"
