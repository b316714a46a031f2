"""Whether a generation's file is what was published: cheaply when it is opened, in whole by its checksum.

A published file never changes, so what was found out about one holds for as long as its time and size stay.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.errors import KpiError, counted
from connectors.warehouse.duckdb.notes import Note, digest_of, noted, shared_folder

if TYPE_CHECKING:
    from connectors.warehouse.duckdb.reader import DuckReader

HEADER = 3 * 4096  # of a DuckDB file; its magic word is at byte 8
MAGIC = b"DUCK"
FORGET_SECONDS = 5.0  # a file that cannot be read just now is tried again
MOST_KNOWN = 10_000
# What the engine says of a file that may be whole all the same.
NOT_DAMAGE = (
    "set lock on file",
    "permission denied",
    "too many open files",
    "out of memory",
    "cannot allocate",
    "can only read version",
    "newer version",
    "different configuration",
)
CORRUPT = ("Corrupt database", "does not match stored checksum", "Could not read enough")
Open = Callable[[Path], "DuckReader"]


@dataclass(frozen=True)
class Finding:
    """What is wrong with one file; no problem = nothing. damaged: it will never be read again, whatever is tried."""

    problem: str = ""
    damaged: bool = False
    sequence: int = 0  # if it was opened


@dataclass(frozen=True)
class _Known:
    finding: Finding
    opened: bool
    until: float | None = None  # by the monotonic clock; None = as long as the file does not change


_known: dict[tuple[object, ...], _Known] = {}


def glance(path: Path) -> Finding:
    """What a look at the file itself tells, and whatever was found out about it before. Opens nothing anew."""
    key, shape = _shape(path)
    if shape.problem:
        return shape
    known = _remembered(key)
    if known is not None:
        return known.finding
    return _keep(key, _header(path), opened=False)


def opened(path: Path, open_: Open) -> Finding:
    """The same, and it was opened once: it has our books, and its newest row is of its own name."""
    reader, found = tried(path, open_, anew=False)
    if reader is not None:
        reader.close()
    return found


def tried(path: Path, open_: Open, *, anew: bool = True) -> tuple[DuckReader | None, Finding]:
    """A reader of a file, or what is wrong with it. anew: also where it was opened before."""
    key, shape = _shape(path)
    if shape.problem:
        return None, shape
    known = _remembered(key) or _Known(_header(path), opened=False)
    if known.finding.problem or (known.opened and not anew):
        return None, known.finding
    reader, found = _read(path, open_)
    return reader, _keep(key, found, opened=True)


def in_whole(path: Path, open_: Open) -> Finding:
    """The same, and its bytes are those that were noted. Reads all of the file."""
    found, kept = opened(path, open_), noted(path)
    if found.problem or kept is None:
        return found
    folder = shared_folder(path)
    try:
        same = digest_of(path) == kept.sha256
        same = same and all(digest_of(folder / name) == file.sha256 for name, file in kept.shared.items())
    except OSError as error:
        return Finding(f"cannot be read: {error.strerror or error}")
    return found if same else mark(path, "its checksum is not the one noted when it was published")


def mark(path: Path, problem: str) -> Finding:
    """Remember that a file is damaged: what reading it showed."""
    key, shape = _shape(path)
    return shape if shape.problem else _keep(key, Finding(problem, True), opened=True)


def corrupt(error: Exception) -> bool:
    """Whether the engine, in the middle of reading, says that the file is not what it wrote."""
    words = str(error)
    return any(
        told in words for told in ("Corrupt database", "does not match stored checksum", "Could not read enough")
    )


def _shape(path: Path) -> tuple[tuple[object, ...], Finding]:
    """What the folder tells of a file: by what it is known, and whether it is one."""
    try:
        seen = path.stat()
    except OSError as error:
        return (), Finding(f"cannot be read: {error.strerror or error}", isinstance(error, FileNotFoundError))
    if not stat.S_ISREG(seen.st_mode):
        return (), Finding("is no file", True)
    return (str(path), seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino, _folder(path)), Finding()


def _folder(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of each file in the folder beside a generation; none where there is no such folder."""
    try:
        with os.scandir(shared_folder(path)) as entries:
            found = [(entry.name, entry.stat()) for entry in entries]
    except OSError:
        return ()
    return tuple(sorted((name, seen.st_size, seen.st_mtime_ns) for name, seen in found))


def _header(path: Path) -> Finding:
    kept = noted(path)
    try:
        with path.open("rb") as file:
            head, size = file.read(HEADER), os.fstat(file.fileno()).st_size
    except OSError as error:
        return Finding(f"cannot be read: {error.strerror or error}")
    if kept is not None and size != kept.size:
        return Finding(f"has {counted(size, 'byte')}; {kept.size:,} were published", True)
    if len(head) < HEADER or head[8:12] != MAGIC:
        return Finding("is no DuckDB file", True)
    return _shared(path, kept) if kept is not None else Finding()


def _shared(path: Path, kept: Note) -> Finding:
    """Whether the files beside a generation are there, as long as they were."""
    for name, file in kept.shared.items():
        place = shared_folder(path) / name
        try:
            size = place.stat().st_size
        except OSError as error:
            missing = isinstance(error, FileNotFoundError | NotADirectoryError)
            return Finding(f"lacks its file {name}" if missing else f"cannot be read: {error.strerror}", missing)
        if size != file.size:
            return Finding(f"has {counted(size, 'byte')} in {name}; {file.size:,} were published", True)
    return Finding(sequence=kept.sequence)


def _read(path: Path, open_: Open) -> tuple[DuckReader | None, Finding]:
    import duckdb  # not before a file is opened

    try:
        reader = open_(path)
    except OSError as error:
        return None, Finding(f"cannot be read: {error.strerror or error}")
    except IndexError:
        return None, Finding("holds no generation", True)
    except (KpiError, duckdb.Error, RuntimeError, ValueError, TypeError) as error:
        words = (error.message if isinstance(error, KpiError) else str(error)).split("\n", 1)[0]
        damaged = not any(told in words.lower() for told in NOT_DAMAGE)
        return None, Finding(f"cannot be opened: {words or type(error).__name__}", damaged)
    if reader.generation.id != path.stem:
        reader.close()
        return None, Finding(f"holds generation {reader.generation.id}", True)
    return reader, Finding(sequence=reader.generation.sequence)


def _keep(key: tuple[object, ...], finding: Finding, *, opened: bool) -> Finding:
    if len(_known) > MOST_KNOWN:
        _known.clear()
    passing = bool(finding.problem) and not finding.damaged
    _known[key] = _Known(finding, opened, time.monotonic() + FORGET_SECONDS if passing else None)
    return finding


def _remembered(key: tuple[object, ...]) -> _Known | None:
    known = _known.get(key)
    return None if known is None or (known.until is not None and time.monotonic() > known.until) else known
