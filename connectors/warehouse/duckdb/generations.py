"""Immutable generation files and the pointer to the live one (DESIGN 4).

A sync writes its own copy and moves the pointer when it is complete, so readers are never in the way
and never see half of it. Which file is live when something is damaged: recovering.py.
"""

from __future__ import annotations

import os
import shutil
import stat
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from connectors.errors import DiskFull, FolderError, SyncRunning
from connectors.warehouse.contract import COMPANIONS
from connectors.warehouse.duckdb.computing import SPILL
from connectors.warehouse.duckdb.notes import SHARED, SUM, Note, NotedFile, digest_of, note, noted, shared_folder
from connectors.warehouse.on_disk import fsync

KEPT_BEFORE_LIVE = 2
LEAST_ROOM = 8 << 20  # bytes
LONGEST_NAME = 255
STAGED = ".staging"  # until it is published


class Generations:
    """The folder data/generations, its pointer data/live, and data/damaged, where damaged files are kept."""

    def __init__(self, data: Path) -> None:
        self.data, self.folder, self.pointer = data, data / "generations", data / "live"
        self.aside = data / "damaged"

    def pointed(self) -> tuple[Path | None, str]:
        """The file that the pointer names, whether or not it is there; or what is wrong with the pointer.

        None and no words: there is no pointer.
        """
        try:
            mode = self.pointer.lstat().st_mode
            if stat.S_ISLNK(mode):
                name = os.readlink(self.pointer)
            elif stat.S_ISREG(mode):
                with self.pointer.open("rb") as file:
                    name = file.read(LONGEST_NAME + 1).decode().strip()
            else:
                return None, "data/live is neither a link nor a file"
        except FileNotFoundError:
            return None, ""
        except UnicodeDecodeError:
            return None, "data/live names no generation"
        except OSError as error:
            return None, f"data/live cannot be read: {error.strerror or error}"
        name = name.replace("\\", "/").rpartition("/")[2]
        if not name.endswith(".duckdb") or len(name) > LONGEST_NAME or not name.isprintable():
            return None, "data/live names no generation"
        return self.folder / name, ""

    def published(self) -> list[Path]:
        """Every file of a published generation. Raises FolderError if the folder cannot be read."""
        try:
            return sorted(path for path in self.folder.iterdir() if path.suffix == ".duckdb")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise FolderError(
                f"cannot be read: {error.strerror or error}", where=str(self.folder), hint=f"{self.rights()}"
            ) from error

    def rights(self) -> str:
        """Whose the data folder is, and who asks."""
        try:
            owner = self.data.stat().st_uid
        except OSError:
            return "Look at the folder's owner and rights."
        me = os.geteuid() if hasattr(os, "geteuid") else owner
        if owner == me:
            return "Look at the folder's rights, and whether its disk is mounted read-only."
        return f"It belongs to user {owner}, this is user {me}: run as that user, or `chown -R {me} {self.data}`."

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the project's sync lock. Raises SyncRunning at once if another process has it, FolderError."""
        lock = FileLock(self.data / "sync.lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout:
            raise SyncRunning(
                "another sync is running", where=str(self.data), hint="Wait for it; `kpi status` shows its result."
            ) from None
        except OSError as error:
            raise FolderError(
                f"cannot be written: {error.strerror or error}",
                where=str(self.data),
                hint=f"Nothing was changed; what was published can be read. {self.rights()}",
            ) from error
        try:
            yield
        finally:
            lock.release()

    def stage(self, now: datetime, live: Path | None) -> tuple[Path, bool]:
        """A new file, a copy of the live one where there is one; and whether that is what was published.

        The name is never used twice, because an orphan .wal beside a reused name would be replayed. Raises DiskFull
        before it copies, FolderError.
        """
        path = self.folder / f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}{STAGED}"
        free, needed = shutil.disk_usage(self.folder).free, self.room_needed(live)
        if free < needed:
            raise DiskFull(
                f"{free >> 20} MB are free, a new generation needs {needed >> 20} MB",
                where=str(self.data),
                hint="Nothing was changed; the live generation is as it was. Make room and sync again.",
            )
        if live is None:
            return path, True
        kept = noted(live)
        try:
            # Reading all of it takes 1 s/GB, so only where somebody wrote to the file; `kpi doctor --deep` always does.
            touched = kept is not None and live.stat().st_mtime_ns != kept.written
            shutil.copyfile(live, path)
            same = kept is None or not touched or digest_of(path) == kept.sha256
            same = _linked(shared_folder(live), shared_folder(path), kept) and same
        except OSError as error:
            self.discard(path)
            raise DiskFull(
                f"the live generation cannot be copied: {error.strerror}",
                where=str(self.data),
                hint="Nothing was changed. Make room and sync again.",
            ) from error
        return path, same

    def room_needed(self, live: Path | None) -> int:
        """Bytes that a sync needs at the least: a copy of the live generation and some of it anew."""
        return int(1.2 * live.stat().st_size) + LEAST_ROOM if live else LEAST_ROOM

    def publish(self, path: Path, sequence: int, files: Sequence[Path] = ()) -> Path:
        """Make the staged `path` the live generation: files and note on disk first, then the pointer, in one step.

        files: in the folder beside it, which its tables lie in, too; all others there go.
        """
        with ThreadPoolExecutor(1) as beside:
            digest = beside.submit(digest_of, path)
            fsync(path)
            note(path, sequence, digest.result(), self._only(shared_folder(path), files))
        published = path.with_suffix(".duckdb")
        os.replace(path, published)
        fsync(self.folder)
        self.point(published)
        return published

    def _only(self, folder: Path, files: Sequence[Path]) -> Mapping[str, NotedFile]:
        """Leave these files in a folder, and see them on the disk. Files that a generation before had are known."""
        if not files:
            shutil.rmtree(folder, ignore_errors=True)
            return {}
        for path in set(folder.iterdir()) - set(files):
            path.unlink()
        before = [kept for path in self.published() if (kept := noted(path)) is not None]
        known = {name: file for kept in before for name, file in kept.shared.items()}
        found = {}
        for path in files:
            same = known.get(path.name)
            if same is None or not same.looks_same(path):
                fsync(path)
                seen = path.stat()
                same = NotedFile(seen.st_size, digest_of(path), seen.st_mtime_ns)
            found[path.name] = same
        fsync(folder)
        return found

    def point(self, published: Path) -> None:
        """Make a published file the live one, in one step."""
        fresh = self.data / f".live-{uuid.uuid4().hex[:8]}"
        try:
            fresh.symlink_to(Path("generations") / published.name)
        except OSError:  # file systems without symlinks: a small text file does the same
            fresh.write_text(published.name)
            fsync(fresh)
        os.replace(fresh, self.pointer)
        fsync(self.data)

    def put_aside(self, path: Path) -> Path | None:
        """Move what is damaged to data/damaged, never over what is there. None = it is not there at all."""
        beside = [path.with_suffix(SUM), shared_folder(path)] if path.suffix == ".duckdb" else []
        beside = [other for other in beside if other.is_file() or other.is_dir()]
        there = os.path.lexists(path)
        if not there and shared_folder(path) not in beside:
            return None
        self.aside.mkdir(exist_ok=True)
        target = self.aside / path.name
        if any(os.path.lexists(f"{target}{end}") for end in ("", SHARED)):
            target = self.aside / f"{path.name}.{uuid.uuid4().hex[:8]}"
        if there:  # else rows that it shares are all that is left of it
            os.replace(path, target)
        for other in beside:
            os.replace(other, f"{target}{other.suffix}")
        return target if there else None

    def kept_aside(self) -> list[Path]:
        """What was put aside as damaged."""
        with suppress(OSError):
            return sorted(path for path in self.aside.iterdir() if path.suffix not in (SUM, SHARED))
        return []

    def discard(self, path: Path) -> None:
        """Remove a staged file that is not published, with what it shares."""
        path.unlink(missing_ok=True)
        Path(f"{path}.wal").unlink(missing_ok=True)
        if not path.with_suffix(".duckdb").exists():
            shutil.rmtree(shared_folder(path), ignore_errors=True)

    def companion(self, generation: str, of: str) -> Path:
        """A file beside a published generation; may not exist."""
        return self.folder / f"{generation}.{of}"

    def collect(self, live: Path | None) -> None:
        """Delete generations older than the live one and the two before it, and all orphans.

        Call with the lock held: a staged file then belongs to a sync that died. By number, not by time or name: a
        clock may have jumped, and `--now` may name a generation earlier than the one before it. Without a live one
        no generation goes.
        """
        others = sorted((path for path in self.published() if path != live), key=_age)
        keep = {live, *(others[-KEPT_BEFORE_LIVE:] if live else others)}
        named = [path for path in keep if path]
        keep |= {path.with_suffix(SUM) for path in named}
        keep |= {self.companion(path.stem, of) for path in named for of in COMPANIONS}
        keep |= {shared_folder(path) for path in named}
        gone = [path for path in self.folder.iterdir() if path not in keep]
        for path in gone:  # every .wal too: a published file is checkpointed and has none
            with suppress(IsADirectoryError, PermissionError):  # a folder is none of ours
                path.unlink(missing_ok=True)
        for path in gone:  # after their generations, none of which is without its files then
            if path.suffix == SHARED:
                shutil.rmtree(path, ignore_errors=True)
        for leftover in self.data.glob(".live-*"):
            leftover.unlink(missing_ok=True)
        for spill in self.data.glob(f"{SPILL}*"):
            if not _runs(spill.name.rpartition("-")[2]):  # of a worker that was killed
                shutil.rmtree(spill, ignore_errors=True)


def _linked(folder: Path, own: Path, kept: Note | None) -> bool:
    """Give a staged generation the files of a published one: the same ones, where the system links files.

    Returns whether they are what was published. Raises OSError.
    """
    if not folder.is_dir():
        return True
    own.mkdir()
    same = True
    for path in sorted(folder.iterdir()):
        target, known = own / path.name, kept.shared.get(path.name) if kept else None
        try:
            os.link(path, target)
        except OSError:
            shutil.copy2(path, target)
        if known is not None and not known.looks_same(path):
            same = same and digest_of(path) == known.sha256
    return same


def _age(path: Path) -> tuple[int, int]:
    """Later is more: by the number noted, those of an earlier version by when they were written."""
    kept = noted(path)
    try:
        return kept.sequence if kept else 0, path.lstat().st_mtime_ns
    except OSError:
        return 0, 0


def _runs(process: str) -> bool:
    """Whether a process of this number is there."""
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True
