"""Ways to write dates and times, and the order of day and month that all rows of a column agree on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

ORDERS = {"dmy": "day, month, year", "mdy": "month, day, year", "ymd": "year, month, day"}
UNITS = {"epoch_s": "seconds", "epoch_ms": "milliseconds", "epoch_us": "microseconds", "epoch_ns": "nanoseconds"}
# What `dates:` of a source may say of a column, beside a strptime pattern.
STYLES = {
    "iso": "a year of four digits first, or the month in words",
    **ORDERS,
    "month": "months such as 2026-01 or Jan 2026",
    "compact": "digits only, such as 20260105 or 20260105143000",
    **{name: f"{unit} since 1970" for name, unit in UNITS.items()},
}
# Abbreviations of zones that mean one offset wherever they are used, in minutes east of UTC.
ZONES = {
    **{"z": 0, "utc": 0, "gmt": 0, "wet": 0, "west": 60, "cet": 60, "cest": 120, "eet": 120, "eest": 180, "msk": 180},
    **{"pst": -480, "pdt": -420, "mdt": -360, "cdt": -300, "edt": -240, "est": -300, "akst": -540, "akdt": -480},
    **{"hst": -600, "jst": 540, "kst": 540, "aest": 600, "aedt": 660, "acst": 570, "awst": 480, "nzst": 720},
    **{"nzdt": 780, "sgt": 480, "hkt": 480, "mst": -420, "brt": -180},
}
# Patterns that an engine reads fast, of which most columns have one; each means what its style means.
DAYS = {
    "iso": ("%Y-%m-%d", "%Y/%m/%d", "%b %d, %Y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y"),
    "mdy": ("%m/%d/%y", "%m/%d/%Y", "%m-%d-%Y"),
    "dmy": ("%d/%m/%y", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y"),
}
TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", ", %I:%M %p", " %I:%M:%S %p", " %H:%M:%S %z", "T%H:%M:%S%z")
STEADY = ("iso", "month")  # styles in which no order of day and month is open


@dataclass(frozen=True)
class StyleCount:
    """What one style makes of a column's texts. readable, future: rows; days: distinct ones; first, last: of them."""

    readable: int
    future: int
    days: int
    first: datetime | None
    last: datetime | None

    @property
    def span(self) -> float:
        """Seconds from the first to the last."""
        return (self.last - self.first).total_seconds() if self.first and self.last else 0.0


def style_error(style: str) -> str:
    """What is wrong with a style of `dates:`; empty = nothing."""
    if style in STYLES or "%" in style:
        return ""
    return f"'{style}' is no way to write dates; it is one of {', '.join(STYLES)}, or a pattern such as %d/%m/%Y"


def decide(counts: Mapping[str, StyleCount], *, dotted: bool) -> tuple[str, str]:
    """The style of a column and the other one that its rows allow as well (empty = they allow one only).

    counts: of the orders, and of "iso" and "month". dotted: all are written with dots, which only day, month, year is.
    More readable rows win; then the style whose dates are not in the future; then the denser one, and that is a doubt.
    """
    steady = max(STEADY, key=lambda style: counts[style].readable)
    most = max(counts[style].readable for style in ORDERS)
    if counts[steady].readable >= most:
        return steady, ""
    open_ = [style for style in ORDERS if counts[style].readable == most]
    if dotted and "dmy" in open_:
        return "dmy", ""
    past = [style for style in open_ if not counts[style].future]
    open_ = past or open_
    chosen = min(open_, key=lambda style: (counts[style].span, style != "mdy"))
    return chosen, next((style for style in open_ if not _same(counts[style], counts[chosen])), "")


def _same(one: StyleCount, other: StyleCount) -> bool:
    """Whether two styles read the same days: 05/05/2026."""
    return (one.first, one.last, one.days) == (other.first, other.last, other.days)
