"""A Warehouse whose rows are loaded on this machine and computed by an engine, from a lake that both can read."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

from connectors.errors import KpiError
from connectors.warehouse.contract import Reader, Staging
from connectors.warehouse.engines import shapes
from connectors.warehouse.engines.files import Files
from connectors.warehouse.engines.guarded import GuardedEngine
from connectors.warehouse.engines.opening import NO_FILES
from connectors.warehouse.engines.reached import PAGES, SYNC, Patience, ReachedEngine
from connectors.warehouse.engines.terms import Terms
from connectors.warehouse.engines.warehouse import EngineWarehouse
from connectors.warehouse.lake import days, manifest
from connectors.warehouse.lake.local import LocalWarehouse
from connectors.warehouse.lake.opening import opened
from connectors.warehouse.lake.reader import LakeReader
from connectors.warehouse.lake.staging import LakeStaging
from connectors.warehouse.lake.writing import Writing

log = logging.getLogger(__name__)
IDENTITY = "lake.id"  # in the data folder: what this project is called in a lake, before a generation says it


class LakeWarehouse(EngineWarehouse):
    """The local warehouse, but that values and questions are computed from a lake. See Warehouse for what each means.

    data: the project's data folder.
    """

    def __init__(self, url: str, local: LocalWarehouse, terms: Terms, *, data: Path) -> None:
        """Raises SettingsError for a URL of no engine."""
        super().__init__(url, local, terms)
        self._here, self._data = local, data
        self._store = opened(terms.lake, terms.lake_access, data)

    def reader(self) -> Reader:
        """A reader of the live generation. One that no lake has yet is read where its rows are. Raises NoData."""
        local = self._local.reader()
        texts = local.published_files()
        if (found := manifest.kept(texts)) is not None:
            return LakeReader(GuardedEngine(self._engine(PAGES, found.files()), self._terms.guard), local)
        if shapes.KEPT in texts:  # computed from tables of the engine's own
            local.close()
            return super().reader()
        return local

    @contextmanager
    def staging(self, now: datetime, *, anew: bool = False) -> Iterator[Staging]:
        """The next generation in the making, once files that no generation names are gone from the lake.

        Raises what the local one does; FolderError for a lake that is another's or not there.
        """
        with self._here.staging(now, anew=anew) as local:
            before = manifest.kept(local.published_files())
            project = self._named(before.project if before else uuid.uuid4().hex, known=before is not None)
            self._store.claim(project, self._data, used=before is not None and before.root == self._store.root)
            self._collect()
            writing = Writing(self._store, local, self._terms.times(), days.LEAST_ROWS)
            staging = LakeStaging(
                *(local, self._store, writing),
                project=project,
                before=before,
                connected=partial(self._engine, SYNC),
            )
            try:
                yield staging
            finally:
                staging.close()

    def _engine(self, patience: Patience, files: Files = NO_FILES) -> ReachedEngine:
        access = self._terms.lake_access
        return super()._engine(patience, {name: replace(table, access=access) for name, table in files.items()})

    def _named(self, project: str, *, known: bool) -> str:
        """What this project is called in lakes: as its generations say (known), else as was kept before the first one.

        It is kept outside of them, too: a first sync may die, and `--anew` begins without any.
        """
        kept = self._data / IDENTITY
        if kept.exists() and not known:
            return kept.read_text()
        if not kept.exists() or kept.read_text() != project:
            fresh = kept.with_name(f".{IDENTITY}")
            fresh.write_text(project)
            os.replace(fresh, kept)
        return project

    def _collect(self) -> None:
        """Remove files of syncs that died, and of generations that are gone. Under the lock of the sync.

        Where one of the generations cannot be read nobody knows what it names: then nothing is removed.
        """
        try:
            texts = self._here.kept_texts(manifest.KEPT)
            named = {name for text in texts.values() if text for name in manifest.read(text).names()}
            for name in list(self._store.names()):
                if name not in named:
                    self._store.remove(name)
        except (KpiError, OSError, ValueError) as error:
            log.warning("files of the lake that nobody needs were not removed", exc_info=error)
