"""A generation in the making that is computed in an engine, and stored here whatever its rows are read from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from connectors.errors import EngineFailed
from connectors.sources.contract import Cursor
from connectors.texts.reading import TextReading
from connectors.warehouse.contract import DatasetState, Failure, Generation, Reader, Staging
from connectors.warehouse.delegating import DelegatingReader

if TYPE_CHECKING:
    import pandas as pd

MOST_BROUGHT = 5_000_000  # rows of one roll-up: some 30 bytes each, on the way and here


class StoringHere(DelegatingReader):
    """What a Staging over an engine hands on to the local one. See Staging for what each means.

    Once the engine was lost nothing more is stored: some values would be of other rows than the rest.
    """

    def __init__(self, local: Staging) -> None:
        super().__init__(local)
        self._local = local

    @property
    def failed(self) -> EngineFailed | None:
        """Why the engine is not asked any more."""
        return None

    @property
    def kept(self) -> Reader:
        """The local staging: roll-ups are brought home."""
        return self._local

    def cursor(self, source: str) -> Cursor:
        """As of the local generation."""
        return self._local.cursor(source)

    def last_full(self, source: str) -> datetime | None:
        """As of the local generation."""
        return self._local.last_full(source)

    def readings(self, source: str) -> Mapping[str, TextReading]:
        """As of the local generation."""
        return self._local.readings(source)

    def transaction(self) -> AbstractContextManager[None]:
        """Of the local staging."""
        return self._local.transaction()

    @property
    def written(self) -> int:
        """Versions of values that `publish` ended and wrote; 0 before."""
        return self._local.written

    def live_definitions(self) -> Mapping[str, str]:
        """KPI → definition of the values that are valid now."""
        return self._local.live_definitions()

    def stored_segments(
        self, kpi: str, grain: str, dimension: str, outside: Sequence[tuple[datetime, datetime]]
    ) -> Mapping[str, int] | None:
        """Segments of the valid values → their n outside of these ranges; None = nothing is stored."""
        return self._local.stored_segments(kpi, grain, dimension, outside)

    def valid_values(self, kpi: str) -> pd.DataFrame:
        """A KPI's valid values of all grains and dimensions."""
        return self._local.valid_values(kpi)

    def store_dataset_states(self, states: Sequence[DatasetState]) -> None:
        """Record the dataset states of this generation. Raises EngineFailed."""
        self._refuse_if_lost()
        self._local.store_dataset_states(states)

    def store_values(self, kpi: str, definition: str, text: str, frame: pd.DataFrame, touched: pd.DataFrame) -> None:
        """Make `frame` the valid values of a KPI. Raises EngineFailed."""
        self._refuse_if_lost()
        self._local.store_values(kpi, definition, text, frame, touched)

    def store_failure(self, kpi: str, failure: Failure) -> None:
        """A KPI could not be computed. Raises EngineFailed where that was not its own fault."""
        self._refuse_if_lost()
        self._local.store_failure(kpi, failure)

    def forget_values(self, kpis_kept: Sequence[str]) -> None:
        """End the validity of values of KPIs not in `kpis_kept`."""
        self._local.forget_values(kpis_kept)

    def keep_rollup(
        self,
        name: str,
        about: Mapping[str, Any],
        sql: str,
        *,
        most: int,
        touched: tuple[datetime, datetime] | None = None,
    ) -> str:
        """Have the engine compute it, and bring its rows home: from there on nothing of it is asked there.

        Raises WarehouseError, QueryLimit, DiskFull, EngineFailed.
        """
        self._refuse_if_lost()
        most = min(most, MOST_BROUGHT)
        rows = self.frame(f"SELECT * FROM (\n{sql}\n) AS brought LIMIT {most + 1}") if most >= 0 else None
        few = rows is not None and len(rows) <= most and _comes_whole(rows)
        return self._local.bring_rollup(name, about, rows if few else None, touched=touched)

    def bring_rollup(
        self,
        name: str,
        about: Mapping[str, Any],
        rows: pd.DataFrame | None,
        *,
        touched: tuple[datetime, datetime] | None = None,
    ) -> str:
        """Into the local generation."""
        return self._local.bring_rollup(name, about, rows, touched=touched)

    def forget_rollups(self, kept: Iterable[str]) -> None:
        """Drop those of the local generation that are not in `kept`."""
        self._local.forget_rollups(kept)

    def publish(self) -> Generation:
        """Make this the live generation. Raises EngineFailed."""
        self._refuse_if_lost()
        return self._local.publish()

    def _refuse_if_lost(self) -> None:
        if (failed := self.failed) is not None:
            raise failed


def _comes_whole(rows: pd.DataFrame) -> bool:
    """Whether what says which rows are whose is as it was in the engine: whole numbers or texts.

    Numbers with unknown ones among them, or with decimals, come as floats, in which two long ids are one. A column of
    no type that is known here, such as one of unknown values alone, would have none in the table either; and one of
    whole numbers that need no sign would have another than on a day that has smaller ones alone.
    """
    for name, kind in rows.dtypes.items():
        whose = name == "entity" or re.fullmatch(r"[df]\d+", str(name))
        if kind in (object, "float32", "uint64") or (whose and kind.kind == "f"):
            return False
    return True


def plain_rows(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Rows as Python's own values, unknown ones None."""
    found = frame.astype(object)
    return list(found.where(found.notna(), None).itertuples(index=False, name=None))
