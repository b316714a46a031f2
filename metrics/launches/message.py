"""What a launch's owner is told: verdicts whose day has come, guardrails that broke or hold again. Plain text."""

from __future__ import annotations

from collections.abc import Sequence

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.launch import Launch
from metrics.launches import words
from metrics.launches.guardrail import Guard
from metrics.launches.reading import Reading
from metrics.presentation.links import Links


def reading_lines(readings: Sequence[Reading], catalogue: Catalogue) -> list[str]:
    """A line for each verdict."""
    found = []
    for reading in sorted(readings, key=lambda r: (r.days, r.kpi)):
        kpi = catalogue.kpi(reading.kpi)
        badges = f" [{', '.join(reading.badges)}]" if reading.badges else ""
        found.append(f"D+{reading.days} {kpi.title}: {words.verdict(kpi, reading)}{badges}")
    return found


def breach_lines(guards: Sequence[Guard], catalogue: Catalogue) -> list[str]:
    """A line for each guardrail that broke, or holds again."""
    found = []
    for guard in guards:
        kpi = catalogue.kpi(guard.kpi)
        what = "GUARDRAIL BREACHED" if guard.holds is False else "Guardrail holds again"
        year = guard.period.year if guard.period is not None else 0
        found.append(f"{what} {kpi.title}: {words.guard_words(kpi, guard, year)}")
    return found


def launch_message(launch: Launch, lines: Sequence[str], project: str, links: Links) -> tuple[str, str]:
    """Title and body."""
    breached = any(line.startswith("GUARDRAIL BREACHED") for line in lines)
    what = "guardrail breached" if breached else "new verdict"
    body = [*lines, "", links.line("launch", {"launch": launch.name}), f"Owner: {launch.owner or 'none'}"]
    return f"{project}: {launch.title}, {what}", "\n".join(body)
