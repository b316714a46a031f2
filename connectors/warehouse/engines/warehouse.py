"""A Warehouse whose rows are in an engine: generations keep values, states and definitions on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from connectors.warehouse.contract import Check, LiveFiles, Loading, Reader, Room, Staging, Warehouse
from connectors.warehouse.engines.files import Files
from connectors.warehouse.engines.guarded import GuardedEngine
from connectors.warehouse.engines.opening import NO_FILES
from connectors.warehouse.engines.reached import PAGES, SYNC, Patience, ReachedEngine
from connectors.warehouse.engines.reader import EngineReader
from connectors.warehouse.engines.staging import EngineStaging
from connectors.warehouse.engines.terms import Terms


class EngineWarehouse:
    """The local warehouse, but for rows. url: of the engine, which is connected to when rows are asked for.

    See Warehouse for what each means.
    """

    def __init__(self, url: str, local: Warehouse, terms: Terms) -> None:
        """Raises SettingsError for a URL of no engine."""
        self._url, self._local, self._terms = url, local, terms
        self._engine(PAGES)

    def reader(self) -> Reader:
        """A reader of the live generation; it is connected to the engine when rows are asked for. Raises NoData."""
        reached = self._engine(PAGES)
        engine = GuardedEngine(reached, self._terms.guard)
        return EngineReader(engine, self._local.reader(), partial(self._translated, engine.dialect), reached.place)

    @contextmanager
    def staging(self, now: datetime, *, anew: bool = False) -> Iterator[Staging]:
        """The next generation in the making. Raises what the local one does."""
        with self._local.staging(now, anew=anew) as local:
            engine = self._engine(SYNC)
            staging = EngineStaging(engine, local, partial(self._translated, engine.dialect))
            try:
                yield staging
            finally:
                staging.close()

    def live(self) -> str | None:
        """Id of the live generation; None before the first publish. Raises DamagedData."""
        return self._local.live()

    def damage(self) -> Sequence[str]:
        """What is wrong with the pointer or the live generation."""
        return self._local.damage()

    def check(self) -> Sequence[Check]:
        """Read every published generation in whole."""
        return self._local.check()

    def repair(self) -> Sequence[str]:
        """Put aside what is damaged. Raises SyncRunning, FolderError, DamagedData."""
        return self._local.repair()

    def held(self) -> AbstractContextManager[None]:
        """The sync lock alone. Raises SyncRunning, FolderError."""
        return self._local.held()

    def scratch(self, now: datetime, *, small: bool = False) -> AbstractContextManager[Loading]:
        """Empty local tables to load into and look at."""
        return self._local.scratch(now, small=small)

    def companion(self, generation: str, of: str = "impacts") -> Path:
        """A file beside a published generation."""
        return self._local.companion(generation, of)

    def room(self) -> Room:
        """What `staging` needs on this machine and what there is."""
        return self._local.room()

    def live_files(self) -> LiveFiles | None:
        """What a backup keeps: values, not the engine's rows."""
        return self._local.live_files()

    def restore(self, generation: str) -> None:
        """Make a generation live whose files were put back. Raises WarehouseError."""
        self._local.restore(generation)

    def kept_texts(self, name: str) -> Mapping[str, str | None]:
        """Each generation that is kept → its text of this name. Raises WarehouseError."""
        return self._local.kept_texts(name)

    def describe(self) -> str:
        """How it publishes on this machine."""
        return self._local.describe()

    def _engine(self, patience: Patience, files: Files = NO_FILES) -> ReachedEngine:
        return ReachedEngine(self._url, self._terms.session, patience, files)

    def _translated(self, dialect: str, sql: str) -> str:
        return self._terms.translated(sql, dialect)
