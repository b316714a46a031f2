"""What this machine lets the process take: its memory and its cores, and the shares of them that we take by default.

A container's limit is the system's to hold: who goes by the memory that is built in is killed for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

MB, GB = 10**6, 10**9
UNKNOWN_MEMORY = 8 * GB  # where the system does not say
MOST_LOADING, LEAST_LOADING = 16 * GB, 500 * MB
MOST_QUERY, LEAST_QUERY = 2 * GB, GB  # a runaway is not let go further on a large machine
OURS = 500 * MB  # of this process besides the engine: the interpreter, its libraries, frames
MOST_THREADS = 8  # the engine needs memory for each, and a worker's is a share of MOST_QUERY
ROOT = Path("/")


@dataclass(frozen=True)
class Machine:
    """memory: bytes that this process and its children may take. cores: that they may run on."""

    memory: int
    cores: int

    @property
    def loading(self) -> str:
        """Memory of the engine that loads. With one process that computes and ourselves it stays within the machine."""
        room = self.memory - self._query - OURS
        return _megabytes(max(LEAST_LOADING, min(MOST_LOADING, self.memory // 2, room)))

    @property
    def query(self) -> str:
        """Memory of one process that computes definitions."""
        return _megabytes(self._query)

    @property
    def _query(self) -> int:
        return max(LEAST_QUERY, min(MOST_QUERY, self.memory // 4))

    @property
    def threads(self) -> int:
        """Threads of one process's queries: no more than cores, and a gigabyte of the machine for each."""
        return max(1, min(self.cores, MOST_THREADS, self.memory // GB))


@lru_cache
def this_machine(root: Path = ROOT) -> Machine:
    """What the system says, and the control group that this process is in (Linux). root: where /proc and /sys are."""
    memory = [built_in() or UNKNOWN_MEMORY]
    cores: list[float] = [_allowed_cores()]
    for folder in _groups(root):
        memory += [limit for name in ("memory.max", "memory.limit_in_bytes") if (limit := _number(folder / name))]
        cores += [share for share in (_share_of_two(folder), _share_of_one(folder)) if share]
    return Machine(min(memory), max(1, int(min(cores))))


def built_in() -> int:
    """Bytes of memory that the machine has; 0 where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 0


def _allowed_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _groups(root: Path) -> Iterator[Path]:
    """Folders of the control group that this process is in, and of those around it, which limit it as well.

    Lines of /proc/self/cgroup: `0::/path` (version 2), `4:memory:/path` (version 1, a tree for each controller).
    Within a container the path may be one of the host's: its own group is at the top of the tree then.
    """
    tree = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        top = tree / controllers if controllers else tree
        within = PurePosixPath(path.lstrip("/"))
        for part in (within, *within.parents):
            yield top / part


def _share_of_two(folder: Path) -> float:
    """Cores that version 2's `cpu.max` allows (`QUOTA PERIOD`, or `max PERIOD`); 0 = no limit."""
    words = _text(folder / "cpu.max").split()
    return int(words[0]) / int(words[1]) if len(words) == 2 and all(word.isdigit() for word in words) else 0


def _share_of_one(folder: Path) -> float:
    """Cores that version 1 allows; 0 = no limit."""
    quota, period = (_number(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    return quota / period if quota and period else 0


def _number(file: Path) -> int:
    """A whole number above zero; 0 for anything else, such as `max` and -1."""
    word = _text(file).strip()
    return int(word) if word.isdigit() else 0


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError):
        return ""


def _megabytes(size: int) -> str:
    return f"{size // MB}MB"
