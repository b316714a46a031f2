"""What the pages show: one generation, one reading of the files, the acts so far. What comes after it is made ready."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

KNOWN = timedelta(seconds=1)  # how long a look is believed: a rerun asks several times, and looking stats every file
EVERY = timedelta(seconds=0.4)  # how often the watcher looks, so that no rerun has to
READY = timedelta(seconds=5)  # the longest that what is new is kept back while its views are made
ASKED = timedelta(minutes=2)  # nobody asked for so long: the next one looks for himself
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shown:
    """What a look found.

    mark: changes whenever a view may. files: of the definitions and sources. bound: within it, all is read of this
    generation. warnings: what is wrong with the data folder.
    """

    mark: str = ""
    files: Hashable = None
    bound: Callable[[], AbstractContextManager[None]] = nullcontext
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Look:
    """What was found, and the moment of the monotonic clock until which it is believed."""

    shown: Shown = Shown()
    until: float = -math.inf


class Live:
    """All sessions' answer to: what is live?

    look: finds out. ready: makes the views of what is new, given what was shown, what will be, and until when it may.
    """

    def __init__(self, look: Callable[[], Shown], ready: Callable[[Shown, Shown, float], None]) -> None:
        self._look, self._ready = look, ready
        self._lock = threading.Lock()
        self._last = _Look()
        self._asked = -math.inf

    def shown(self) -> Shown:
        """What pages show now. Raises what `look` does."""
        last, now = self._last, time.monotonic()
        self._asked = now
        if now < last.until:
            return last.shown
        found = self._look()
        self._replace(last, _Look(found, now + KNOWN.total_seconds()))
        return found

    def changed(self) -> None:
        """Whoever asks next looks: this session has just changed something, and wants to see it."""
        with self._lock:
            self._last = _Look()

    def step(self) -> None:
        """Look, and go over to what is new when its views are made; to an edited file at once. Raises as look."""
        last, now = self._last, time.monotonic()
        if now - self._asked > ASKED.total_seconds():
            return
        found = self._look()
        if last.shown.mark not in ("", found.mark) and last.shown.files == found.files:
            until = now + READY.total_seconds()
            kept_back = _Look(last.shown, until)
            if not self._replace(last, kept_back):
                return
            self._ready(last.shown, found, until)
            last = kept_back
        self._replace(last, _Look(found, time.monotonic() + KNOWN.total_seconds()))

    def watch(self) -> None:
        """Step for ever, in a thread of its own."""
        threading.Thread(target=self._forever, name="live", daemon=True).start()

    def _forever(self) -> None:
        while True:
            time.sleep(EVERY.total_seconds())
            try:
                self.step()
            except Exception:  # whoever asks next looks for himself, and is told
                log.debug("what is live could not be found out", exc_info=True)

    def _replace(self, last: _Look, new: _Look) -> bool:
        """Unless somebody else has looked meanwhile, or changed something."""
        with self._lock:
            if self._last is not last:
                return False
            self._last = new
            return True
