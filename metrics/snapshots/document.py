"""The frozen document of one week: numbers with the texts that tell them. Written once, shown for ever, never changed.

Every form (page, HTML, PDF, Markdown, CSV, mail) prints what stands here and computes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from metrics.catalog.models.kpi import Strict
from metrics.presentation.format import NAME, iso, numbers, percent_text, plain, points_text
from metrics.presentation.precision import same
from metrics.transforms.percent_change import relative_change

FORMAT = 1  # raise it when keys change their meaning; documents of earlier formats stay readable


class Point(Strict):
    """One week or month: its first day, how people call it, value and target (None = unknown, none) as told."""

    period: date
    name: str
    value: float | None
    text: str
    target: float | None = None


class Line(Strict):
    """One KPI, or one segment of it: the last period of its home grain that was complete when the week ended.

    period, before_period: as in all JSON, 2026-11-16, of hours 2026-11-22T23:00:00Z.

    value, numerator, denominator, n, parts, before (the period it is compared with), target: raw, None = unknown.
    low, high: what was expected; ranged: whether they differ as told; odd: how far off, in noises. change: relative,
    or points.
    """

    kpi: str
    label: str
    segment: dict[str, str] = {}
    owner: str
    description: str
    unit: str
    in_points: bool = False  # how changes are told
    grain: str
    period: str | None
    period_text: str
    value: float | None
    text: str
    numerator: float | None = None
    denominator: float | None = None
    n: int | None = None
    parts: dict[str, Any] = {}
    before: float | None = None
    before_period: str | None = None
    before_text: str = ""
    change: float | None = None
    change_text: str = ""
    change_is: str = "neutral"
    against: str = ""
    target: float | None = None
    target_text: str = ""
    gap: str = ""
    pace: str = ""
    status: str
    status_label: str
    why: str
    low: float | None = None
    high: float | None = None
    odd: float | None = None
    expected_text: str = ""
    sentence: str
    place: str = ""
    record: str = ""
    miss: str = ""
    ranged: bool = False
    redefined: str = ""
    weeks: tuple[Point, ...] = ()
    weeks_note: str = ""
    months: tuple[Point, ...] = ()
    months_note: str = ""
    definition: str
    counted: str
    data: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Label, with its segment."""
        return " · ".join([self.label, *(plain(value, NAME) for value in self.segment.values())])

    def change_to(self, later: Line) -> str:
        """`+0.4 points`, `−3.1%`, `from −100 to −50`: from this line to another week's; empty if either is unknown."""
        before, value = self.value, later.value
        if before is None or value is None:
            return ""
        if self.in_points:
            points = 0.0 if same(value, before) else value - before
            return points_text(points, scale=100 if self.unit == "percent" else 1)
        if before <= 0 or value < 0:
            published = (self.text, later.text)
            first, last = published if self.text != later.text or same(value, before) else numbers((before, value), 2)
            return f"from {first} to {last}"
        return percent_text(0.0 if same(value, before) else relative_change(value, before))

    @property
    def key(self) -> str:
        """Tells lines apart: the KPI, and its segment."""
        return self.kpi + "".join(f"@{d}={v}" for d, v in self.segment.items())


class Section(Strict):
    """KPIs under one heading."""

    title: str
    lines: tuple[Line, ...]


class AlertLine(Strict):
    """An alert that was open in the week."""

    title: str
    severity: str
    state: str
    since: str
    words: str
    owner: str


class LaunchLine(Strict):
    """A launch of the last eight weeks, with the verdicts that were published by the end of the week."""

    name: str
    label: str
    when: str
    owner: str
    verdicts: tuple[str, ...] = ()
    decision: str = ""


class Document(Strict):
    """One snapshot of one week. start, end: first and last day. definitions: file → text of all that it is made of."""

    format: int = FORMAT
    snapshot: str
    title: str
    project: str
    week: str
    start: date
    end: date
    week_text: str
    revision: int
    generation: str
    watermark: datetime | None
    taken_at: datetime
    by: str
    timezone: str
    headline: str
    summary: tuple[str, ...]
    counts: dict[str, int]
    missing: tuple[str, ...] = ()
    sections: tuple[Section, ...]
    alerts: tuple[AlertLine, ...] = ()
    launches: tuple[LaunchLine, ...] = ()
    definition: str
    definitions: dict[str, str] = {}
    role: str = ""  # what of the project is in it: what this role sees
    audience: str = ""  # the role with what it saw then

    @property
    def lines(self) -> Iterator[Line]:
        """Every line, in reading order."""
        return (line for section in self.sections for line in section.lines)

    def line(self, key: str) -> Line | None:
        """The line of a key."""
        return next((line for line in self.lines if line.key == key), None)

    def as_dict(self) -> dict[str, Any]:
        """Plain values: what is kept, and what `kpi snapshot show --json` prints."""
        plain: dict[str, Any] = self.model_dump(mode="json")
        return {**plain, "watermark": iso(self.watermark), "taken_at": iso(self.taken_at)}


class Note(Strict):
    """What an editor wrote beside the numbers; not part of the frozen document."""

    text: str
    by: str
    at: datetime
