"""The first page: headline, three bullets and the grid, shortened to what one sheet or a phone and a half holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from textwrap import wrap

from metrics.snapshots.document import Document

BULLETS = 3
GRID = 40  # cells that fit on paper and on a wide page
URGENT = ("off_track", "at_risk", "definition_error", "waiting_for_data")  # stay in the grid before others
HEADLINE, BULLET, VERDICT, NOTE, MISSING = 120, 100, 150, 160, 120  # letters
TITLE, DENSE_TITLE = 44, 25
# What a phone 390 pixels wide shows in a screen and a half, and what takes how much of it; the tightest of all forms.
PHONE = 1250
ROW, LONG_ROW, DENSE_ROW = 98, 115, 58  # two cells; where one has a title of two lines
ONE_LINE = 22  # letters of a title
KICK, META, TAIL, LEFT = 46, 38, 28, 22  # with margins: project, meta, alerts and launches, what the grid leaves out
LINES = {"headline": (35, 25), "bullet": (46, 21), "missing": (42, 21), "note": (42, 21)}  # letters, pixels


@dataclass(frozen=True)
class Cell:
    """One KPI of the status grid. short: its title where there is little room; spark: SVG, empty if unknown.

    far: a phone leaves it to the details.
    """

    key: str
    title: str
    short: str
    value: str
    period: str
    change: str
    change_is: str
    status: str
    label: str
    spark: str = ""
    far: bool = False


@dataclass(frozen=True)
class Front:
    """What stands first.

    more: bullets that follow with the details, those that were shortened among them; cut_note: a note is not whole;
    left, left_phone: what the grid leaves out, on paper and on a phone; news: alerts and verdicts, a line each;
    counts: how many those are.
    """

    headline: str
    missing: str
    bullets: tuple[str, ...]
    more: tuple[str, ...]
    notes: tuple[tuple[str, str], ...]
    cut_note: bool
    cells: tuple[Cell, ...]
    dense: bool
    left: str
    left_phone: str
    news: tuple[str, ...]
    counts: str


def front(
    document: Document, cells: Sequence[Cell], missing: str, restated: str, notes: Sequence[tuple[str, str]]
) -> Front:
    """Of a document and its cells in reading order."""
    bullets = document.summary[:BULLETS]
    first = tuple((short(words, NOTE), by) for words, by in notes[:1])
    headline, missing = short(document.headline, HEADLINE), short(missing, MISSING)
    said = tuple(_bullet(words) for words in bullets)
    left = PHONE - _height(headline, said, (missing, restated), [words for words, _ in first])
    dense = _rows(cells) > left
    shown = _chosen(cells, GRID)
    near = _chosen(cells, 2 * ((left - LEFT) // DENSE_ROW)) if dense else shown
    return Front(
        headline=headline,
        missing=missing,
        bullets=said,
        more=tuple(words for words in bullets if len(words) > BULLET) + document.summary[BULLETS:],
        notes=first,
        cut_note=len(notes) > 1 or any(len(words) > NOTE for words, _ in notes),
        cells=tuple(_dense(c, far=c not in near) if dense else c for c in shown),
        dense=dense,
        left=_left([c for c in cells if c not in shown]),
        left_phone=_left([c for c in cells if c not in near]),
        news=_news(document),
        counts=_counts(document),
    )


def _dense(cell: Cell, *, far: bool) -> Cell:
    return replace(cell, spark="", short=short_title(cell.title, DENSE_TITLE), far=far)


def _height(headline: str, bullets: Sequence[str], banners: Sequence[str], notes: Sequence[str]) -> int:
    """Pixels of all that stands above the grid on a phone, and of the lines below it."""

    def lines(kind: str, text: str) -> int:
        letters, pixels = LINES[kind]
        return pixels * len(wrap(text, letters))

    height = KICK + META + lines("headline", headline) + sum(lines("bullet", words) + 5 for words in bullets)
    height += sum(lines("missing", words) + 31 for words in banners if words)
    return height + sum(lines("note", words) + 46 for words in notes) + TAIL


def _rows(cells: Sequence[Cell]) -> int:
    """Pixels of a grid with lines, two cells abreast."""
    pairs = [cells[n : n + 2] for n in range(0, len(cells), 2)]
    return sum(LONG_ROW if any(len(c.short) > ONE_LINE for c in pair) else ROW for pair in pairs)


def short_title(title: str, most: int) -> str:
    """A title in little room; its segment stays, which tells it from its KPI."""
    label, _, segment = title.partition(" · ")
    if len(title) <= most or not segment:
        return short(title, most)
    segment = short(segment, most // 2)
    return f"{short(label, most - len(segment) - 3)} · {segment}"


def _bullet(words: str) -> str:
    """As many of its clauses as there is room for: the first says most."""
    whole, _, _ = words[:BULLET].rpartition("; ")
    return words if len(words) <= BULLET else f"{whole}." if whole else short(words, BULLET)


def short(text: str, most: int) -> str:
    """At most so many letters, cut at a word where there is one near."""
    if len(text) <= most:
        return text
    cut = text[: most - 1]
    head = cut.rpartition(" ")[0]
    return f"{(head if len(head) > most * 0.6 else cut).rstrip(' ,;:.')}…"


def _chosen(cells: Sequence[Cell], count: int) -> list[Cell]:
    """Those that have a place, in reading order: what asks for attention goes first."""
    order = sorted(range(len(cells)), key=lambda n: (cells[n].status not in URGENT, n))
    return [cells[n] for n in sorted(order[:count])]


def _left(cells: Sequence[Cell]) -> str:
    """`10 more follow: 8 on track, 2 no target.`"""
    if not cells:
        return ""
    counts = Counter(cell.label.lower() for cell in cells)
    told = ", ".join(f"{count} {label}" for label, count in counts.most_common())
    return f"{len(cells)} more {'follows' if len(cells) == 1 else 'follow'} below: {told}."


def _news(document: Document) -> tuple[str, ...]:
    """Open alerts and the verdicts of launches, a line each."""
    alerts = [
        f"{a.severity.capitalize()} alert: {short_title(a.title, TITLE)}, open since {a.since}"
        for a in document.alerts
        if a.state == "Open"
    ]
    verdicts = [f"{short(x.label, TITLE)}: {short(said, VERDICT)}" for x in document.launches for said in x.verdicts]
    return (*alerts, *verdicts)


def _counts(document: Document) -> str:
    """`3 alerts open. 1 launch with 4 verdicts.`; empty if there is nothing."""
    alerts = sum(a.state == "Open" for a in document.alerts)
    verdicts = sum(len(x.verdicts) for x in document.launches)
    launches = _number(len(document.launches), "launch", "launches")
    parts = [f"{_number(alerts, 'alert', 'alerts')} open."] if alerts else []
    parts += [f"{launches} with {_number(verdicts, 'verdict', 'verdicts')}."] if document.launches else []
    return " ".join(parts)


def _number(count: int, one: str, many: str) -> str:
    return f"{count or 'no'} {one if count == 1 else many}"
