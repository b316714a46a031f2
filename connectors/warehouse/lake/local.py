"""What a lake asks of the warehouse on this machine, besides what every warehouse offers."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from connectors.warehouse.contract import Staging, Warehouse


class LocalStaging(Staging, Protocol):
    """A Staging whose rows can be written as files."""

    def export(self, sql: str, path: Path) -> int:
        """Write the rows of one SELECT of DuckDB's SQL as a Parquet file, before `settle`. Returns how many.

        Raises WarehouseError, DiskFull.
        """


class LocalWarehouse(Warehouse, Protocol):
    """A Warehouse of such."""

    def staging(self, now: datetime, *, anew: bool = False) -> AbstractContextManager[LocalStaging]:
        """See Warehouse."""
