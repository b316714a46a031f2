"""The sheet: everything that any form of a snapshot prints, as text in reading order. The forms only lay it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from connectors.errors import counted
from metrics.presentation import format as fmt
from metrics.presentation.links import PAGES, Links
from metrics.snapshots.document import Document, Line, Note, Point
from metrics.snapshots.formats.charts import alt, chart, spark
from metrics.snapshots.formats.front import TITLE, Cell, Front, front, short_title
from metrics.snapshots.restated import Restatement

SHOWN = 200  # restated numbers that are listed one by one


@dataclass(frozen=True)
class Remark:
    """One sentence. tone: bad, risk, quiet, or empty."""

    text: str
    tone: str = ""


@dataclass(frozen=True)
class Block:
    """One KPI in full. weeks, months: (name, value). origin: (label, text). svg: empty if nothing is known."""

    cell: Cell
    sentences: tuple[Remark, ...]
    svg: str
    alt: str
    weeks: tuple[tuple[str, str], ...]
    weeks_note: str
    months: tuple[tuple[str, str], ...]
    months_note: str
    origin: tuple[tuple[str, str], ...]
    link: str


@dataclass(frozen=True)
class Part:
    """A heading and its KPIs."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Sheet:
    """A whole snapshot as text. front: its first page; restated: (KPI, period, published, now, cause)."""

    front: Front
    project: str
    title: str
    week: str
    headline: str
    meta: str
    missing: str
    summary: tuple[str, ...]
    notes: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]
    restated: tuple[tuple[str, str, str, str, str], ...]
    restated_line: str
    alerts: tuple[tuple[str, str, str], ...]
    launches: tuple[tuple[str, str, tuple[str, ...]], ...]
    footer: tuple[str, ...]
    link: str
    no_link: str  # why there is none
    key: str

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The status grid."""
        return tuple(block.cell for part in self.parts for block in part.blocks)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a form that is not Python."""
        return asdict(self)


def _taken_text(document: Document, zone: ZoneInfo) -> str:
    """When it was taken, on the project's clock."""
    if document.timezone != "UTC":
        return f"{document.taken_at.astimezone(zone):%a %-d %b %Y, %H:%M} {document.timezone}"
    return fmt.moment_text(document.taken_at)


def sheet(
    document: Document,
    *,
    links: Links,
    notes: Sequence[Note] = (),
    restated: Sequence[Restatement] = (),
    looked_at: datetime | None = None,
) -> Sheet:
    """restated: what was different when it was looked_at."""
    zone = ZoneInfo(document.timezone)
    taken = _taken_text(document, zone)
    here = {"snapshot": document.snapshot, "week": document.week, "revision": document.revision}
    meta = f"{document.week_text} · taken {taken} by {document.by} · revision {document.revision}"
    listed = tuple(
        (item.title, item.period_text, item.published_text, item.now_text, item.cause) for item in restated[:SHOWN]
    )
    missing = f"Not complete when it was taken: {' '.join(document.missing)}" if document.missing else ""
    signed = tuple((note.text, _signed(note, zone)) for note in notes)
    parts = tuple(
        Part(section.title, tuple(_block(document, line, links) for line in section.lines))
        for section in document.sections
    )
    since = _restated_line(restated, looked_at, zone)
    cells = [block.cell for part in parts for block in part.blocks]
    return Sheet(
        front=front(document, cells, missing, since, signed),
        project=document.project,
        title=document.title,
        week=document.week_text,
        headline=document.headline,
        meta=meta,
        missing=missing,
        summary=document.summary,
        notes=signed,
        parts=parts,
        restated=listed,
        restated_line=since,
        alerts=_alerts(document),
        launches=_launches(document),
        footer=_footer(document),
        link="" if links == PAGES else links.to("snapshots", here),  # the page is not told where it is
        no_link=links.why,
        key=f"{document.snapshot}-{document.week}-r{document.revision}",
    )


def _alerts(document: Document) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (
            a.severity if a.state == "Open" else "ended",
            a.title,
            f"{a.state} since {a.since} · {a.words} · {a.owner}"
            if a.state == "Open"
            else f"{a.state}, opened {a.since} · {a.words}",
        )
        for a in document.alerts
    )


def _launches(document: Document) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    return tuple(
        (
            x.label,
            " · ".join(filter(None, (x.when, x.owner))),
            tuple(filter(None, (*x.verdicts, f"Decided: {x.decision}" if x.decision else ""))),
        )
        for x in document.launches
    )


def _footer(document: Document) -> tuple[str, ...]:
    return (
        "Frozen: these numbers stay as they were published.",
        f"Data of generation {document.generation}, complete to {fmt.moment_text(document.watermark)}.",
        f"Definition of this snapshot: {document.snapshot}, version {document.definition}. Revision "
        f"{document.revision} of {document.week}, time zone {document.timezone}.",
    )


def _signed(note: Note, zone: ZoneInfo) -> str:
    at = note.at.astimezone(zone)
    return f"{note.by}, {at:%a %-d %b %Y, %H:%M}"


def _restated_line(found: Sequence[Restatement], looked_at: datetime | None, zone: ZoneInfo) -> str:
    if not found:
        return ""
    heads = sum(item.headline for item in found)
    more = len(found) - min(len(found), SHOWN)
    parts = [f"{heads} of this week's numbers"] if heads else []
    parts += (
        [counted(len(found) - heads, "earlier week or month", "earlier weeks or months")] if len(found) > heads else []
    )
    rest = f" {counted(more, 'more is', 'more are')} not listed." if more else ""
    verb = "is" if len(found) == 1 else "are"
    when = f" as of {looked_at.astimezone(zone):%a %-d %b %Y, %H:%M}" if looked_at else ""
    return f"Since it was published, {' and '.join(parts)} {verb} different in the live data{when}.{rest}"


def _block(document: Document, line: Line, links: Links) -> Block:
    cell = Cell(
        line.key,
        line.title,
        short_title(line.title, TITLE),
        line.text,
        line.period_text,
        line.change_text,
        line.change_is,
        line.status,
        line.status_label,
        spark(line),
    )
    tone = {"off_track": "bad", "at_risk": "risk"}.get(line.status, "")
    said = [
        Remark(_without_value(line)),
        Remark(_without_title(line), tone),
        Remark(line.place),
        Remark(_expected(line)),
        Remark(line.record),
        Remark(line.pace),
        Remark(line.redefined, "quiet"),
    ]
    return Block(
        cell,
        tuple(item for item in said if item.text),
        chart(line),
        alt(line),
        _named(line.weeks),
        line.weeks_note,
        _named(line.months),
        line.months_note,
        _origin(document, line),
        links.to("kpi", {"kpi": line.kpi}),
    )


def _without_value(line: Line) -> str:
    """The sentence where the number stands above it: `In 16–22 Nov, +0.4 points vs the week before.`"""
    rest = line.sentence.removeprefix(line.text).strip()
    return f"{rest[:1].upper()}{rest[1:]}"


def _without_title(line: Line) -> str:
    """The miss where the KPI's name stands above it: `Off track, 0.8 points under target; owner platform@…`"""
    rest = line.miss.removeprefix(f"{line.title} is ")
    return f"{rest[:1].upper()}{rest[1:]}"


def _named(points: Sequence[Point]) -> tuple[tuple[str, str], ...]:
    return tuple((point.name, point.text) for point in points)


def _expected(line: Line) -> str:
    if line.odd is None or not line.ranged or line.low is None or line.high is None or line.value is None:
        return ""
    if line.low <= line.value <= line.high:
        return ""
    return f"Outside of what was expected: {line.expected_text}."


def _origin(document: Document, line: Line) -> tuple[tuple[str, str], ...]:
    """Where the number comes from."""
    parts = ""
    if line.numerator is not None and line.denominator is not None:
        parts = f"{_plain(line.numerator)} of {_plain(line.denominator)}"
    found = [
        ("What it is", line.description),
        ("How counted", line.counted),
        ("Counted from", parts),
        (
            "Based on",
            counted(line.n, "row or person", "rows or people") if line.n not in (None, line.denominator) else "",
        ),
        ("Target", f"{line.target_text}, {line.gap}" if line.target_text else ""),
        ("Data", "; ".join(line.data)),
        ("Definition", f"version {line.definition}" if line.definition else ""),
        ("Command", f"kpi query {line.kpi}{_where(line)} --as-of {document.generation}"),
        ("Owner", line.owner or "not set"),
    ]
    return tuple((label, text) for label, text in found if text)


def _where(line: Line) -> str:
    return "".join(f" --where {fmt.plain(d)}={fmt.plain(v)}" for d, v in line.segment.items())


def _plain(value: float) -> str:
    return fmt.number(value, 0 if value == int(value) else 2)
