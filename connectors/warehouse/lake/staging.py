"""A generation in the making: loaded here as ever, written into a lake, computed there by an engine, stored here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from connectors.errors import DiskFull, EngineFailed, WarehouseError
from connectors.sources.contract import SourceOptions
from connectors.warehouse.contract import DatasetState, Generation, Load
from connectors.warehouse.engines import shapes
from connectors.warehouse.engines.files import Files
from connectors.warehouse.engines.reached import ReachedEngine
from connectors.warehouse.engines.storing import StoringHere, plain_rows
from connectors.warehouse.lake import manifest
from connectors.warehouse.lake.local import LocalStaging
from connectors.warehouse.lake.manifest import Manifest
from connectors.warehouse.lake.store import LakeStore
from connectors.warehouse.lake.writing import Writing

if TYPE_CHECKING:
    import pandas as pd

CHANGED = "bellwether_changed_"  # before the name of a table: its rows that this sync changed


class LakeStaging(StoringHere):
    """A Staging that is the local one until it is settled; from there on rows are asked of the engine, from files.

    See Staging for what each means. What it wrote and did not publish it removes as it closes; of one that dies in
    between the next sync does. project: whose lake it is; before: the files of the generation that this one follows.
    connected: the engine with these files, which is connected to when it is asked.
    """

    def __init__(
        self,
        local: LocalStaging,
        store: LakeStore,
        writing: Writing,
        *,
        project: str,
        before: Manifest | None,
        connected: Callable[[Files], ReachedEngine],
    ) -> None:
        super().__init__(local)
        self._store, self._writing, self._project, self._before = store, writing, project, before
        self._connected, self._engine = connected, connected({})
        self._manifest: Manifest | None = None  # once it is settled
        self._changes: Mapping[str, str | None] = {}
        self._published = False

    @property
    def failed(self) -> EngineFailed | None:
        """Why the engine is not asked any more."""
        return self._engine.failed

    @property
    def loads(self) -> bool:
        """Yes: they are written into the lake from here."""
        return True

    @property
    def due(self) -> bool:
        """Where files are others than before, although their rows are the same, as where the lake was lost."""
        return self._manifest != self._before

    @property
    def dialect(self) -> str:
        """Of the local tables, then of the engine."""
        return self._engine.dialect if self._manifest else self._local.dialect

    def frame(self, sql: str) -> pd.DataFrame:
        """The rows of one SELECT. Raises WarehouseError, EngineFailed."""
        return self._engine.frame(sql) if self._manifest else self._local.frame(sql)

    def rows(self, sql: str) -> Sequence[tuple[Any, ...]]:
        """The same as Python's own values. Raises WarehouseError, EngineFailed."""
        return plain_rows(self.frame(sql)) if self._manifest else self._local.rows(sql)

    def pulled_at(self) -> Mapping[str, datetime]:
        """As of the local generation."""
        return self._local.pulled_at()

    def begin_load(self, options: SourceOptions, *, anew: bool = False, retype: bool = False) -> Load:
        """A load into a local table."""
        return self._local.begin_load(options, anew=anew, retype=retype)

    def changes(self, table: str) -> str | None:
        """A relation with the rows that this sync changed, where `frame` reads it. Empty = none; None = any may be."""
        return self._changes.get(table, "") if self._manifest else self._local.changes(table)

    def dataset_states(self, sequence: int) -> Mapping[str, DatasetState]:
        """Dataset states of a generation; none where the one before was computed otherwise.

        From tables that an engine had, or by an engine of another kind: a number as text is not the same text there.
        """
        same = self._before is not None and self._before.dialect == self._engine.dialect
        return self._local.dataset_states(sequence) if same else {}

    def published_files(self) -> Mapping[str, str]:
        """ "kpi:name" or "dataset:name" → text of each definition that the generation before was made with."""
        found = self._local.published_files().items()
        return {name: text for name, text in found if name not in (manifest.KEPT, shapes.KEPT)}

    def settle(self) -> None:
        """Write what this sync touched into the lake, and read from there. Raises EngineFailed."""
        with _told(self._store):
            made = self._writing.manifest(self._project, self._before)
            changed = self._writing.changes()
        known = {table: self._local.changes(table) for table in made.tables}
        self._changes = {
            table: f'"{CHANGED}{table}"' if table in changed else relation for table, relation in known.items()
        }
        self._engine = self._connected({**made.files(), **{f"{CHANGED}{name}": file for name, file in changed.items()}})
        self._local.settle()
        self._manifest = dataclasses.replace(made, dialect=self._engine.dialect)

    def store_files(self, texts: Mapping[str, str]) -> None:
        """Make these the definitions of this generation, and its files the lake's."""
        assert self._manifest is not None, "it is settled first"
        self._local.store_files({**texts, manifest.KEPT: self._manifest.text()})

    def publish(self) -> Generation:
        """Make this the live generation. Raises EngineFailed."""
        generation = super().publish()
        self._published = True
        return generation

    def close(self) -> None:
        """Let go of the connection, and of files that nobody will name; the local staging is its owner's."""
        self._engine.close()
        named = self._manifest.names() if self._manifest and self._published else frozenset()
        for name in self._writing.made:
            if name not in named:
                with suppress(OSError):  # the next sync collects it
                    self._store.remove(name)


@contextmanager
def _told(store: LakeStore) -> Iterator[None]:
    """What a lake refuses ends the sync, as the loss of the engine does. Raises EngineFailed."""
    hint = f"Nothing was published; the live generation is as it was. {store.todo}"
    try:
        yield
    except OSError as error:
        raise EngineFailed(f"the lake {store.root} cannot be written: {error.strerror or error}", hint=hint) from error
    except (DiskFull, WarehouseError) as error:
        raise EngineFailed(f"the lake {store.root} cannot be written: {error.message}", hint=hint) from error
