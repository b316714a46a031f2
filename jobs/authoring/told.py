"""What is said at the end: what was understood of each column, what is proposed, what was not understood."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from connectors.errors import counted
from connectors.texts.reading import TextReading
from jobs.authoring import purposes
from jobs.authoring.looking import Look
from jobs.authoring.names import slug
from jobs.authoring.profile import Column
from jobs.authoring.purposes import Purpose
from metrics.presentation.table import as_table

MOST_ROWS, MOST_UNUSED, LONGEST = 24, 12, 90
WORDS = {"BIGINT": "whole number", "DOUBLE": "number", "VARCHAR": "text", "BOOLEAN": "yes or no", "DATE": "date"}
WORDS |= {"TIMESTAMP": "time", "TIMESTAMP WITH TIME ZONE": "time with zone", "TIME": "time of day or duration"}
KINDS = {"DATE": "date", "TIMESTAMP": "time", "TIMESTAMP WITH TIME ZONE": "time with zone"}
STYLES = {"compact": "date in digits", "epoch_s": "seconds since 1970", "epoch_ms": "milliseconds since 1970"}
STYLES |= {"epoch_us": "microseconds since 1970", "epoch_ns": "nanoseconds since 1970"}


def understood(look: Look, origin: str) -> Iterator[str]:
    """Lines for people."""
    export = f" Recognised: {look.proposal.export}." if look.proposal.export else ""
    span = f"time is '{look.time.name}', {counted(look.days, 'day')} of it."
    yield f"Looked at {counted(look.profile.rows, 'row')} of {origin}: {span}{export}"
    yield ""
    used = uses(look)
    rows = [
        {
            "column": _shown(c),
            "read as": read_as(c, look.profile.readings.get(c.name)),
            "used for": "; ".join(used[c.name]),
        }
        for c in look.profile.columns
        if c.name in used
    ]
    yield as_table(rows[:MOST_ROWS], ["column", "read as", "used for"]).rstrip()
    yield from _unused(look, used)
    if look.proposal.missing:
        yield f"Not proposed, since their columns are missing or hold no numbers: {', '.join(look.proposal.missing)}."
    yield from (f"Caution: {sentence}" for sentence in look.proposal.cautions)
    yield ""


def uses(look: Look) -> dict[str, list[str]]:
    """Column → what it is used for."""
    own = look.proposal.datasets[0]
    found: dict[str, list[str]] = {look.time.name: ["when a row happened"]}
    found.setdefault(own.entity, []).append("who is counted")
    found.setdefault(own.key, []).append("the row's key")
    for kpi in look.proposal.kpis:
        for name in kpi.used:
            found.setdefault(name, []).append(kpi.label)
    for dataset in look.proposal.datasets[1:]:
        found.setdefault(dataset.time, []).append(f"when, in {dataset.name}")
    for c in look.profile.columns:
        if slug(c.name) in own.dimensions:
            found.setdefault(c.name, []).append("break down, filter")
    return {name: words[:4] for name, words in found.items() if name}


def read_as(c: Column, reading: TextReading | None = None) -> str:
    """How its values were read."""
    if c.style:
        return STYLES[c.style]
    if reading is not None:
        return f"{KINDS.get(reading.kind, 'number')}, {reading.style}"
    if c.is_number and not c.is_whole:
        return "number"
    return "whole number" if c.is_number else WORDS.get(c.kind, c.kind.lower().split("(")[0])


def _unused(look: Look, used: Mapping[str, list[str]]) -> Iterator[str]:
    left = [c for c in look.profile.columns if c.name not in used]
    if left:
        said = [f"{_shown(c)} ({_why(c)})" for c in left[:MOST_UNUSED]]
        more = f", and {len(left) - MOST_UNUSED} more" if len(left) > MOST_UNUSED else ""
        yield f"Not used: {', '.join(said)}{more}."


def _why(c: Column) -> str:
    if c.is_nested:
        return "nested values"
    if c.distinct == 0:
        return "empty"
    if c.is_time:
        return "another time"
    if c.is_number:
        found = purposes.purpose(c)
        return found.value if found is not Purpose.UNKNOWN else "a number; nothing says whether it adds up"
    if c.distinct == 1:
        return "always the same"
    return "words" if c.is_text else read_as(c)


def kpi_lines(look: Look) -> Iterator[str]:
    """The proposed KPIs."""
    rows = [{"kpi": k.name, "label": k.label, "is": _short(k.description)} for k in look.proposal.kpis]
    yield as_table(rows, ["kpi", "label", "is"]).rstrip()


def _shown(c: Column) -> str:
    """Its name on one line."""
    return " ".join(c.name.split())


def _short(words: str) -> str:
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1].rstrip()}…"
