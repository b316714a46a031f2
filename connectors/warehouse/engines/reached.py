"""An engine that is connected to when it is asked first, and again where its connection was lost."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, TypeVar

import tenacity

from connectors.errors import EngineFailed, WarehouseError
from connectors.warehouse.contract import Columns
from connectors.warehouse.engines.contract import ConnectionLost, Engine
from connectors.warehouse.engines.cost import Cost
from connectors.warehouse.engines.files import Files, FilesLacking
from connectors.warehouse.engines.leaving import close_all, close_when_left
from connectors.warehouse.engines.opening import NO_FILES, dialect_of, open_engine
from connectors.warehouse.engines.shapes import place
from connectors.warehouse.engines.stop import Stop

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)
T = TypeVar("T")
PROBE = "SELECT 1 AS answers"
# What is the same however often it is asked.
FINAL = re.compile(r"password|authentication|denied|not permitted|(?:role|database) \S+ does not exist", re.IGNORECASE)
FULL = re.compile(r"no space left|disk full|not enough space", re.IGNORECASE)
LOST_HINT = "What was published is as it was, and pages show it. Look whether the engine runs; the next sync goes on."


@dataclass(frozen=True)
class Patience:
    """How often an engine is asked that does not answer, and after how many seconds; each pause is twice the last.

    rest: seconds in which an engine that did not answer is not tried again.
    """

    attempts: int
    pause: float
    rest: float


SYNC = Patience(attempts=4, pause=0.5, rest=math.inf)  # one that is lost has lost this sync
PAGES = Patience(attempts=2, pause=0.0, rest=30.0)  # somebody waits


class _Lost(Exception):
    """The connection, not the statement."""


class ReachedEngine:
    """The Engine at a URL; nothing is connected before it is asked. Threads may share it.

    A statement that fails is the definition's fault where the engine answers another one after it, unless it knows that
    the connection was lost; where it does not answer, it is connected to anew and asked again.
    """

    def __init__(
        self, url: str, session: Mapping[str, Sequence[str]], patience: Patience, files: Files = NO_FILES
    ) -> None:
        """session: dialect → statements that its sessions begin with; files: tables besides the engine's own.

        Raises SettingsError for a URL of no engine.
        """
        self.dialect = dialect_of(url)
        self._url, self._session, self._patience, self._files = url, session, patience, files
        self._lock = RLock()
        self._engine: list[Engine] = []  # the one that is connected; let go of with this, too
        close_when_left(self, self._engine)
        self._failed: tuple[float, EngineFailed] | None = None

    @property
    def place(self) -> str:
        """See shapes.place."""
        return place(self._url)

    @property
    def failed(self) -> EngineFailed | None:
        """Why it is not asked any more, or not for a while."""
        with self._lock:
            if self._failed is not None and time.monotonic() - self._failed[0] >= self._patience.rest:
                self._failed = None
            return self._failed[1] if self._failed else None

    def frame(self, sql: str, stop: Stop | None = None) -> pd.DataFrame:
        """The rows of one SELECT. Raises WarehouseError, QueryLimit, Cancelled; EngineFailed if it does not answer."""
        return self._asked(lambda engine: engine.frame(sql, stop))

    def cost(self, sql: str, stop: Stop | None = None) -> Cost | None:
        """What a SELECT would read, where the engine tells. Raises as `frame`."""
        return self._asked(lambda engine: engine.cost(sql, stop))

    def columns(self, sql: str) -> Columns:
        """Columns of one SELECT. Raises WarehouseError, EngineFailed."""
        return self._asked(lambda engine: engine.columns(sql))

    def tables(self) -> Mapping[str, Columns]:
        """Its tables, with their columns. Raises WarehouseError, EngineFailed."""
        return self._asked(lambda engine: engine.tables())

    def gone(self, message: str, hint: str) -> EngineFailed:
        """Ask it no more, or not for a while, for this reason."""
        failed = EngineFailed(message, hint=hint)
        with self._lock:
            self._failed = time.monotonic(), failed
        return failed

    def close(self) -> None:
        """Let go of the connection, if there is one."""
        with self._lock:
            close_all(self._engine)

    def _asked(self, ask: Callable[[Engine], T]) -> T:
        if (failed := self.failed) is not None:
            raise failed
        p = self._patience
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Lost),
            stop=tenacity.stop_after_attempt(p.attempts),
            wait=tenacity.wait_exponential(multiplier=p.pause) if p.pause else tenacity.wait_none(),
            reraise=True,
        )
        try:
            found: T = retrying(self._once, ask)
            return found
        except _Lost as lost:
            raise self.gone(f"the engine does not answer: {lost}", LOST_HINT) from None
        except FilesLacking as error:
            raise self.gone(error.message, error.hint) from None
        except WarehouseError as error:
            if FULL.search(error.message):
                hint = "What was published is as it was. Make room where the engine runs, and sync again."
                raise self.gone(f"the engine's disk is full: {error.message}", hint) from None
            raise

    def _once(self, ask: Callable[[Engine], T]) -> T:
        engine = self._opened()
        try:
            return ask(engine)
        except WarehouseError as error:
            if not isinstance(error, ConnectionLost) and self._answers(engine):
                raise
            self._let_go(engine)
            log.warning("the connection to the engine was lost", exc_info=error)
            raise _Lost(error.message) from None

    def _opened(self) -> Engine:
        with self._lock:
            if not self._engine:
                try:
                    self._engine.append(open_engine(self._url, self._session, self._files))
                except WarehouseError as error:
                    if FINAL.search(error.message):
                        raise self.gone(f"the engine lets nobody in: {error.message}", LOST_HINT) from None
                    raise _Lost(error.message) from None
            return self._engine[0]

    def _answers(self, engine: Engine) -> bool:
        try:
            engine.frame(PROBE)
        except WarehouseError:
            return False
        return True

    def _let_go(self, engine: Engine) -> None:
        with self._lock:
            if engine in self._engine:  # another thread may have connected anew already
                self.close()
