"""A question that is asked in a thread of its own, so that whoever waits for it can have it stopped in the engine."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import ContextVar
from threading import Thread
from typing import Generic, TypeVar

from connectors.warehouse.engines.guarded import stoppable
from connectors.warehouse.engines.stop import Cancelled, Stop

R = TypeVar("R")
_within: ContextVar[bool] = ContextVar("within", default=False)


def asked_within() -> bool:
    """Whether this thread is one that asks: what it asks in turn is part of that."""
    return _within.get()


class Asking(Generic[R]):
    """One question, from when it is asked on.

    ask: gives the answer; seconds: most time of each of its statements; begun: what the thread needs before it starts.
    """

    def __init__(self, ask: Callable[[], R], seconds: float, begun: Callable[[Thread], object]) -> None:
        self._ask, self._stop, self._since = ask, Stop(seconds), time.monotonic()
        self._answer: Future[R] = Future()
        thread = Thread(target=self._run, daemon=True)
        begun(thread)
        thread.start()

    @property
    def seconds(self) -> float:
        """Since it was asked."""
        return time.monotonic() - self._since

    def answered(self, wait: float) -> bool:
        """Whether it is answered, or failed, within so many seconds."""
        try:
            self._answer.exception(wait)
        except TimeoutError:
            return False
        return True

    def cancel(self) -> None:
        """Stop it, in the engine; nothing where it is answered already."""
        if not self._answer.done():
            self._stop.cancel()

    def cancelled(self) -> bool:
        """Whether it ended because somebody did not want it any more: this reader, or another who asked the same."""
        return isinstance(self._answer.exception(), Cancelled)

    def answer(self) -> R:
        """The answer, waited for. Raises what asking raised."""
        return self._answer.result()

    def _run(self) -> None:
        _within.set(True)
        try:
            with stoppable(self._stop):
                self._answer.set_result(self._ask())
        except BaseException as error:  # told by whoever waits
            self._answer.set_exception(error)
