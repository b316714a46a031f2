"""What matters most comes first: one ranking for the overview's headline, a snapshot's first lines and its mail."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Consequence(IntEnum):
    """How much something matters, the most first."""

    OFF_TRACK_WORSE = 0
    OFF_TRACK = 1
    AT_RISK_WORSE = 2
    CRITICAL = 3  # an alert that opened
    CRITICAL_OVER = 4
    WARNING = 5
    WARNING_OVER = 6
    VERDICT = 7
    MISSED = 8  # a target, or at risk as before
    MOVED = 9  # beyond what was expected
    RECORD = 10


TOLD_ALONE = {Consequence.VERDICT}  # it says something else, whatever is told of its KPI
STANDINGS = {
    ("off_track", True): Consequence.OFF_TRACK_WORSE,
    ("off_track", False): Consequence.OFF_TRACK,
    ("at_risk", True): Consequence.AT_RISK_WORSE,
    ("at_risk", False): Consequence.MISSED,
}


@dataclass(frozen=True)
class Matter:
    """One sentence about a KPI. depth: how much, within its consequence. segment: of the KPI; empty = all of it.

    clause: the same as a part of another sentence about the KPI; empty if it is none.
    """

    consequence: Consequence
    kpi: str
    title: str
    words: str
    depth: float = 0.0
    segment: str = ""
    clause: str = ""

    @property
    def rank(self) -> tuple[int, bool, float, str, str]:
        """Sorts what matters most first; a whole KPI before segments."""
        return self.consequence, bool(self.segment), -self.depth, self.title, self.words


def standing(slug: str, *, worse: bool) -> Consequence | None:
    """What a status means; None where it asks for nothing."""
    return STANDINGS.get((slug, worse))


def ranked(found: Iterable[Matter]) -> tuple[Matter, ...]:
    """The most consequential first; of a KPI only the first, and its verdicts."""
    kept: list[Matter] = []
    for matter in sorted(found, key=lambda matter: matter.rank):
        told = {other.kpi for other in kept if other.consequence not in TOLD_ALONE}
        if matter.consequence in TOLD_ALONE or matter.kpi not in told:
            kept.append(matter)
    return tuple(kept)
