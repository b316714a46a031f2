"""What is known of an engine's SQL by whoever writes it, handed to what reaches the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Speech:
    """session: dialect → statements that its sessions begin with. translated: a SELECT as definitions write it, and a

    dialect → the same in that dialect.
    """

    session: Mapping[str, Sequence[str]]
    translated: Callable[[str, str], str]
