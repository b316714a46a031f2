"""What was asked of this process: how often, how it ended, how long it took. In memory, for /metrics."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds; the last bucket has no bound


@dataclass
class Times:
    """How long the questions to one address took. counts: by bucket of BOUNDS, each without those below it."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0


class Tallies:
    """Counts by address as it is written in the description: names of KPIs would be endless."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended: Counter[tuple[str, str, int]] = Counter()
        self._times: dict[str, Times] = {}

    def add(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answer."""
        with self._lock:
            self._ended[route, method, status] += 1
            times = self._times.setdefault(route, Times())
            times.counts[bisect_left(BOUNDS, seconds)] += 1
            times.total += seconds

    def ended(self) -> dict[tuple[str, str, int], int]:
        """(address, method, HTTP status) → answers."""
        with self._lock:
            return dict(self._ended)

    def times(self) -> dict[str, Times]:
        """Address → how long its answers took."""
        with self._lock:
            return {route: Times(list(times.counts), times.total) for route, times in self._times.items()}


TALLIES = Tallies()
