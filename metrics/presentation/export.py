"""A Series as rows, JSON and CSV: the same numbers the pages show, unrounded."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from metrics.engine.periods import TOTAL
from metrics.engine.query import Series
from metrics.presentation.format import iso

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # spreadsheets run cells that start so
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


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


def counts(series: Series, parts: Any) -> list[int | None]:
    """The parts of one row as counts; unknown is None."""
    known = parts if isinstance(parts, tuple) else (math.nan,) * len(series.part_names)
    return [None if math.isnan(x) else int(x) for x in known]


def in_parts(series: Series, parts: Any) -> dict[str, Any]:
    """What a type says of a row beside its value: a funnel's steps, a retention's curve, counts by name."""
    if not series.part_names:
        return {}
    found = counts(series, parts)
    if series.parts_form == "steps":
        named = zip(series.part_names, found, [None, *found[:-1]], strict=True)
        return {
            "steps": [
                {"name": n, "count": c, "from_previous": share(c, before), "from_first": share(c, found[0])}
                for n, c, before in named
            ]
        }
    if series.parts_form == "curve":
        return {"curve": {"counts": found, "shares": [share(c, found[0]) for c in found]}}
    return dict(zip(series.part_names, found, strict=True))


def share(count: int | None, of: int | None) -> float | None:
    """count / of; unknown where either is, or where nobody was there."""
    return count / of if count is not None and of else None


def as_dict(series: Series) -> dict[str, Any]:
    """The JSON of `kpi query`."""
    parts = [in_parts(series, found) for found in series.frame["parts"]]
    return {
        "kpi": series.kpi,
        "definition": series.definition,
        "generation": series.generation,
        "watermark": iso(series.watermark),
        "grain": series.grain,
        "unit": series.unit,
        "rows": [{**row, **more} for row, more in zip(rows(series), parts, strict=True)],
    }


def as_csv(series: Series) -> str:
    """CSV with a header; a text that a spreadsheet would run is quoted with an apostrophe."""
    named = [dict(zip(series.part_names, counts(series, p), strict=True)) for p in series.frame["parts"]]
    lines = [{**row, **more} for row, more in zip(rows(series), named, strict=True)]
    return csv_text(list(lines[0]) if lines else ["period", "value"], lines)


def csv_text(columns: Sequence[str], lines: Iterable[Mapping[str, Any]]) -> str:
    """The one writer of CSV that leaves the program: a header, then rows; what is not known is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([cell(column) for column in columns])
    writer.writerows([cell(line.get(column, "")) for column in columns] for line in lines)
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


def cell(value: Any) -> Any:
    """A value as a cell: what a spreadsheet would run is quoted with an apostrophe, a number is none of it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return value
    plain = value.replace("\r\n", "\n").replace("\r", "\n")  # a bare one would end the row
    return f"'{plain}" if value.startswith(FORMULA) and not NUMBER.fullmatch(value) else plain
