"""A generation in the making whose rows are in an engine: computed there, stored here, published in whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from connectors.errors import EngineFailed, SettingsError
from connectors.sources.contract import Cursor, SourceOptions
from connectors.texts.reading import TextReading
from connectors.warehouse.contract import Columns, DatasetState, Failure, Generation, Load, Rollup, Staging
from connectors.warehouse.delegating import DelegatingReader
from connectors.warehouse.engines import shapes
from connectors.warehouse.engines.reached import ReachedEngine

if TYPE_CHECKING:
    import pandas as pd


class EngineStaging(DelegatingReader):
    """A Staging over an engine and the local staging that stores what is computed. See Staging for what each means.

    Once the engine was lost nothing more is stored: some values would be of other rows than the rest.
    translated: SQL as definitions write it → the engine's.
    """

    def __init__(self, engine: ReachedEngine, local: Staging, translated: Callable[[str], str]) -> None:
        super().__init__(local)
        self._engine, self._local, self._translated = engine, local, translated
        self._tables: Mapping[str, Columns] | None = None
        self._selects: dict[str, Columns] = {}
        self._asked: dict[str, None] = {}
        self._files: Mapping[str, str] = {}

    # ---- rows

    @property
    def dialect(self) -> str:
        """Of the engine."""
        return self._engine.dialect

    def frame(self, sql: str) -> pd.DataFrame:
        """The rows of one SELECT, from the engine. Raises WarehouseError, EngineFailed."""
        self._asked[sql] = None
        return self._engine.frame(sql)

    def rows(self, sql: str) -> Sequence[tuple[Any, ...]]:
        """The same as Python's own values, unknown ones None. Raises WarehouseError, EngineFailed."""
        found = self.frame(sql).astype(object)
        return list(found.where(found.notna(), None).itertuples(index=False, name=None))

    def columns(self, sql: str) -> Columns:
        """Columns and types of one SELECT as definitions write it. Raises WarehouseError, EngineFailed."""
        if sql not in self._selects:
            translated = self._translated(sql)
            self._asked[translated] = None
            self._selects[sql] = self._engine.columns(translated)
        return self._selects[sql]

    def tables(self) -> Mapping[str, Columns]:
        """Tables of the engine, as they were when this sync asked first. Raises EngineFailed where there is none."""
        if self._tables is None:
            self._tables = self._engine.tables()
            if not self._tables:  # all KPIs would lose their values for a word in a URL
                hint = "Which database or schema does `warehouse` name, and may its user read the tables of it?"
                raise self._engine.gone("the engine shows no table", hint)
        return self._tables

    def changes(self, table: str) -> str | None:  # noqa: ARG002
        """None: whoever writes into the engine's tables tells nobody which rows."""
        return None

    def dataset_states(self, sequence: int) -> Mapping[str, DatasetState]:
        """Dataset states of a generation; none where the one before is of another engine's rows or of other columns."""
        before = shapes.kept(self._local.published_files())
        if before is None or before.engine != self._engine.place:
            return {}
        there = self.tables()
        same = all(there[table] == columns for table, columns in before.tables.items() if table in there)
        return self._local.dataset_states(sequence) if same else {}

    def rollups(self) -> Mapping[str, Rollup]:
        """None: roll-ups are of local rows."""
        return {}

    def published_files(self) -> Mapping[str, str]:
        """ "kpi:name" or "dataset:name" → text of each definition that the generation before was made with."""
        return {name: text for name, text in self._local.published_files().items() if name != shapes.KEPT}

    # ---- loading: there is none

    def cursor(self, source: str) -> Cursor:
        """As of the local generation."""
        return self._local.cursor(source)

    def last_full(self, source: str) -> datetime | None:
        """As of the local generation."""
        return self._local.last_full(source)

    def readings(self, source: str) -> Mapping[str, TextReading]:
        """As of the local generation."""
        return self._local.readings(source)

    def pulled_at(self) -> Mapping[str, datetime]:
        """Of no source: what was pulled before the rows were in an engine says nothing of them."""
        return {}

    def transaction(self) -> AbstractContextManager[None]:
        """Of the local staging."""
        return self._local.transaction()

    def begin_load(self, options: SourceOptions, *, anew: bool = False, retype: bool = False) -> Load:  # noqa: ARG002
        """Raises SettingsError: nothing is written into an engine's tables."""
        raise SettingsError(f"nothing is loaded into table '{options.table}': it is one of an engine")

    def settle(self) -> None:
        """Nothing is loaded."""
        self._local.settle()

    # ---- what is stored here

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

    def store_files(self, texts: Mapping[str, str]) -> None:
        """Make these the definitions of this generation."""
        self._files = texts

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
        name: str,  # noqa: ARG002
        about: Mapping[str, Any],  # noqa: ARG002
        sql: str,  # noqa: ARG002
        *,
        most: int,  # noqa: ARG002
        touched: tuple[datetime, datetime] | None = None,  # noqa: ARG002
    ) -> str:
        """Keeps none."""
        return ""

    def forget_rollups(self, kept: Iterable[str]) -> None:
        """Drop those that the local generation has of rows of its own."""
        self._local.forget_rollups(kept)

    def publish(self) -> Generation:
        """Make this the live generation. Raises EngineFailed where a table that was read is another than before."""
        self._refuse_if_lost()
        before, after = self.tables(), self._engine.tables()
        for table, columns in before.items():
            if after.get(table) != columns and self._was_read(table):
                raise _changed(table, columns, after.get(table))
        self._local.store_files(
            {**self._files, shapes.KEPT: shapes.Shapes(after, self._selects, self._engine.place).text()}
        )
        return self._local.publish()

    def close(self) -> None:
        """Let go of the connection; the local staging is its owner's."""
        self._engine.close()

    def _refuse_if_lost(self) -> None:
        if (failed := self._engine.failed) is not None:
            raise failed

    def _was_read(self, table: str) -> bool:
        name = re.compile(rf"(?<!\w){re.escape(table)}(?!\w)")
        return any(name.search(sql) for sql in self._asked)


def _changed(table: str, before: Columns, after: Columns | None) -> EngineFailed:
    """What differs, in a sentence."""
    if after is None:
        what = f"table '{table}' has gone"
    else:
        names = [name for name in (*before, *after) if before.get(name) != after.get(name)]
        what = f"column '{names[0]}' of table '{table}' is another" if names else f"table '{table}' is another"
    hint = "Nothing was published: some values would be of the old table and some of the new. Sync again."
    return EngineFailed(f"{what} since this sync began", hint=hint)
