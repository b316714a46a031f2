"""Reading files that people put into a project: only files, only of the folder, only of a size that somebody wrote."""

from __future__ import annotations

import os
import stat
from pathlib import Path

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class NoPlainFile(OSError):
    """It is no file, leads out of the folder, or is far too large: it was not read."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.strerror = words


def mark_of(path: Path) -> tuple[int, int, int, int]:
    """Size, times and place of a file; another one once it was written, or another file is in its place.

    With the time that only the system sets: who copies, unpacks or restores a file may keep the other one. Zeros for
    what cannot be looked at: whoever reads it says why.
    """
    try:
        seen = path.stat()
    except OSError:
        return 0, 0, 0, 0
    return seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino


def refusal(path: Path, *, within: Path | None = None) -> str:
    """Why a path is not read: what it is instead of a file; empty = it may be. within: the folder it may not leave.

    Opens nothing: a named pipe would wait for its writer. Raises OSError if there is nothing.
    """
    if within is not None and path.is_symlink() and not path.resolve().is_relative_to(within.resolve()):
        return "is a link out of the project's folder"
    mode = path.stat().st_mode
    return "" if stat.S_ISREG(mode) else f"is {KINDS.get(stat.S_IFMT(mode), 'no file')}, not a file"


def read_regular(path: Path, *, most: int, within: Path | None = None) -> bytes:
    """All of a file. Raises NoPlainFile at once for what is none or has more than `most` bytes; OSError."""
    if words := refusal(path, within=within):
        raise NoPlainFile(words)
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # it may have become a pipe meanwhile
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise NoPlainFile("is not a file")
        if found.st_size > most:
            raise NoPlainFile(f"has {found.st_size:,} bytes; {most:,} are read at the most")
        return file.read(most + 1)
