"""View models of what is live, kept for all sessions."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MARKS = 2  # what is live, and what was before it: a session may be in the middle of a run
MOST = 2_000  # views of one mark: those asked for longest ago go
Key = tuple[str, str, tuple[Any, ...], tuple[tuple[str, Any], ...]]  # file and function, role, arguments


@dataclass
class Slot:
    """One view. Whoever asks for it while it is made waits for it; who asks for others does not."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    made: bool = False
    value: Any = None
    asked: float = 0.0  # when it was last, by the monotonic clock


class Views:
    """mark → key → view. A new mark (a generation, an edited file, an act) makes all of the older ones useless.

    Not st.cache_resource: that hashes each argument at each call, with the signature of the function looked up for it,
    which was a third of a rerun, and keeps views of generations that are gone until there are too many of them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, OrderedDict[Key, Slot]] = OrderedDict()

    def get(self, mark: str, key: Key, make: Callable[[], Any]) -> Any:
        """The view of this key; what `make` raises is not kept."""
        slot = self._slot(mark, key)
        if not slot.made:
            with slot.lock:
                if not slot.made:
                    slot.value = make()
                    slot.made = True
        return slot.value

    def asked(self, mark: str, *, within: float) -> list[Key]:
        """Keys of the views that were made and asked for in the last so many seconds; the latest first."""
        since = time.monotonic() - within
        with self._lock:
            slots = self._kept.get(mark, OrderedDict[Key, Slot]())
            return [key for key, slot in reversed(slots.items()) if slot.made and slot.asked >= since]

    def _slot(self, mark: str, key: Key) -> Slot:
        with self._lock:
            slots = self._kept.setdefault(mark, OrderedDict())
            self._kept.move_to_end(mark)
            while len(self._kept) > MARKS:
                self._kept.popitem(last=False)
            slot = slots.setdefault(key, Slot())
            slots.move_to_end(key)
            slot.asked = time.monotonic()
            while len(slots) > MOST:
                slots.popitem(last=False)
            return slot
