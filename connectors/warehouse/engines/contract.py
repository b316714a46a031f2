"""What an engine that is reached by URL offers. Importing this loads no engine and no pandas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from connectors.errors import WarehouseError
from connectors.warehouse.contract import Columns
from connectors.warehouse.engines.cost import Cost
from connectors.warehouse.engines.stop import Stop

if TYPE_CHECKING:
    import pandas as pd


class ConnectionLost(WarehouseError):
    """The connection ended, whatever the statement was; the same may be asked again, over another one."""


class Engine(Protocol):
    """Runs SELECTs over tables that are there. Threads may share it. Its sessions count in UTC.

    dialect: of its SQL, by its name in sqlglot.
    """

    @property
    def dialect(self) -> str:
        """The name that sqlglot knows its SQL by."""

    def frame(self, sql: str, stop: Stop | None = None) -> pd.DataFrame:
        """The rows of one SELECT in `dialect`: datetime64 (without a zone, in UTC), whole numbers, floats, texts.

        A column of whole numbers with unknown ones is of floats, as DuckDB's are. stop: when it ends before its answer,
        in the engine too. Raises WarehouseError (ConnectionLost where it knows), QueryLimit, Cancelled. After an error
        the next question is asked over a new connection if that one is gone.
        """

    def cost(self, sql: str, stop: Stop | None = None) -> Cost | None:
        """What a SELECT would read, without running it; None where the engine does not tell. Raises as `frame`."""

    def columns(self, sql: str) -> Columns:
        """Columns of one SELECT in `dialect` and their types by DuckDB's names. Raises WarehouseError."""

    def tables(self) -> Mapping[str, Columns]:
        """The tables of the schema or database that the URL names, with their columns."""

    def close(self) -> None:
        """Let go of its connections."""
