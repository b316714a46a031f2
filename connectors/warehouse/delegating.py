"""A reader over another one: whoever answers some of the questions otherwise says only those."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from connectors.warehouse.contract import (
    Columns,
    DatasetState,
    Failure,
    Generation,
    Reader,
    Rollup,
    SeriesKey,
    StoredSeries,
)

if TYPE_CHECKING:
    import pandas as pd


class DelegatingReader:
    """A Reader that hands every question on to another one. See Reader for what each means."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    @property
    def dialect(self) -> str:
        """Of the engine."""
        return self._reader.dialect

    @property
    def generation(self) -> Generation:
        """What is read."""
        return self._reader.generation

    @property
    def kept(self) -> Reader:
        """What reads the relations of roll-ups."""
        found = self._reader.kept
        return self if found is self._reader else found

    def frame(self, sql: str) -> pd.DataFrame:
        """The rows of one SELECT. Raises WarehouseError."""
        return self._reader.frame(sql)

    def columns(self, sql: str) -> Columns:
        """Columns and types of one SELECT, without running it. Raises WarehouseError."""
        return self._reader.columns(sql)

    def tables(self) -> Mapping[str, Columns]:
        """Every loaded table with its columns."""
        return self._reader.tables()

    def generations(self) -> Sequence[Generation]:
        """All published generations, oldest first."""
        return self._reader.generations()

    def dataset_states(self, sequence: int) -> Mapping[str, DatasetState]:
        """Dataset states as of the generation with this sequence."""
        return self._reader.dataset_states(sequence)

    def stored_values(self, kpi: str, grain: str, dimension: str, sequence: int) -> StoredSeries | None:
        """What was published for this KPI as of a generation; None if it was not stored."""
        return self._reader.stored_values(kpi, grain, dimension, sequence)

    def stored_series(self, keys: Iterable[SeriesKey], sequence: int) -> Mapping[SeriesKey, StoredSeries]:
        """What was published of each key as of a generation, those that were stored."""
        return self._reader.stored_series(keys, sequence)

    def read_ahead(self, keys: Iterable[SeriesKey], sequence: int) -> None:
        """Say what `stored_values` is about to be asked for."""
        self._reader.read_ahead(keys, sequence)

    def published_files(self) -> Mapping[str, str]:
        """ "kpi:name" or "dataset:name" → text of each definition that this generation was made with."""
        return self._reader.published_files()

    def all_stored_definitions(self) -> Mapping[tuple[str, str], Sequence[tuple[str, int]]]:
        """(KPI, grain) → (definition, sequence of the generation it came with) of its values, oldest first."""
        return self._reader.all_stored_definitions()

    def stored_definitions(self, kpi: str, grain: str) -> Sequence[tuple[str, int]]:
        """(definition, sequence of the generation it came with) of a KPI's values, oldest first."""
        return self._reader.stored_definitions(kpi, grain)

    def failures(self) -> Mapping[str, Failure]:
        """KPI → why its values could not be computed for this generation."""
        return self._reader.failures()

    def rollups(self) -> Mapping[str, Rollup]:
        """Name → roll-up that this generation has."""
        return self._reader.rollups()

    def quarantine(self) -> pd.DataFrame:
        """Rows that could not be read: source, file, line, column_name, reason, raw, seen_at."""
        return self._reader.quarantine()

    def close(self) -> None:
        """Let go of what is read. Nothing may be asked after that."""
        self._reader.close()
