"""What a lake asks of the warehouse on this machine, besides what every warehouse offers."""

from __future__ import annotations

from collections.abc import Mapping
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
    """A Warehouse of such, whose generations can be asked for what is kept with them."""

    def staging(self, now: datetime, *, anew: bool = False) -> AbstractContextManager[LocalStaging]:
        """See Warehouse."""

    def kept_texts(self, name: str) -> Mapping[str, str | None]:
        """Each generation that is kept → its text of this name among those that were stored; None = it has none.

        Raises WarehouseError where one of them cannot be read.
        """
