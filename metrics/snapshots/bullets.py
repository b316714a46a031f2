"""The first lines of a snapshot: one sentence each, the most consequential first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from metrics.kpi_views.consequence import Consequence, Matter, ranked, standing
from metrics.kpi_views.status import Status
from metrics.snapshots import words
from metrics.snapshots.document import Line

MOST = 5  # lines; everything else stands below them
NOTHING = "Nothing moved beyond what was expected."


@dataclass(frozen=True)
class Told:
    """A line and what its sentence is made of. place: where its change sits, without levels; empty if none stands out.

    missed: whether a period that became final in the week is short of its target.
    """

    line: Line
    status: Status
    place: str = ""
    missed: bool = False

    @property
    def worse(self) -> bool:
        """Whether it went the wrong way since the value that it is held against."""
        return self.line.change_is == "bad"


def matters(told: Sequence[Told], happened: Sequence[Matter]) -> tuple[Matter, ...]:
    """All that there is to say, the most consequential first. happened: alerts and verdicts of the week.

    An alert on a KPI that is told is a clause of its sentence.
    """
    whole = {one.line.kpi: one for one in told if not one.line.segment}
    alerts = [_with_value(matter, whole.get(matter.kpi)) for matter in happened]
    clauses = {matter.kpi: matter.clause for matter in reversed(alerts) if matter.clause and not matter.segment}
    found = [*alerts, *(matter for one in told for matter in _of(one))]
    moved = words.most_moved([one.line for one in told])
    found += [
        _matter(one, Consequence.MOVED, _and(words.moved_text(one.line), one.place))
        for one in told
        if one.line is moved
    ]
    return tuple(_with_alert(matter, clauses.get(matter.kpi, "")) for matter in ranked(found))


def bullets(told: Sequence[Told], happened: Sequence[Matter]) -> tuple[str, ...]:
    """The sentences that are shown; if there is none, that nothing moved, as far as that is known."""
    found = tuple(matter.words for matter in matters(told, happened)[:MOST])
    return found or ((NOTHING,) if any(one.line.odd is not None for one in told) else ())


def _of(one: Told) -> list[Matter]:
    """How a line stands, else that its target was missed; and its record."""
    line, found = one.line, list[Matter]()
    rank = standing(line.status, worse=one.worse)
    said = line.sentence.rstrip(".")
    if rank is not None:
        worse = " and worsening" if one.worse else ""
        gap = line.gap or line.why.rstrip(".")
        text = _and(f"{line.title} is {line.status_label.lower()}{worse}: {said}; {gap}.", one.place)
        found.append(_matter(one, rank, text, one.status.depth))
    elif one.missed:
        found.append(_matter(one, Consequence.MISSED, f"{line.title} missed its target of {line.target_text}: {said}."))
    if line.record and line.value is not None:
        record = line.record.removeprefix("The ").rstrip(".")
        text = f"{line.title} is at its {record}: {line.text} {words.when(line)}."
        found.append(_matter(one, Consequence.RECORD, text))
    return found


def _matter(one: Told, rank: Consequence, text: str, depth: float = 0.0) -> Matter:
    return Matter(rank, one.line.kpi, one.line.title, text, depth, one.line.title.removeprefix(one.line.label))


def _and(text: str, place: str) -> str:
    return f"{text.rstrip('.')}; {place[:1].lower()}{place[1:]}." if place else text


def _with_alert(matter: Matter, clause: str) -> Matter:
    """`…; critical alert since Sat 21 Nov.`"""
    if not clause or matter.consequence > Consequence.AT_RISK_WORSE or matter.segment:
        return matter
    return replace(matter, words=f"{matter.words.rstrip('.')}; {clause}.")


def _with_value(matter: Matter, one: Told | None) -> Matter:
    """What an alert is about, as it is by now; a verdict has its own number."""
    if one is None or one.line.value is None or matter.segment or matter.consequence is Consequence.VERDICT:
        return matter
    return replace(matter, words=f"{matter.words.rstrip('.')}; {one.line.sentence}")
