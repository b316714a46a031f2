"""The note beside a generation: its number, size and SHA-256, written when it is published, since it never changes.

With it the files of the folder beside it, which its tables lie in, too.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

SUM = ".sum"
SHARED = ".shared"  # a folder beside a generation: files that it may have in common with others
CHUNK = 1 << 20


@dataclass(frozen=True)
class NotedFile:
    """What was noted of a file. written: its time then, in ns."""

    size: int
    sha256: str
    written: int

    def looks_same(self, path: Path) -> bool:
        """By size and time. Raises OSError."""
        seen = path.stat()
        return (seen.st_size, seen.st_mtime_ns) == (self.size, self.written)


@dataclass(frozen=True)
class Note:
    """What was noted of a generation when it was published. written: the file's time then, in ns.

    shared: name → what was noted of each file in the folder beside it.
    """

    sequence: int
    size: int
    sha256: str
    written: int
    shared: Mapping[str, NotedFile] = field(default_factory=dict)


def shared_folder(path: Path) -> Path:
    """The folder beside a generation, staged or published."""
    return path.with_suffix(SHARED)


def noted(path: Path) -> Note | None:
    """What is noted of a generation; None where nothing is, or nothing that can be believed."""
    place = path.with_suffix(SUM)
    try:
        if not stat.S_ISREG(place.stat().st_mode):
            return None
        with place.open("rb") as file:
            found = json.loads(file.read(CHUNK))
        shared = {
            str(name): NotedFile(int(one["size"]), str(one["sha256"]), int(one["written"]))
            for name, one in found.get("shared", {}).items()
        }
        own = int(found["sequence"]), int(found["size"]), str(found["sha256"]), int(found["written"])
        kept = Note(*own, shared)
        whole = found["check"] == _check(kept)  # a note that is damaged says nothing about its generation
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return kept if whole else None


def note(path: Path, sequence: int, digest: str, shared: Mapping[str, NotedFile]) -> None:
    """Write the note of a file, onto the disk."""
    seen = path.stat()
    made = Note(sequence, seen.st_size, digest, seen.st_mtime_ns, shared)
    with path.with_suffix(SUM).open("w") as file:
        json.dump({**asdict(made), "check": _check(made)}, file)
        file.flush()
        os.fsync(file.fileno())


def _check(made: Note) -> int:
    files = "".join(f" {name} {f.size} {f.sha256} {f.written}" for name, f in sorted(made.shared.items()))
    return zlib.crc32(f"{made.sequence} {made.size} {made.sha256} {made.written}{files}".encode())


def digest_of(path: Path) -> str:
    """SHA-256 of a file. Chosen because a backup keeps it, too; 0.7 to 1.5 GB a second, without Python's lock."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
