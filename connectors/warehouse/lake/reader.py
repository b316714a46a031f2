"""A Reader whose rows an engine reads from files of a lake; all else, columns too, is the local generation's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from connectors.warehouse.contract import Reader
from connectors.warehouse.delegating import DelegatingReader
from connectors.warehouse.engines.contract import Engine
from connectors.warehouse.lake import manifest

if TYPE_CHECKING:
    import pandas as pd


class LakeReader(DelegatingReader):
    """A Reader over an engine that knows the files of this generation. The same rows are in its tables."""

    def __init__(self, engine: Engine, local: Reader) -> None:
        super().__init__(local)
        self._engine = engine

    @property
    def dialect(self) -> str:
        """Of the engine."""
        return self._engine.dialect

    def frame(self, sql: str) -> pd.DataFrame:
        """The rows of one SELECT, from the engine. Raises WarehouseError."""
        return self._engine.frame(sql)

    @property
    def kept(self) -> Reader:
        """The local generation: a sync brings roll-ups home."""
        return self._reader

    def published_files(self) -> Mapping[str, str]:
        """ "kpi:name" or "dataset:name" → text of each definition that this generation was made with."""
        return {name: text for name, text in self._reader.published_files().items() if name != manifest.KEPT}

    def close(self) -> None:
        """Let go of both."""
        self._engine.close()
        super().close()
