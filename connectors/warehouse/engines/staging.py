"""A generation in the making whose rows are in an engine: computed there, stored here, published in whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from connectors.errors import EngineFailed, SettingsError
from connectors.sources.contract import SourceOptions
from connectors.warehouse.contract import Columns, DatasetState, Generation, Load, Staging
from connectors.warehouse.engines import shapes
from connectors.warehouse.engines.reached import ReachedEngine
from connectors.warehouse.engines.storing import StoringHere, plain_rows

if TYPE_CHECKING:
    import pandas as pd


class EngineStaging(StoringHere):
    """A Staging over an engine and the local staging that stores what is computed. See Staging for what each means.

    translated: SQL as definitions write it → the engine's.
    """

    def __init__(self, engine: ReachedEngine, local: Staging, translated: Callable[[str], str]) -> None:
        super().__init__(local)
        self._engine, self._translated = engine, translated
        self._tables: Mapping[str, Columns] | None = None
        self._selects: dict[str, Columns] = {}
        self._asked: dict[str, None] = {}
        self._files: Mapping[str, str] = {}

    @property
    def failed(self) -> EngineFailed | None:
        """Why the engine is not asked any more."""
        return self._engine.failed

    @property
    def loads(self) -> bool:
        """No: its tables are an engine's."""
        return False

    @property
    def due(self) -> bool:
        """Always: nobody tells whether a row differs."""
        return True

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
        return plain_rows(self.frame(sql))

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

    def published_files(self) -> Mapping[str, str]:
        """ "kpi:name" or "dataset:name" → text of each definition that the generation before was made with."""
        return {name: text for name, text in self._local.published_files().items() if name != shapes.KEPT}

    # ---- loading: there is none

    def pulled_at(self) -> Mapping[str, datetime]:
        """Of no source: what was pulled before the rows were in an engine says nothing of them."""
        return {}

    def begin_load(self, options: SourceOptions, *, anew: bool = False, retype: bool = False) -> Load:  # noqa: ARG002
        """Raises SettingsError: nothing is written into an engine's tables."""
        raise SettingsError(f"nothing is loaded into table '{options.table}': it is one of an engine")

    def settle(self) -> None:
        """Nothing is loaded."""
        self._local.settle()

    def store_files(self, texts: Mapping[str, str]) -> None:
        """Make these the definitions of this generation."""
        self._files = texts

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
        return super().publish()

    def close(self) -> None:
        """Let go of the connection; the local staging is its owner's."""
        self._engine.close()

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
