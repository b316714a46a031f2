"""Two weeks side by side: both as they were published."""

from __future__ import annotations

from dataclasses import dataclass

from metrics.presentation.format import UNKNOWN
from metrics.snapshots.document import Document


@dataclass(frozen=True)
class Pair:
    """One line in both. status: slugs, then and now; empty where a week does not have the line."""

    title: str
    earlier: str
    later: str
    change: str
    statuses: tuple[str, str]
    redefined: bool


def compared(earlier: Document, later: Document) -> tuple[Pair, ...]:
    """Every line of either, in the order of the later one."""
    keys = dict.fromkeys([*(line.key for line in later.lines), *(line.key for line in earlier.lines)])
    found = []
    for key in keys:
        one, other = earlier.line(key), later.line(key)
        either = other or one
        assert either is not None
        change = one.change_to(other) if one is not None and other is not None else ""
        found.append(
            Pair(
                either.title,
                one.text if one else UNKNOWN,
                other.text if other else UNKNOWN,
                change,
                (one.status if one else "", other.status if other else ""),
                bool(one and other and one.definition != other.definition),
            )
        )
    return tuple(found)
