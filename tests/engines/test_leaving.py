"""A connection that nobody holds any more is closed, but never by whoever the garbage collector interrupts."""

from __future__ import annotations

import gc
from threading import Event, Lock
from typing import Any, cast

from connectors.warehouse.engines.contract import Engine
from connectors.warehouse.engines.leaving import close_when_left


class Client:
    """What closing needs is held by a call that is in work: as the channel of a client is."""

    def __init__(self, held: Lock, closed: Event) -> None:
        self._held, self._closed = held, closed

    def close(self) -> None:
        if self._held.acquire(timeout=10):
            self._held.release()
            self._closed.set()


class Owner:
    """One that only the collector finds, for it holds itself."""

    def __init__(self) -> None:
        self.itself: Any = self


def test_a_call_that_the_collector_interrupts_goes_on() -> None:
    held, closed = Lock(), Event()
    owner = Owner()
    close_when_left(owner, [cast("Engine", Client(held, closed))])
    with held:  # in the middle of a call
        del owner
        gc.collect()
        assert not closed.is_set()
    assert closed.wait(5)
