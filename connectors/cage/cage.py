"""The outside: starts workers, asks them, ends the one that takes too long."""

from __future__ import annotations

import atexit
import math
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from multiprocessing.connection import Pipe
from pathlib import Path
from typing import Any

from connectors.cage.asker import asker
from connectors.cage.limits import LARGEST_ANSWER, Limits
from connectors.errors import KpiError, QueryLimit

ROOT = Path(__file__).resolve().parents[2]
START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from connectors.cage.worker import serve; "
    "serve(*map(int, sys.argv[2:5]), *sys.argv[5:])"
)
LOADED = ("pyarrow", "connectors.warehouse.duckdb.caged")  # when it starts: what nearly all are asked needs them
STARTING = 60.0  # seconds that a busy machine may take to start one; they are no part of an answer's
# All that a worker knows of its surroundings. What libraries would reserve and not use is no part of its memory:
# threads of a numeric library, an arena for each thread (64 MB), Arrow's own allocator (1 GB).
ENVIRONMENT = {
    **{"PATH": os.defpath, "LANG": "C.UTF-8", "TZ": "UTC"},
    **{
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
    },
}

TIME_HINT = "Narrow what is counted, or allow more with `query_timeout` in settings.yml."
MEMORY_HINT = "Narrow what is counted, or allow more with `query_memory` in settings.yml."
ROWS_HINT = "Count or group in SQL: a definition answers with a row for each period and segment."
BUSY_HINT = "Try again; `query_processes` in settings.yml says how many compute at a time."
OWN_HINT = "Who asks has one less of `query_processes` (settings.yml) at a time, so that others get answers."


class Worker:
    """One process. Asked by one thread at a time; of no use after an error that ended it (`alive`)."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._connection, theirs = Pipe()
        handle = theirs.fileno()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", START, str(ROOT), str(handle), str(os.getpid()), str(limits.memory), *LOADED],
            env=ENVIRONMENT,
            pass_fds=[handle],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl+C is for who asks; and what it started ends with it
        )
        theirs.close()
        self._started = False

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return not self._connection.closed and self._process.poll() is None

    def ask(self, function: str, *arguments: Any, most: float = math.inf) -> Any:
        """What `module:function` returns there. Raises its KpiError, or QueryLimit for what took too much.

        most: seconds, where less than usual is allowed.
        """
        if not self._started:
            self._started = self._connection.poll(STARTING) and self._heard() is None
            if not self._started:
                self.end()
                raise QueryLimit(f"no process to compute it started within {STARTING:g} s", hint=BUSY_HINT)
        return self._answer(function, arguments, min(self._limits.seconds, most))

    def _heard(self) -> Any:
        """What it says when it has started; nothing where it died before."""
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            return None

    def _answer(self, function: str, arguments: tuple[Any, ...], seconds: float) -> Any:
        try:
            self._connection.send((function, arguments, seconds))
            if not self._connection.poll(seconds):
                raise QueryLimit(f"took longer than {seconds:g} s", hint=TIME_HINT)
            kind, found, full = pickle.loads(self._connection.recv_bytes())  # noqa: S301  # our own code wrote it
        except (EOFError, OSError) as error:
            ended = self._ended_by()
            raise QueryLimit(
                f"needs more than {_gb(self._limits.memory)}, or failed ({ended})", hint=MEMORY_HINT
            ) from error
        except BaseException:  # a half-read answer would be taken for the next one's
            self.end()
            raise
        if full or kind == "memory" or isinstance(found, QueryLimit):
            self.end()  # what ran out of memory may hold on to it, and the next would have less
        if kind == "value":
            return found
        if kind == "error":
            assert isinstance(found, KpiError)
            raise found
        if kind == "large":
            text = f"its answer is {found >> 20} MB, at most {LARGEST_ANSWER >> 20} MB are read"
            raise QueryLimit(text, hint=ROWS_HINT)
        if kind == "memory":
            raise QueryLimit(f"needs more than {_gb(self._limits.memory)}", hint=MEMORY_HINT)
        raise WorkerError(found)

    def _ended_by(self) -> str:
        """The signal, or the status, that a worker ended with which did not answer."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        status = self._process.poll()
        self.end()
        return signal.Signals(-status).name if status and status < 0 else f"exit status {status}"

    def end(self) -> None:
        """Kill it, with what it started."""
        self._connection.close()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class WorkerError(Exception):
    """A fault of ours in a worker; its text is the traceback there."""


class Cage:
    """A few workers for many threads. They start when they are asked first, or by `warm`."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._free: list[Worker] = []
        self._lock = threading.Lock()
        self._turn = threading.Condition()
        self._computing: Counter[str] = Counter()  # by for whom

    def warm(self) -> None:
        """Start what is computing at a time, so that nobody waits for it."""
        with self._lock:
            self._free += [Worker(self.limits) for _ in range(self.limits.processes - len(self._free))]

    def ask(self, function: str, *arguments: Any, most: float = math.inf) -> Any:
        """See `Worker.ask`. Waits for a free one, and for the asker's own to end where the rest is for others."""
        with self._place(asker()):
            worker = self.take()
            try:
                return worker.ask(function, *arguments, most=most)
            finally:
                self.give_back(worker)

    @contextmanager
    def _place(self, whose: str) -> Iterator[None]:
        """One of those that compute at a time. Raises QueryLimit after waiting as long as a computation may take."""
        most = max(1, self.limits.processes - 1) if whose else self.limits.processes

        def free() -> bool:
            return self._computing.total() < self.limits.processes and self._computing[whose] < most

        with self._turn:
            if not self._turn.wait_for(free, self.limits.seconds):
                own = self._computing[whose] >= most and bool(whose)
                words = "other computations of yours" if own else "others"
                raise QueryLimit(
                    f"waited {self.limits.seconds:g} s for {words} to end", hint=OWN_HINT if own else BUSY_HINT
                )
            self._computing[whose] += 1
        try:
            yield
        finally:
            with self._turn:
                self._computing[whose] -= 1
                if not self._computing[whose]:
                    del self._computing[whose]
                self._turn.notify_all()

    def take(self) -> Worker:
        """A worker of one's own, besides those that compute for others; `give_back` it."""
        with self._lock:
            while self._free:
                worker = self._free.pop()
                if worker.alive:
                    return worker
        return Worker(self.limits)

    def give_back(self, worker: Worker) -> None:
        """Let others ask it, unless it has ended."""
        with self._lock:
            if worker.alive and len(self._free) < self.limits.processes:
                self._free.append(worker)
                return
        worker.end()

    def close(self) -> None:
        """End those that are free."""
        with self._lock:
            free, self._free = self._free, []
        for worker in free:
            worker.end()


class Held:
    """One worker for one job, from when it is asked first; replaced when it ends."""

    def __init__(self, cage: Cage) -> None:
        self._cage = cage
        self._worker: Worker | None = None

    @property
    def started(self) -> bool:
        """Whether there is one, which may hold on to something."""
        return self._worker is not None and self._worker.alive

    def warm(self) -> Worker:
        """Start it, so that nobody waits for it."""
        if self._worker is None or not self._worker.alive:
            self._worker = self._cage.take()
        return self._worker

    def ask(self, function: str, *arguments: Any, most: float = math.inf) -> Any:
        """See `Worker.ask`."""
        return self.warm().ask(function, *arguments, most=most)

    def close(self) -> None:
        """Give it back."""
        if self._worker is not None:
            self._cage.give_back(self._worker)
            self._worker = None


@lru_cache
def cage(limits: Limits) -> Cage:
    """This process's workers with these limits."""
    made = Cage(limits)
    atexit.register(made.close)
    return made


os.register_at_fork(after_in_child=cage.cache_clear)  # workers answer the process that started them


def _gb(size: int) -> str:
    return f"{size / 10**9:.3g} GB of memory"
