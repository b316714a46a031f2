"""Connections that nobody holds any more, closed by a thread of their own.

The garbage collector finds them, in the middle of whatever runs: that may be a call of the same client, which holds
what closing would wait for. So it is only noted there.
"""

from __future__ import annotations

import weakref
from contextlib import suppress
from functools import cache
from queue import SimpleQueue
from threading import Thread

from connectors.warehouse.engines.contract import Engine

_left: SimpleQueue[list[Engine]] = SimpleQueue()  # whose `put` may interrupt itself


def close_when_left(owner: object, engines: list[Engine]) -> None:
    """Close what is in the list once the owner is gone. At the end of the process the other side does it."""
    _closer()
    weakref.finalize(owner, _left.put, engines).atexit = False


def close_all(engines: list[Engine]) -> None:
    """Close what is in a list, and take it out."""
    while engines:
        with suppress(Exception):  # of one that is gone nobody minds
            engines.pop().close()


@cache
def _closer() -> Thread:
    thread = Thread(target=_close_what_is_left, name="engines that were left", daemon=True)
    thread.start()
    return thread


def _close_what_is_left() -> None:
    while True:
        close_all(_left.get())
