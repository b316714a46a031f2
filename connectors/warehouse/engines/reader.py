"""A Reader whose rows are in an engine, and all else (values, states, definitions) in a local generation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from connectors.warehouse.contract import Columns, Reader, Rollup
from connectors.warehouse.delegating import DelegatingReader
from connectors.warehouse.engines import shapes
from connectors.warehouse.engines.contract import Engine

if TYPE_CHECKING:
    import pandas as pd


class EngineReader(DelegatingReader):
    """A Reader over an engine and the local generation that says what is known of its rows.

    What tables and SELECTs have for columns is told as the sync of the generation found it, where it did: only rows,
    and what came after it, are asked of the engine. translated: SQL as definitions write it → the engine's.
    place: where the rows are, by shapes.place; empty = not known, and roll-ups are not read.
    """

    def __init__(self, engine: Engine, local: Reader, translated: Callable[[str], str], place: str = "") -> None:
        super().__init__(local)
        self._engine, self._translated, self._place = engine, translated, place
        self._tables: Mapping[str, Columns] | None = None

    @property
    def dialect(self) -> str:
        """Of the engine."""
        return self._engine.dialect

    def frame(self, sql: str) -> pd.DataFrame:
        """The rows of one SELECT, from the engine. Raises WarehouseError."""
        return self._engine.frame(sql)

    def columns(self, sql: str) -> Columns:
        """Columns and types of one SELECT as definitions write it. Raises WarehouseError."""
        if self._shapes is not None and sql in self._shapes.selects:
            return self._shapes.selects[sql]
        return self._engine.columns(self._translated(sql))

    def tables(self) -> Mapping[str, Columns]:
        """Tables of the engine, listed once."""
        if self._tables is None:
            self._tables = self._shapes.tables if self._shapes is not None else self._engine.tables()
        return self._tables

    @property
    def kept(self) -> Reader:
        """The local generation: a sync brings roll-ups home."""
        return self._reader

    def rollups(self) -> Mapping[str, Rollup]:
        """Those that the sync of this generation brought; none where it was one of other rows."""
        same = self._shapes is not None and self._shapes.engine == self._place
        return self._reader.rollups() if same else {}

    def published_files(self) -> Mapping[str, str]:
        """ "kpi:name" or "dataset:name" → text of each definition that this generation was made with."""
        return {name: text for name, text in self._reader.published_files().items() if name != shapes.KEPT}

    def close(self) -> None:
        """Let go of both."""
        self._engine.close()
        super().close()

    @cached_property
    def _shapes(self) -> shapes.Shapes | None:
        return shapes.kept(self._reader.published_files())
