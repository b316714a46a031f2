"""A reader that tells when its file turns out to be damaged where nobody had read yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb

from connectors.errors import DamagedData, KpiError
from connectors.warehouse.duckdb.reader import DuckReader
from connectors.warehouse.duckdb.verifying import corrupt, mark


class WatchedReader(DuckReader):
    """A DuckReader. A file that is damaged is remembered as such, so whoever asks again is given the one before it."""

    def frame(self, sql: str) -> Any:
        """The rows of one SELECT. Raises WarehouseError, DamagedData."""
        return self._watched(lambda: super(WatchedReader, self).frame(sql))

    def columns(self, sql: str) -> Any:
        """Columns and types of one SELECT, without running it. Raises WarehouseError, DamagedData."""
        return self._watched(lambda: super(WatchedReader, self).columns(sql))

    def tables(self) -> Any:
        """Every loaded table with its columns. Raises DamagedData."""
        return self._watched(super().tables)

    def stored_series(self, keys: Any, sequence: int) -> Any:
        """Published values. Raises WarehouseError, DamagedData."""
        asked = list(keys)
        return self._watched(lambda: super(WatchedReader, self).stored_series(asked, sequence))

    def _rows(self, sql: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._watched(lambda: super(WatchedReader, self)._rows(sql, values))
        return rows

    def _watched(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except (duckdb.Error, KpiError) as error:
            if not corrupt(error):
                raise
            mark(self.path, "a part of it is not what was written")
            raise DamagedData(
                "the live generation is damaged: a part of it is not what was written",
                where=str(self.path),
                hint="Ask again: the generation before it is read. `kpi doctor --repair` mends it.",
                again=True,
            ) from error
