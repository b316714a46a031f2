"""What a benchmark tells: measures with their bars, CPU of a process tree, and the table that is printed of them."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

THREADS = 2  # of every engine that is compared, as the product's setting has it
CLOCK_OF_A_PROCESS = 2  # Linux: CPUCLOCK_SCHED, user and system time of all its threads in nanoseconds
BEST_OF = 3


@dataclass(frozen=True)
class Measure:
    """One figure. unit: s, ms (both CPU), MB, × (a ratio within one run), % or nothing. bar: the most that is wanted;
    of: what it is wanted of where that was not measured (another scale), so that it is told and not held."""

    part: str
    what: str
    figure: float
    unit: str
    bar: float | None = None
    note: str = ""
    of: str = ""

    @property
    def missed(self) -> bool:
        """Whether there is a bar and the figure is beyond it."""
        return self.bar is not None and not self.of and not self.figure <= self.bar

    def cells(self) -> tuple[str, ...]:
        """Its row of the table."""
        state = "" if self.bar is None or self.of else "**missed**" if self.missed else "met"
        bar = "" if self.bar is None else f"≤ {_number(self.bar)}{' at ' if self.of else ''}{self.of}"
        return self.part, self.what, f"{_number(self.figure)} {self.unit}".strip(), bar, state, self.note


HEADS = ("part", "measure", "figure", "bar", "", "beside")


def _number(value: float) -> str:
    digits = 0 if abs(value) >= 100 or value % 1 == 0 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}"


def machine() -> str:
    """Cores, memory, processor, Python, DuckDB and the day: what figures depend on."""
    import duckdb

    facts = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.partition(": ")[2] for line in facts.splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return (
        f"{os.cpu_count()} cores ({names[0] if names else platform.machine()}), {memory:.0f} GB, "
        f"Python {platform.python_version()}, DuckDB {duckdb.__version__}, {time.strftime('%d %b %Y')}"
    )


def as_table(measures: Iterable[Measure]) -> str:
    """Markdown, as docs/performance.md shows it."""
    rows = [HEADS, *(m.cells() for m in measures)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADS))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])


def cpu_seconds() -> float:
    """CPU of this process and its children so far, also of those that still run (the worker that computes SQL)."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime + sum(map(_cpu_of, children()))


def children(parent: int | None = None) -> list[int]:
    """The ids of a process's living children."""
    found, parent = [], parent or os.getpid()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[1]) == parent:
            found.append(int(stat.parent.name))
    return found


def _cpu_of(process: int) -> float:
    try:
        return time.clock_gettime((~process << 3) | CLOCK_OF_A_PROCESS)
    except OSError:  # it has just ended
        return 0.0


def best(work: Callable[[], Any], runs: int = BEST_OF) -> float:
    """Least CPU seconds of a few runs after one that warms up."""
    work()
    found = []
    for _ in range(runs):
        before = cpu_seconds()
        work()
        found.append(cpu_seconds() - before)
    return min(found)


def watched(command: list[str], environment: dict[str, str] | None = None) -> Iterator[tuple[dict[str, Any], float]]:
    """Each JSON line that a process prints, with the most memory in MB that it and its children had since the line
    before. Raises CalledProcessError if it fails."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        peak, over = [0.0], threading.Event()

        def look() -> None:
            while not over.wait(0.05):
                peak[0] = max(peak[0], sum(map(_memory_of, [process.pid, *children(process.pid)])))

        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        try:
            for line in process.stdout:
                yield json.loads(line), peak[0]
                peak[0] = 0.0
        finally:
            over.set()
            looking.join()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


def _memory_of(process: int) -> float:
    """MB of a process, what it shares with others divided by their number."""
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:  # it has just ended
        return 0.0
    return float(text.split("Pss:")[1].split()[0]) / 1024 if "Pss:" in text else 0.0
