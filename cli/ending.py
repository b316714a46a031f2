"""The end of a verb's process: at once, without taking apart what the system takes back anyway."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ended_at_once() -> Iterator[None]:
    """End the process with the status of the SystemExit that leaves this block.

    Python waits for threads then, runs what was registered with `atexit`, flushes, and takes every loaded module apart:
    all of it is done but for the last, which is a sixth of a sync that finds nothing new. Any other error, and a status
    that is words, ends in Python's own way; so does output that cannot be written.
    """
    try:
        yield
    except SystemExit as asked:
        status = 0 if asked.code is None else asked.code
        if not isinstance(status, int):
            raise
        threading._shutdown()  # type: ignore[attr-defined]  # the steps of Py_FinalizeEx, in its order
        atexit._run_exitfuncs()
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except (OSError, ValueError, AttributeError):  # whoever read it has gone, the disk is full, there is none:
            # Python has a status for each
            raise asked from None
        os._exit(status & 0xFF)
