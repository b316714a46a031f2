"""Numbers, changes and periods as people read them."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, date, datetime

import pandas as pd

from metrics.catalog.models.kpi import KpiCommon
from metrics.transforms.percent_change import relative_change

UNKNOWN = "–"
MINUS = "−"
SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "BRL": "R$"}
TURNING = {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C)}
NAME = 300  # letters of a name that are shown
PATTERN = re.compile(r"^(?P<before>[^#0]*)(?P<digits>[#0,]+(?:\.(?P<decimals>0+))?)(?P<after>.*)$")


def plain(text: str, most: int = 2000) -> str:
    """Text of people or data in one line, without characters that nobody sees or that turn what follows around."""
    kept = (" " if c.isspace() else c for c in text if c.isspace() or not (c in TURNING or _control(c)))
    return " ".join("".join(kept).split())[:most]


def _control(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cs")


def value_text(value: float | None, kpi: KpiCommon, *, compact: bool = False) -> str:
    """A value in the KPI's format; compact shortens large amounts to 64.7k. Unknown is a dash, never 0."""
    if value is None or math.isnan(value):
        return UNKNOWN
    head, _, code = kpi.format.partition(" ")
    if head == "percent":
        return _signed(value * 100, 1) + "%"
    if head == "duration":
        return duration_text(value)
    if head == "currency":
        symbol = SYMBOLS.get(code or "USD", f"{code} ")
        short = compact and abs(value) >= 10_000
        text = _short(value) if short else _signed(value, 0 if abs(value) >= 1000 else 2)
        return (MINUS if text.startswith(MINUS) else "") + symbol + text.removeprefix(MINUS)
    match = PATTERN.match(kpi.format)
    if match and head != "number":
        after = match["after"]
        shown = value * 100 if "%" in after else value
        if compact and abs(shown) >= 100_000:
            return match["before"] + _short(shown) + after
        return match["before"] + _signed(shown, len(match["decimals"] or ""), grouped="," in match["digits"]) + after
    if compact and abs(value) >= 100_000:
        return _short(value)
    # Decimals added up in another order differ in the sixteenth digit: 38 must not read 38.00 on the next day.
    whole = round(value, 9) == round(value)
    return _signed(value, 0 if whole or abs(value) >= 1000 else 2)


def change_text(value: float | None, before: float | None, kpi: KpiCommon, *, compact: bool = False) -> str:
    """A change: points for rates, percent otherwise; empty if either is unknown.

    `from −100 to −50` where a percentage means nothing: a value below 0, or nothing to begin with.
    """
    if value is None or before is None or math.isnan(value) or math.isnan(before):
        return ""
    if kpi.changes_in_points:
        points = (value - before) * (100 if kpi.is_rate else 1)
        return f"{_signed(points, 1, plus=True)} points"
    if before <= 0 or value < 0:
        return f"from {value_text(before, kpi, compact=compact)} to {value_text(value, kpi, compact=compact)}"
    return f"{_signed(relative_change(value, before) * 100, 1, plus=True)}%"


def difference_text(value: float | None, kpi: KpiCommon, *, plus: bool = True) -> str:
    """A difference of two values in the KPI's own unit; points for rates and scores."""
    if value is None or math.isnan(value):
        return UNKNOWN
    if kpi.is_rate or kpi.is_score or kpi.delta == "points":
        text = _signed(value * 100 if kpi.is_rate else value, 1, plus=plus)
        return f"{text} point" + ("" if text.lstrip("+-−") == "1.0" else "s")
    if not plus:
        return value_text(abs(value), kpi)
    return (MINUS if value < 0 else "+") + value_text(abs(value), kpi)


def gap_text(value: float, target: float, kpi: KpiCommon) -> str:
    """How far a value is from its target, in the KPI's own unit."""
    gap = value - target
    side = "over" if gap > 0 else "under"
    if gap == 0:
        return "on target"
    if kpi.is_rate:
        return f"{abs(gap) * 100:.1f} points {side} target"
    if kpi.delta == "points":
        return f"{abs(gap):.1f} points {side} target"
    if kpi.format == "duration":
        return f"{duration_text(abs(gap), like=target)} {side} target"
    if target <= 0 or value < 0:
        return f"{value_text(abs(gap), kpi)} {side} target"
    return f"{abs(relative_change(value, target)) * 100:.1f}% {side} target"


def duration_text(seconds: float, like: float | None = None) -> str:
    """2.74 s, 12.5 min, 3.2 h, 4.1 days; in the unit that `like` would have, where it is given."""
    size = abs(seconds if like is None else like)
    for limit, unit, name in ((1, 0.001, "ms"), (90, 1, "s"), (5400, 60, "min"), (129600, 3600, "h")):
        if size < limit:
            digits = 0 if name == "ms" else 2 if size / unit < 10 and like is None else 1
            return f"{_signed(seconds / unit, digits)} {name}"
    return f"{_signed(seconds / 86400, 1)} days"


def period_text(period: pd.Timestamp, grain: str, this_year: int | None = None) -> str:
    """Sun 22 Nov, 16–22 Nov, October 2026, Q4 2026, 2026, 22 Nov 14:00 UTC.

    this_year: days, weeks and hours of other years name theirs; a week over New Year both.
    """
    year = f" {period.year}" if this_year is not None and period.year != this_year else ""
    if grain == "hour":
        return f"{period.day} {period:%b}{year} {period:%H}:00 UTC"
    if grain == "day":
        return f"{period:%a} {period.day} {period:%b}{year}"
    if grain == "week":
        last = period + pd.Timedelta(days=6)
        if this_year is not None and period.year != last.year:
            return f"{period.day} {period:%b %Y}–{last.day} {last:%b %Y}"
        first = f"{period.day}" if period.month == last.month else f"{period.day} {period:%b}"
        return f"{first}–{last.day} {last:%b}{year}"
    if grain == "month":
        return f"{period:%B %Y}"
    return f"Q{(period.month - 1) // 3 + 1} {period.year}" if grain == "quarter" else f"{period.year}"


def days_text(days: Sequence[date]) -> list[str]:
    """`25 Dec`, `1 Jan`: each day by itself; where they lie in several years, with its own."""
    several = len({day.year for day in days}) > 1
    return [f"{day:%-d %b %Y}" if several else f"{day:%-d %b}" for day in days]


def against_text(grain: str, window_days: int = 1) -> str:
    """What a value is compared with, in words."""
    if grain == "day" and window_days > 1:
        return f"vs {window_days} days earlier"
    return {"hour": "vs the hour before", "day": "vs the day before", "week": "vs the week before"}.get(
        grain, f"vs the {grain} before"
    )


def moment_text(at: datetime | None) -> str:
    """Sun 22 Nov 2026, 23:59 UTC; midnight is told as the end of the day before."""
    if at is None:
        return "unknown"
    at = at.astimezone(UTC)
    if at.hour == at.minute == at.second == 0:
        day = pd.Timestamp(at) - pd.Timedelta(seconds=1)
        return f"the end of {day:%a} {day.day} {day:%b %Y}"
    return instant_text(at)


def instant_text(at: datetime) -> str:
    """Sun 22 Nov 2026, 23:59 UTC; midnight is 00:00 of its own day."""
    at = at.astimezone(UTC)
    return f"{at:%a} {at.day} {at:%b %Y, %H:%M} UTC"


def day_text(at: datetime | None) -> str:
    """Sun 22 Nov 2026: the last day that lies before `at`."""
    if at is None:
        return "unknown"
    day = pd.Timestamp(at.astimezone(UTC)) - pd.Timedelta(microseconds=1)
    return f"{day:%a} {day.day} {day:%b %Y}"


def age_text(at: datetime | None, now: datetime) -> str:
    """5 min ago, 3 h ago, 4 days ago."""
    if at is None:
        return "never"
    minutes = (now - at).total_seconds() / 60
    if minutes < 1:
        return "just now"
    if minutes < 90:
        return f"{minutes:.0f} min ago"
    return f"{minutes / 60:.0f} h ago" if minutes < 48 * 60 else f"{minutes / 1440:.0f} days ago"


def iso(at: datetime | None) -> str | None:
    """YYYY-MM-DDTHH:MM:SSZ, the form of all JSON."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if at is not None else None


def signed(value: float, decimals: int, *, plus: bool = False) -> str:
    """A number with its sign: a true minus and, if wanted, a plus."""
    return _signed(value, decimals, plus=plus)


def number(value: float, decimals: int) -> str:
    """A plain number, grouped."""
    return _signed(value, decimals)


def _short(value: float) -> str:
    for limit, name in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{_signed(value / limit, 1)}{name}"
    return _signed(value, 0)


def _signed(value: float, decimals: int, *, plus: bool = False, grouped: bool = True) -> str:
    text = f"{abs(value):,.{decimals}f}" if grouped else f"{abs(value):.{decimals}f}"
    zero = float(text.replace(",", "")) == 0
    sign = "" if zero else MINUS if value < 0 else "+" if plus else ""
    return ("±" if plus and zero else sign) + text
