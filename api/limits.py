"""How often a token may ask: in the memory of this process, as it is kept up by nobody else."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable


class Rates:
    """A bucket for each name that fills evenly. most: questions in so many seconds, and all at once at the most."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.most, self.seconds, self._clock = most, seconds, clock
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float]] = {}

    def wait(self, name: str) -> int:
        """Count a question; 0 if it may be asked, else the seconds until one may."""
        with self._lock:
            now, rate = self._clock(), self.most / self.seconds
            left, since = self._left.get(name, (float(self.most), now))
            left = min(float(self.most), left + (now - since) * rate)
            good = left >= 1
            self._left[name] = (left - 1 if good else left, now)
            return 0 if good else max(1, math.ceil((1 - left) / rate))
