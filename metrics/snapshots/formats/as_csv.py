"""The snapshot as CSV: one row per number, raw and as told; no cell runs in a spreadsheet."""

from __future__ import annotations

from metrics.presentation.export import csv_text
from metrics.snapshots.document import Document, Line

COLUMNS = [
    "snapshot",
    "week",
    "revision",
    "generation",
    "section",
    "kpi",
    "label",
    "segment",
    "kind",
    "grain",
    "period",
    "value",
    "text",
    "target",
    "change",
    "change_text",
    "status",
    "owner",
    "definition",
]


def as_csv(document: Document) -> str:
    """A header and rows. kind: number (what the snapshot says of the KPI), week or month (points of its chart)."""
    head: dict[str, object] = {
        "snapshot": document.snapshot,
        "week": document.week,
        "revision": document.revision,
        "generation": document.generation,
    }
    lines = (
        {**head, "section": section.title, **row}
        for section in document.sections
        for line in section.lines
        for row in _rows(line)
    )
    return csv_text(COLUMNS, lines)


def _rows(line: Line) -> list[dict[str, object]]:
    own = {
        "kpi": line.kpi,
        "label": line.label,
        "segment": "; ".join(f"{d}={v}" for d, v in line.segment.items()),
        "owner": line.owner,
        "definition": line.definition,
    }
    found: list[dict[str, object]] = [
        {
            **own,
            "kind": "number",
            "grain": line.grain,
            "period": line.period,
            "value": line.value,
            "text": line.text,
            "target": line.target,
            "change": line.change,
            "change_text": line.change_text,
            "status": line.status,
        }
    ]
    for kind, points in (("week", line.weeks), ("month", line.months)):
        found += [
            {
                **own,
                "kind": kind,
                "grain": kind,
                "period": p.period.isoformat(),
                "value": p.value,
                "text": p.text,
                "target": p.target,
            }
            for p in points
        ]
    return found
