"""An engine for questions that somebody waits for: with a time limit, and not beyond a cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.errors import WarehouseError
from connectors.warehouse.contract import Columns
from connectors.warehouse.engines.contract import Engine
from connectors.warehouse.engines.cost import Cost
from connectors.warehouse.engines.stop import Stop

if TYPE_CHECKING:
    import pandas as pd

_stop: ContextVar[Stop | None] = ContextVar("stop", default=None)


@dataclass(frozen=True)
class Guard:
    """seconds: most time of one statement; rows, size: most rows and bytes that it may read. 0 = any."""

    seconds: float = 0
    rows: int = 0
    size: int = 0


@contextmanager
def stoppable(stop: Stop) -> Iterator[None]:
    """What this thread asks of guarded engines meanwhile ends when `stop` is cancelled."""
    token = _stop.set(stop)
    try:
        yield
    finally:
        _stop.reset(token)


class GuardedEngine:
    """An Engine whose statements keep within a guard. Threads may share it."""

    def __init__(self, engine: Engine, guard: Guard) -> None:
        self._engine, self._guard = engine, guard

    @property
    def dialect(self) -> str:
        """Of the engine."""
        return self._engine.dialect

    def frame(self, sql: str, stop: Stop | None = None) -> pd.DataFrame:
        """The rows of one SELECT. Raises WarehouseError; QueryLimit before it reads too much, or when it takes long."""
        stop = stop or _stop.get() or Stop(self._guard.seconds)
        if self._guard.rows or self._guard.size:
            try:
                cost = self._engine.cost(sql, stop)
            except WarehouseError:  # it is told of the statement itself, where that fails, too
                cost = None
            if cost is not None:
                cost.refuse_over(self._guard.rows, self._guard.size)
        return self._engine.frame(sql, stop)

    def cost(self, sql: str, stop: Stop | None = None) -> Cost | None:
        """What a SELECT would read. Raises as `frame`."""
        return self._engine.cost(sql, stop)

    def columns(self, sql: str) -> Columns:
        """Columns of one SELECT. Raises WarehouseError."""
        return self._engine.columns(sql)

    def tables(self) -> Mapping[str, Columns]:
        """Its tables, with their columns. Raises WarehouseError."""
        return self._engine.tables()

    def close(self) -> None:
        """Let go of its connections."""
        self._engine.close()
