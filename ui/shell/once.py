"""What is made of a view model to be drawn, such as a figure or a file: made once, kept as long as the model."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

R = TypeVar("R")
Key = tuple[Any, ...]
_made: dict[Key, Any] = {}
_lock = threading.Lock()


def once(name: str, make: Callable[[], R], *views: object) -> R:
    """`make()`, remembered under its name for these view models; gone when one of them is.

    By identity: views are frozen and shared by all sessions (`cached_view`), so the same object says the same. What is
    made cannot belong to another view than the one on the page, even if that was made anew in the middle of a run.
    """
    key = (name, *map(id, views))
    try:
        known: R = _made[key]
    except KeyError:
        with _lock:  # many readers of a new generation: one of them makes it
            if key in _made:
                known = _made[key]
            else:
                known = _made[key] = make()
                for view in views:
                    weakref.finalize(view, _made.pop, key, None).atexit = False
    return known
