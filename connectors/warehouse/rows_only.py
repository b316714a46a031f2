"""A reader for whoever sees some rows only: nothing that was kept of all of them is there."""

# ruff: noqa: ARG002 (what a Reader is asked, and this one need not know)
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from connectors.warehouse.contract import Failure, Rollup, SeriesKey, StoredSeries
from connectors.warehouse.delegating import DelegatingReader

if TYPE_CHECKING:
    import pandas as pd


class RowsOnly(DelegatingReader):
    """Finished values, roll-ups, rows that could not be read, and words on what failed are of all rows."""

    def stored_values(self, kpi: str, grain: str, dimension: str, sequence: int) -> StoredSeries | None:
        """None: all is counted."""
        return None

    def stored_series(self, keys: Iterable[SeriesKey], sequence: int) -> Mapping[SeriesKey, StoredSeries]:
        """None."""
        return {}

    def read_ahead(self, keys: Iterable[SeriesKey], sequence: int) -> None:
        """There is nothing to read."""

    def all_stored_definitions(self) -> Mapping[tuple[str, str], Sequence[tuple[str, int]]]:
        """None."""
        return {}

    def stored_definitions(self, kpi: str, grain: str) -> Sequence[tuple[str, int]]:
        """None."""
        return ()

    def failures(self) -> Mapping[str, Failure]:
        """None: what is counted now did not fail then."""
        return {}

    def rollups(self) -> Mapping[str, Rollup]:
        """None."""
        return {}

    def quarantine(self) -> pd.DataFrame:
        """None: whose a row that could not be read is, nobody knows."""
        return self._reader.quarantine().iloc[:0]
