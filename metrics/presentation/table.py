"""Rows as a table of text, for the shell."""

from __future__ import annotations

from typing import Any


def as_table(rows: list[dict[str, Any]], columns: list[str]) -> str:
    """Columns padded to their widest cell, numbers to the right; unknown is a dash."""
    cells = [[_cell(row.get(c)) for c in columns] for row in rows]
    widths = [max([len(c), *(len(line[i]) for line in cells)]) for i, c in enumerate(columns)]
    right = [bool(rows) and all(isinstance(r.get(c), (int, float, type(None))) for r in rows) for c in columns]
    lines = []
    for line in [columns, *cells]:
        padded = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True)]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
