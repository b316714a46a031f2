"""How many requests an API allows, kept by waiting."""

from __future__ import annotations

import threading
import time
from collections import deque

from connectors.errors import SourceError, counted

LONGEST_WAIT = 300.0  # seconds; beyond it the next sync goes on


class Budget:
    """At most so many requests in any so many seconds, for several such limits at once, over all threads.

    Not a library: the one that keeps such limits (pyrate-limiter) starts a thread for each and loads asyncio, 0.3 s.
    """

    def __init__(self, *limits: tuple[int, float], where: str = "") -> None:
        self._limits, self._where = limits, where
        self._sent: dict[tuple[int, float], deque[float]] = {limit: deque() for limit in limits}
        self._lock = threading.Lock()

    def take(self) -> None:
        """Wait until one more request is allowed, and count it. Raises SourceError if that takes too long."""
        while (wait := self._taken()) > 0:
            if wait > LONGEST_WAIT:
                raise SourceError(
                    f"the API's budget of requests is used up for {counted(round(wait / 60), 'minute')}",
                    where=self._where,
                    hint="The next sync goes on where this one stopped.",
                    retryable=True,
                )
            time.sleep(wait)

    def _taken(self) -> float:
        """0 and counted, or how many seconds to wait."""
        with self._lock:
            now, wait = time.monotonic(), 0.0
            for (count, seconds), sent in self._sent.items():
                while sent and sent[0] <= now - seconds:
                    sent.popleft()
                if len(sent) >= count:
                    wait = max(wait, sent[0] + seconds - now)
            if wait <= 0:
                for sent in self._sent.values():
                    sent.append(now)
            return wait


_shared: dict[tuple[object, ...], Budget] = {}


def shared(api: str, key: str, *limits: tuple[int, float]) -> Budget:
    """One for all that this process asks of an API with a key: an hour outlasts a pull, and sources may share a key."""
    return _shared.setdefault((api, key, limits), Budget(*limits, where=api))
