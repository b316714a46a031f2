"""This process's side of `caged`: which file a worker opens and how, and what it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from connectors.warehouse.contract import Columns
from connectors.warehouse.duckdb.packing import unpacked

if TYPE_CHECKING:
    import pandas as pd

CAGED = "connectors.warehouse.duckdb.caged"
DESCRIBING = 20.0  # seconds: nothing is computed, and every page waits for the catalogue
SPILL = ".spill-"  # folders of the data folder


class Asked(Protocol):
    """A cage, or one worker of it."""

    def ask(self, function: str, *arguments: Any, most: float = ...) -> Any:
        """What `module:function` returns in a worker. most: seconds. Raises KpiError."""


@dataclass(frozen=True)
class Opening:
    """Which file, and how. memory: DuckDB's own limit, such as 1200MB. now: what SQL takes for the present, UTC.

    spill: folder for what does not fit into memory; made when it is needed. kept: where the file still is once it was
    removed, or empty. shared: files that its tables lie in, too: name, path and kept of each. made: a file for tables
    that are made of it, read beside it; empty = none may be.
    """

    path: str
    memory: str
    threads: int
    now: datetime
    spill: str
    kept: str = ""
    shared: tuple[tuple[str, str, str], ...] = ()
    made: str = ""


class Computing:
    """SQL of definitions over one file, computed in a worker."""

    def __init__(self, worker: Asked, opening: Opening) -> None:
        self._worker, self._opening = worker, opening

    def frame(self, sql: str) -> pd.DataFrame:
        """The rows of one SELECT. Raises WarehouseError, QueryLimit."""
        return unpacked(self._worker.ask(f"{CAGED}:frame", self._opening, sql))

    def described(self, sql: str) -> Columns:
        """Columns and types of one SELECT. Raises WarehouseError, QueryLimit."""
        found: Columns = self._worker.ask(f"{CAGED}:described", self._opening, sql, most=DESCRIBING)
        return found

    def make(self, name: str, sql: str, most: int) -> int:
        """Make a table of one SELECT in the file for that, of `most` rows and one. Returns how many it has.

        Raises WarehouseError, QueryLimit, DiskFull.
        """
        count: int = self._worker.ask(f"{CAGED}:make", self._opening, name, sql, most)
        return count

    def put(self, name: str, rows: pd.DataFrame, *, begins: bool) -> None:
        """Add rows to a table in the file for what is made. begins: it is made of them.

        Raises WarehouseError, QueryLimit, DiskFull.
        """
        self._worker.ask(f"{CAGED}:put", self._opening, name, rows, begins)

    def let_go(self) -> None:
        """Close the file there."""
        self._worker.ask(f"{CAGED}:let_go", self._opening.path)
