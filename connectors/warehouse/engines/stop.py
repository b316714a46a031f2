"""How a question to an engine may end before its answer: when its time is over, or when whoever asked says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, Timer

from connectors.errors import KpiError, QueryLimit


class Cancelled(KpiError):
    """Whoever asked does not want the answer any more."""

    code = "cancelled"


class Stop:
    """Of one question, which may take several statements, also at a time. seconds: for each of them; 0 = any time."""

    def __init__(self, seconds: float = 0) -> None:
        self.seconds = seconds
        self._lock = Lock()
        self._cancelled = False
        self._running: list[Callable[[], None]] = []

    def cancel(self) -> None:
        """Stop what runs, in the engine, and all that would follow: its caller gets Cancelled. For any thread."""
        with self._lock:
            self._cancelled = True
            for interrupt in self._running:
                interrupt()

    @contextmanager
    def watching(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """While a statement runs. interrupt: stops it in the engine, from another thread; an error then follows.

        Raises QueryLimit or Cancelled in the place of that error, and Cancelled if that was said before.
        """
        late = False

        def over() -> None:
            nonlocal late
            with self._lock:  # what has ended is not stopped: another's statement may be next on its connection
                if interrupt in self._running:
                    late = True
                    interrupt()

        timer = Timer(self.seconds, over)
        timer.daemon = True
        with self._lock:
            self._refuse_cancelled()
            self._running.append(interrupt)
        try:
            if self.seconds:
                timer.start()
            yield
        except Exception:
            self._refuse_cancelled()
            if late:
                raise too_long(self.seconds) from None
            raise
        except BaseException:  # such as Ctrl-C: nobody waits for it any more
            interrupt()
            raise
        finally:
            timer.cancel()
            with self._lock:
                self._running.remove(interrupt)

    def _refuse_cancelled(self) -> None:
        if self._cancelled:
            raise Cancelled("the question was cancelled", hint="Ask it again when it is wanted.") from None


def too_long(seconds: float) -> QueryLimit:
    """What is said of a question that an engine did not answer in time."""
    return QueryLimit(
        f"the engine did not answer within {seconds:g} s and was told to stop",
        hint="Ask for fewer days, or allow more: `query_timeout` in settings.yml.",
    )
