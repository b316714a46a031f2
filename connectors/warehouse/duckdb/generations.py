"""Immutable generation files and the pointer to the live one (DESIGN 4).

A sync writes its own copy and moves the pointer when it is complete, so readers are never in the way
and never see half of it.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from connectors.errors import DiskFull, NoData, SyncRunning

KEPT_BEFORE_LIVE = 2
LEAST_ROOM = 8 << 20  # bytes
STAGED = ".staging"  # until it is published
IMPACTS = ".impacts"  # what was measured from it: goes when it goes


class Generations:
    """The folder data/generations and its pointer data/live."""

    def __init__(self, data: Path) -> None:
        self.data, self.folder, self.pointer = data, data / "generations", data / "live"

    def live(self) -> Path | None:
        """File of the live generation; None before the first publish."""
        try:
            name = os.readlink(self.pointer) if self.pointer.is_symlink() else self.pointer.read_text().strip()
        except FileNotFoundError:
            return None
        path = self.folder / Path(name).name
        return path if path.exists() else None

    def require_live(self) -> Path:
        """File of the live generation. Raises NoData."""
        path = self.live()
        if path is None:
            raise NoData("no data yet", where=str(self.data), hint="Run `kpi sync`.")
        return path

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the project's sync lock. Raises SyncRunning at once if another process has it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.data / "sync.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise SyncRunning(
                "another sync is running", where=str(self.data), hint="Wait for it; `kpi status` shows its result."
            ) from None
        try:
            yield
        finally:
            lock.release()

    def stage(self, now: datetime) -> Path:
        """A new file, a copy of the live one where there is one. The name is never used twice,

        because an orphan .wal beside a reused name would be replayed. Raises DiskFull before it copies.
        """
        path = self.folder / f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}{STAGED}"
        live, free, needed = self.live(), shutil.disk_usage(self.folder).free, self.room_needed()
        if free < needed:
            raise DiskFull(
                f"{free >> 20} MB are free, a new generation needs {needed >> 20} MB",
                where=str(self.data),
                hint="Nothing was changed; the live generation is as it was. Make room and sync again.",
            )
        if live is not None:
            try:
                shutil.copyfile(live, path)
            except OSError as error:
                self.discard(path)
                raise DiskFull(
                    f"the live generation cannot be copied: {error.strerror}",
                    where=str(self.data),
                    hint="Nothing was changed. Make room and sync again.",
                ) from error
        return path

    def room_needed(self) -> int:
        """Bytes that a sync needs at the least: a copy of the live generation and some of it anew."""
        live = self.live()
        return int(1.2 * live.stat().st_size) + LEAST_ROOM if live else LEAST_ROOM

    def publish(self, path: Path) -> Path:
        """Make the staged `path` the live generation: file on disk first, then the pointer, in one step."""
        _fsync(path)
        published = path.with_suffix(".duckdb")
        os.replace(path, published)
        _fsync(self.folder)
        self.point(published)
        return published

    def point(self, published: Path) -> None:
        """Make a published file the live one, in one step."""
        fresh = self.data / f".live-{uuid.uuid4().hex[:8]}"
        try:
            fresh.symlink_to(Path("generations") / published.name)
        except OSError:  # file systems without symlinks: a small text file does the same
            fresh.write_text(published.name)
            _fsync(fresh)
        os.replace(fresh, self.pointer)
        _fsync(self.data)

    def discard(self, path: Path) -> None:
        """Remove a staged file that is not published."""
        path.unlink(missing_ok=True)
        Path(f"{path}.wal").unlink(missing_ok=True)

    def impacts(self, generation: str) -> Path:
        """File of the impacts of launches that were measured from a published generation; may not exist."""
        return self.folder / f"{generation}{IMPACTS}"

    def collect(self) -> None:
        """Delete generations older than the live one and the two before it, and all orphans.

        Call with the lock held: a staged file then belongs to a sync that died. By time, not by name:
        `--now` may name a generation earlier than the one before it.
        """
        live = self.live()
        published = [path for path in self.folder.glob("*.duckdb") if path != live]
        keep = {live, *sorted(published, key=lambda path: path.stat().st_mtime_ns)[-KEPT_BEFORE_LIVE:]}
        keep |= {self.impacts(path.stem) for path in keep if path}
        for path in self.folder.iterdir():
            if path not in keep:  # every .wal too: a published file is checkpointed and has none
                path.unlink(missing_ok=True)
        for leftover in self.data.glob(".live-*"):
            leftover.unlink(missing_ok=True)


def _fsync(path: Path) -> None:
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:  # Windows cannot open a directory
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
