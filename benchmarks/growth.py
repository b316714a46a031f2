"""What grows with events, with KPIs and with dimensions: a first sync, a new day, the models of two pages, memory.

Each project is synced in a process of its own (syncing.py); memory is that of it and its worker.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.measures import Measure, watched
from benchmarks.refreshing import SYNCING
from benchmarks.syncing import staged
from benchmarks.workload import make

EVENTS = ("100K", "1M", "10M")
KPIS, KPIS_OF = (12, 50, 200), "100K"
DIMENSIONS, DIMENSIONS_OF = (0, 3, 6), "1M"
MOST_OF_A_SYNC = 1000.0  # MB


def sizes(scale: str) -> list[tuple[str, int, int]]:
    """(events, KPIs, dimensions) of each project; the scale says how many events there are at most."""
    events = EVENTS[: EVENTS.index(scale) + 1] if scale in EVENTS else (scale,)
    found = [(size, 12, 3) for size in events]
    found += [(KPIS_OF, count, 3) for count in KPIS[1:]]
    return found + [(DIMENSIONS_OF, 12, count) for count in DIMENSIONS if count != 3 and DIMENSIONS_OF in events]


def measured(scale: str, scratch: Path) -> Iterator[Measure]:
    """Five measures of each project."""
    stars: dict[str, Path] = {}
    for events, kpis, dimensions in sizes(scale):
        if events not in stars:
            stars[events] = make(events, scratch / events)
        folder = staged(stars[events], scratch / f"{events}-{kpis}-{dimensions}")
        part = f"{events} events, {kpis} KPIs, {dimensions} dimensions"
        command = [*SYNCING, str(folder), "--kpis", str(kpis), "--dimensions", str(dimensions)]
        most = 0.0
        for line, peak in watched([*command, "--cases", "first", "day", "models"]):
            most = max(most, peak)
            match line["case"]:
                case "first":
                    yield Measure(part, "first sync", line["cpu"], "s", None, f"of it refresh {line['refresh']:.1f} s")
                case "day":
                    yield Measure(part, "one new day", line["cpu"], "s", None, f"of it refresh {line['refresh']:.1f} s")
                case "models":
                    limit = 400.0 if kpis == max(KPIS) else None
                    yield Measure(part, "overview model, cold", line["overview"], "ms", limit)
                    yield Measure(part, "KPI page model, cold", line["page"], "ms")
        yield Measure(part, "memory at most", most, "MB", MOST_OF_A_SYNC if kpis == min(KPIS) else None)
