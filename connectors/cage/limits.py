"""What one computation may take."""

from __future__ import annotations

from dataclasses import dataclass

LARGEST_ANSWER = 256 << 20  # bytes that a worker hands over: more is no chart and no table


@dataclass(frozen=True)
class Limits:
    """memory: bytes of one process, all of it. seconds: for one answer. processes: computing at a time."""

    memory: int = 2 * 10**9
    seconds: float = 60.0
    processes: int = 2

    @property
    def engine_memory(self) -> str:
        """What an engine within such a process may take; the rest is for the interpreter and its libraries."""
        return f"{int(self.memory * 0.6) >> 20}MB"


USUAL = Limits()
