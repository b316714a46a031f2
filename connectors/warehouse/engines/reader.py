"""A Reader whose rows are in an engine, and all else (values, states, definitions) in a local generation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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
from connectors.warehouse.engines.contract import Engine

if TYPE_CHECKING:
    import pandas as pd


class EngineReader:
    """A Reader over an engine and the local generation that says what is known of its rows.

    translated: SQL as definitions write it → the engine's.
    """

    def __init__(self, engine: Engine, local: Reader, translated: Callable[[str], str]) -> None:
        self._engine, self._local, self._translated = engine, local, translated
        self._tables: Mapping[str, Columns] | None = None

    @property
    def dialect(self) -> str:
        """Of the engine."""
        return self._engine.dialect

    @property
    def generation(self) -> Generation:
        """What is read."""
        return self._local.generation

    def frame(self, sql: str) -> pd.DataFrame:
        """The rows of one SELECT, from the engine. Raises WarehouseError."""
        return self._engine.frame(sql)

    def columns(self, sql: str) -> Columns:
        """Columns and types of one SELECT as definitions write it. Raises WarehouseError."""
        return self._engine.columns(self._translated(sql))

    def tables(self) -> Mapping[str, Columns]:
        """Tables of the engine, listed once."""
        if self._tables is None:
            self._tables = self._engine.tables()
        return self._tables

    def rollups(self) -> Mapping[str, Rollup]:
        """None: those of the generation are of rows that are elsewhere."""
        return {}

    def generations(self) -> Sequence[Generation]:
        """All published generations, oldest first."""
        return self._local.generations()

    def dataset_states(self, sequence: int) -> Mapping[str, DatasetState]:
        """Dataset states as of the generation with this sequence."""
        return self._local.dataset_states(sequence)

    def stored_values(self, kpi: str, grain: str, dimension: str, sequence: int) -> StoredSeries | None:
        """What was published for this KPI as of a generation; None if it was not stored."""
        return self._local.stored_values(kpi, grain, dimension, sequence)

    def stored_series(self, keys: Iterable[SeriesKey], sequence: int) -> Mapping[SeriesKey, StoredSeries]:
        """The same for many, in one statement: those that were stored."""
        return self._local.stored_series(keys, sequence)

    def read_ahead(self, keys: Iterable[SeriesKey], sequence: int) -> None:
        """Say what `stored_values` is about to be asked for."""
        self._local.read_ahead(keys, sequence)

    def published_files(self) -> Mapping[str, str]:
        """ "kpi:name" or "dataset:name" → text of each definition that this generation was made with."""
        return self._local.published_files()

    def all_stored_definitions(self) -> Mapping[tuple[str, str], Sequence[tuple[str, int]]]:
        """(KPI, grain) → (definition, sequence of the generation it came with) of its values, oldest first."""
        return self._local.all_stored_definitions()

    def stored_definitions(self, kpi: str, grain: str) -> Sequence[tuple[str, int]]:
        """(definition, sequence of the generation it came with) of a KPI's values, oldest first."""
        return self._local.stored_definitions(kpi, grain)

    def failures(self) -> Mapping[str, Failure]:
        """KPI → why its values could not be computed for this generation."""
        return self._local.failures()

    def quarantine(self) -> pd.DataFrame:
        """Rows that could not be read: source, file, line, column_name, reason, raw, seen_at."""
        return self._local.quarantine()

    def close(self) -> None:
        """Let go of both."""
        self._engine.close()
        self._local.close()
