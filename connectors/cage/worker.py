"""The inside of a worker: waits for a function's name and arguments, answers with what it returns or raises."""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import resource
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from connectors.cage.limits import LARGEST_ANSWER
from connectors.errors import KpiError

STATM = Path("/proc/self/statm")
LOOK = 0.5  # seconds between looks whether there still is somebody to answer
LIBRARIES = 128 << 20  # bytes of code that is mapped, which the system counts apart
RESERVED = 1 << 30  # bytes of addresses for libraries and for what allocators reserve and do not use
FULL = 0.7  # of its memory: freed memory is not always given back, and the next answer would have too little


def serve(handle: int, parent: int, memory: int, *modules: str) -> None:
    """Answer until the other end closes; first say that the modules are loaded, so that no answer waits for them.

    handle: of the socket; parent: process that is answered; memory: bytes.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "darwin":  # which knows the limit and does not hold it
        resource.setrlimit(resource.RLIMIT_DATA, (memory - LIBRARIES, memory - LIBRARIES))
        resource.setrlimit(resource.RLIMIT_AS, (memory + RESERVED, memory + RESERVED))
    threading.Thread(target=_end_with, args=[parent], daemon=True).start()
    connection = Connection(handle)
    gc.disable()  # all that is loaded stays: to look for garbage among it is a tenth of the start
    for module in modules:
        importlib.import_module(module)
    gc.freeze()
    gc.enable()
    connection.send(None)
    while True:
        try:
            name, arguments, seconds = connection.recv()
        except (EOFError, OSError):
            return
        _end_after(seconds)
        connection.send_bytes(_answer(name, arguments, memory))


def _answer(name: str, arguments: tuple[Any, ...], memory: int) -> bytes:
    """Its kind ("value", "error": a KpiError, "memory", "large": bytes, "bug": a traceback), itself, whether this

    process is full.
    """
    try:
        text = pickle.dumps((*_run(name, arguments), _taken() > FULL * memory), protocol=5)
    except MemoryError:
        text = pickle.dumps(("memory", None, True))
    except Exception:  # an answer that cannot be handed over
        text = pickle.dumps(("bug", traceback.format_exc(), True))
    return text if len(text) <= LARGEST_ANSWER else pickle.dumps(("large", len(text), True))


def _run(name: str, arguments: tuple[Any, ...]) -> tuple[str, Any]:
    try:
        return "value", _function(name)(*arguments)
    except KpiError as error:
        return "error", error
    except MemoryError:
        return "memory", None
    except Exception:
        return "bug", traceback.format_exc()


def _function(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


def _taken() -> int:
    """Bytes that count against the limit; 0 where the system does not say."""
    try:
        return int(STATM.read_text().split()[5]) * resource.getpagesize()
    except OSError:
        return 0


def _end_with(parent: int) -> None:
    """A process that was killed asks nobody to stop."""
    while os.getppid() == parent:
        time.sleep(LOOK)
    os._exit(1)


def _end_after(seconds: float) -> None:
    """The system's own end for what computes on and on, should nobody be left to kill it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = int(used.ru_utime + used.ru_stime + (seconds + 2) * (os.cpu_count() or 1)) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))
