"""Connections and calls that nobody holds any more, closed by a thread of their own.

The garbage collector finds them, in the middle of whatever runs: that may be a call of the same client, which holds
what closing would wait for, for ever. So it is only noted there.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from queue import SimpleQueue
from threading import Thread
from typing import Any

from connectors.warehouse.engines.contract import Engine

_left: SimpleQueue[Callable[[], None]] = SimpleQueue()  # whose `put` may interrupt itself


def close_when_left(owner: object, engines: list[Engine]) -> None:
    """Close what is in the list once the owner is gone. At the end of the process the other side does it."""
    _closer()
    weakref.finalize(owner, _left.put, partial(close_all, engines)).atexit = False


def close_all(engines: list[Engine]) -> None:
    """Close what is in a list, and take it out."""
    while engines:
        with suppress(Exception):  # of one that is gone nobody minds
            engines.pop().close()


@cache
def finalize_elsewhere(kind: Any) -> None:
    """Let that thread run the finalizer of a library's class, which closes what it is called for."""
    _closer()
    finalizer = kind.__del__
    kind.__del__ = lambda left: _left.put(partial(finalizer, left))


@cache
def _closer() -> Thread:
    thread = Thread(target=_close_what_is_left, name="engines that were left", daemon=True)
    thread.start()
    return thread


def _close_what_is_left() -> None:
    while True:
        with suppress(Exception):
            _left.get()()
