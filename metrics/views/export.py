"""A Series as rows, JSON and CSV: the same numbers the pages show, unrounded."""

from __future__ import annotations

import csv
import io
from typing import Any

import pandas as pd

from metrics.engine.periods import TOTAL
from metrics.engine.query import Series
from metrics.views.format import iso

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # spreadsheets run cells that start so


def rows(series: Series) -> list[dict[str, Any]]:
    """One plain dict per row: period, breakdown, value, parts, n, complete, companions, comparison, change."""
    columns = ["value", "numerator", "denominator", "n", "complete", *series.companions]
    columns += [c for c in ("comparison", "change") if c in series.frame]
    found = []
    for record in series.frame.to_dict("records"):
        row: dict[str, Any] = {"period": period(record["period"], series.grain)}
        if series.by:
            row[series.by] = record["segment"]
        row.update({column: plain(record[column]) for column in columns})
        found.append(row)
    return found


def as_dict(series: Series) -> dict[str, Any]:
    """The JSON of `kpi query`."""
    return {
        "kpi": series.kpi, "definition": series.definition, "generation": series.generation,
        "watermark": iso(series.watermark), "grain": series.grain, "unit": series.unit, "rows": rows(series),
    }  # fmt: skip


def as_csv(series: Series) -> str:
    """CSV with a header; a text that a spreadsheet would run is quoted with an apostrophe."""
    lines = rows(series)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(lines[0]) if lines else ["period", "value"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: _cell(v) for k, v in line.items()} for line in lines)
    return out.getvalue()


def period(at: Any, grain: str) -> str:
    """2026-11-23; hours with their Z; `total`."""
    if grain == TOTAL:
        return TOTAL
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if grain == "hour" else f"{at:%Y-%m-%d}"


def plain(value: Any) -> Any:
    """A JSON value; unknown is None."""
    if value is None or value is pd.NA or (not isinstance(value, str) and pd.isna(value)):
        return None
    return value.item() if hasattr(value, "item") else value


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
