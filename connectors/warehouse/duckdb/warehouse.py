"""A project's generations as DuckDB files in its data folder. DuckDB itself is loaded when one is opened."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.cage.cage import cage
from connectors.cage.limits import Limits
from connectors.warehouse.contract import LiveFiles, Room
from connectors.warehouse.duckdb.generations import Generations

if TYPE_CHECKING:
    from connectors.warehouse.duckdb.reader import DuckReader
    from connectors.warehouse.duckdb.staging import DuckLoading, DuckStaging


class DuckWarehouse:
    """The Warehouse that is embedded. data: the project's data folder; memory_limit, threads: of one process.

    limits: of what computes SQL of definitions.
    """

    def __init__(self, data: Path, *, memory_limit: str, threads: int, limits: Limits) -> None:
        self._data, self._memory_limit, self._threads, self._limits = data, memory_limit, threads, limits
        self._generations = Generations(data)

    def live(self) -> str | None:
        """Id of the live generation; None before the first publish."""
        path = self._generations.live()
        return path.stem if path else None

    def reader(self) -> DuckReader:
        """A reader of the live generation, opened anew. Raises NoData."""
        return self._reader(self._generations.require_live())

    @contextmanager
    def staging(self, now: datetime) -> Iterator[DuckStaging]:
        """A generation in the making, under the sync lock. Raises SyncRunning, DiskFull."""
        from connectors.warehouse.duckdb.reader import full_disk_told
        from connectors.warehouse.duckdb.staging import DuckStaging

        generations = self._generations
        with generations.lock():
            generations.collect()
            path = generations.stage(now)
            memory, threads = self._memory_limit, self._threads
            staging = DuckStaging(
                generations, path, now=now, memory_limit=memory, threads=threads, cage=cage(self._limits)
            )
            try:
                with full_disk_told():
                    yield staging
            finally:
                staging.close()
                generations.discard(path)  # nothing there any more if it was published
                generations.collect()

    @contextmanager
    def scratch(self, now: datetime, *, small: bool = False) -> Iterator[DuckLoading]:
        """Empty tables in a file of the data folder, or in memory; gone at the end."""
        from connectors.warehouse.duckdb.staging import DuckLoading

        path = Path(":memory:") if small else self._data / f"scratch-{uuid.uuid4().hex[:8]}.duckdb"
        loading = DuckLoading(path, now=now, memory_limit=self._memory_limit, threads=self._threads)
        try:
            yield loading
        finally:
            loading.close()
            if not small:
                self._generations.discard(path)

    def companion(self, generation: str) -> Path:
        """A file beside a published generation; may not exist."""
        return self._generations.companion(generation)

    def room(self) -> Room:
        """What a sync needs on the data folder's disk and what there is."""
        live = self._generations.live()
        free = shutil.disk_usage(self._data).free
        return Room(free, live.stat().st_size if live else 0, self._generations.room_needed())

    def live_files(self) -> LiveFiles | None:
        """The live generation's one file."""
        path = self._generations.live()
        return LiveFiles(path.stem, {f"data/generations/{path.name}": path}) if path else None

    def restore(self, generation: str) -> None:
        """Make a file that was put back the live one, once it could be opened. Raises WarehouseError."""
        from connectors.warehouse.duckdb.reader import refusal_told

        path = self._generations.folder / f"{generation}.duckdb"
        with refusal_told():
            self._reader(path).close()
        self._generations.point(path)

    def describe(self) -> str:
        """How the pointer to the live file is kept here. Raises OSError where nothing can be written."""
        probe = self._data / f".doctor-{uuid.uuid4().hex[:8]}"
        link = probe.with_suffix(".link")
        try:
            probe.write_text("x")
            try:
                link.symlink_to(probe.name)
            except OSError:
                return "no symlinks here: a pointer file is used"
            return "symlinks work"
        finally:
            probe.unlink(missing_ok=True)
            link.unlink(missing_ok=True)

    def _reader(self, path: Path) -> DuckReader:
        from connectors.warehouse.duckdb.reader import DuckReader

        return DuckReader(path, memory_limit=self._memory_limit, threads=self._threads, cage=cage(self._limits))
