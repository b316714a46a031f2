"""What launches use of scipy, loaded when something of it is first used.

Loading scipy takes more than half a second of CPU, and most verbs that show launches find their readings kept: only
what computes one waits for it. So it is the use that loads it, here for all of metrics.launches, not the import.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class _Later:
    """A module that is imported when a part of it is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, part: str) -> Any:
        return getattr(import_module(self._name), part)


optimize, special, stats = _Later("scipy.optimize"), _Later("scipy.special"), _Later("scipy.stats")
