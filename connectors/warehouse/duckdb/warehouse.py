"""A project's generations as DuckDB files in its data folder. DuckDB itself is loaded when one is opened."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.cage.cage import cage
from connectors.cage.limits import Limits
from connectors.errors import NoData, WarehouseError
from connectors.warehouse.contract import Check, LiveFiles, Room
from connectors.warehouse.duckdb.generations import Generations
from connectors.warehouse.duckdb.notes import SUM, noted, shared_folder
from connectors.warehouse.duckdb.recovering import Recovery
from connectors.warehouse.duckdb.verifying import in_whole, mark, tried

if TYPE_CHECKING:
    from connectors.warehouse.duckdb.reader import DuckReader
    from connectors.warehouse.duckdb.staging import DuckStaging
    from connectors.warehouse.duckdb.tables import DuckLoading


class DuckWarehouse:
    """The Warehouse that is embedded. data: the project's data folder; memory_limit, threads: of one process.

    limits: of what computes SQL of definitions. shared_from: bytes of a generation from which large tables lie in
    files that generations share. computes: whether its own rows are what is computed, and not an engine's.
    """

    def __init__(
        self, data: Path, *, memory_limit: str, threads: int, limits: Limits, shared_from: int, computes: bool = True
    ) -> None:
        self._data, self._memory_limit, self._threads, self._limits = data, memory_limit, threads, limits
        self._shared_from, self._computes = shared_from, computes
        self._generations = Generations(data)
        self._recovery = Recovery(self._generations, self._reader)

    def live(self) -> str | None:
        """Id of the live generation; None before the first publish. Raises DamagedData."""
        path = self._live()
        return path.stem if path else None

    def damage(self) -> Sequence[str]:
        """What is wrong with the pointer or the live generation, and what is read instead."""
        return self._recovery.told()

    def reader(self) -> DuckReader:
        """A reader of the live generation, opened anew. Raises NoData, DamagedData."""
        while (path := self._live()) is not None:
            reader, found = tried(path, self._reader)
            if reader is not None:
                return reader
            if not found.problem:
                break
        raise NoData("no data yet", where=str(self._data), hint="Run `kpi sync`.")

    @contextmanager
    def staging(self, now: datetime, *, anew: bool = False) -> Iterator[DuckStaging]:
        """A generation in the making, under the sync lock. Raises SyncRunning, DiskFull, DamagedData, FolderError."""
        from connectors.warehouse.duckdb.reader import full_disk_told
        from connectors.warehouse.duckdb.staging import DuckStaging

        generations = self._generations
        with generations.lock():
            if anew:
                self._recovery.begin_anew()
            with full_disk_told():
                path = self._staged(now, anew=anew)
            memory, threads = self._memory_limit, self._threads
            staging = DuckStaging(
                *(generations, path),
                now=now,
                memory_limit=memory,
                threads=threads,
                cage=cage(self._limits),
                shared_from=self._shared_from,
            )
            staging.computes = self._computes
            if self._computes:
                staging.compute_own()
            try:
                with full_disk_told():
                    yield staging
            finally:
                staging.close()
                generations.discard(path)  # nothing there any more if it was published
                generations.collect(self._recovery.pointed_good())

    def _staged(self, now: datetime, *, anew: bool) -> Path:
        """A copy of the newest generation that is good in whole; with `anew`, nothing."""
        while True:
            live = None if anew else self._recovery.mend()[0]
            self._generations.collect(live)
            path, same = self._generations.stage(now, live)
            if same or live is None:
                return path
            self._generations.discard(path)
            mark(live, "is not what was published, by its checksum")

    def check(self) -> Sequence[Check]:
        """Read every published generation in whole, and look at the pointer."""
        return self._recovery.check()

    def repair(self) -> Sequence[str]:
        """Put aside what is damaged, make the newest good generation live. Raises DamagedData, SyncRunning."""
        with self._generations.lock():
            return self._recovery.mend(whole=True)[1]

    def held(self) -> AbstractContextManager[None]:
        """The sync lock alone. Raises SyncRunning, FolderError."""
        return self._generations.lock()

    @contextmanager
    def scratch(self, now: datetime, *, small: bool = False) -> Iterator[DuckLoading]:
        """Empty tables in a file of the data folder, or in memory; gone at the end."""
        from connectors.warehouse.duckdb.reader import spill_in
        from connectors.warehouse.duckdb.tables import DuckLoading

        name = f"scratch-{uuid.uuid4().hex[:8]}"
        path, spill = Path(":memory:") if small else self._data / f"{name}.duckdb", spill_in(self._data, name)
        loading = DuckLoading(path, now=now, memory_limit=self._memory_limit, threads=self._threads, spill=spill)
        try:
            yield loading
        finally:
            loading.close()
            if not small:
                self._generations.discard(path)

    def companion(self, generation: str, of: str = "impacts") -> Path:
        """A file beside a published generation; may not exist."""
        return self._generations.companion(generation, of)

    def room(self) -> Room:
        """What a sync needs on the data folder's disk and what there is."""
        live = self._live()
        free = shutil.disk_usage(self._data).free
        shared = sum(path.stat().st_size for path in _beside(live)) if live else 0
        return Room(free, live.stat().st_size + shared if live else 0, self._generations.room_needed(live))

    def live_files(self) -> LiveFiles | None:
        """The live generation's file, what it shares, and the note beside it."""
        path = self._live()
        if path is None:
            return None
        kept, place = noted(path), f"data/generations/{path.name}"
        folder = f"data/generations/{shared_folder(path).name}"
        files = {place: path, **{f"{folder}/{file.name}": file for file in _beside(path)}}
        if kept is None:
            return LiveFiles(path.stem, files)
        beside = path.with_suffix(SUM)
        sums = {place: kept.sha256, **{f"{folder}/{name}": file.sha256 for name, file in kept.shared.items()}}
        return LiveFiles(path.stem, {**files, f"data/generations/{beside.name}": beside}, sums)

    def restore(self, generation: str) -> None:
        """Make a file that was put back the live one, once it was read in whole. Raises WarehouseError."""
        path = self._generations.folder / f"{generation}.duckdb"
        found = in_whole(path, self._reader)
        if found.problem:
            raise WarehouseError(f"generation {generation} {found.problem}")
        self._generations.point(path)
        kept = noted(path)
        for other in self._generations.published() if kept else []:
            if (later := noted(other)) is not None and kept is not None and later.sequence > kept.sequence:
                self._generations.put_aside(other)

    def kept_texts(self, name: str) -> Mapping[str, str | None]:
        """Each generation that is kept → its text of this name. Raises WarehouseError where one cannot be read."""
        from connectors.warehouse.duckdb.reader import refusal_told

        found = {}
        for path in self._generations.published():
            with refusal_told(), closing(self._reader(path)) as reader:
                found[path.stem] = reader.published_files().get(name)
        return found

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

    def _live(self) -> Path | None:
        """The file that is read. Where pointer and file look good, that loads no engine."""
        return self._recovery.live().path

    def _reader(self, path: Path) -> DuckReader:
        from connectors.warehouse.duckdb.watching import WatchedReader

        memory, threads = self._memory_limit, self._threads
        reader = WatchedReader(path, memory_limit=memory, threads=threads, cage=cage(self._limits))
        reader.computes = self._computes
        return reader


def _beside(path: Path) -> list[Path]:
    """The files in the folder beside a generation."""
    folder = shared_folder(path)
    return sorted(folder.iterdir()) if folder.is_dir() else []
