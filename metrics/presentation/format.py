"""Numbers, changes and periods as people read them."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from metrics.catalog.models.kpi import KpiCommon
from metrics.presentation.precision import MOST, Shown, is_whole, same, together

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN = "–"
MINUS = "−"
SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "BRL": "R$"}
# Amounts that have no smaller coin in use.
WHOLE_CURRENCIES = {"JPY", "KRW", "VND", "CLP", "ISK", "PYG", "UGX", "XAF", "XOF"}
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
    """A value in the KPI's format. Unknown is a dash, never 0; what is not 0 never reads as 0.

    compact: 64.7k, where there is room for little: on cards. Sentences and tables have whole numbers.
    """
    return value_texts((value,), kpi, compact=compact)[0]


def value_texts(values: Sequence[float | None], kpi: KpiCommon, *, compact: bool = False) -> list[str]:
    """Values that stand in one sentence: those that differ read differently, in their order; equal ones the same."""
    known = [value for value in values if value is not None and not math.isnan(value)]
    texts = iter(together(known, partial(_in_format, kpi, compact)))
    return [UNKNOWN if value is None or math.isnan(value) else next(texts) for value in values]


def alike(one: float | None, other: float | None, kpi: KpiCommon) -> bool:
    """Whether two values read the same in the usual precision: nobody would speak of their difference."""
    read = [None if v is None or math.isnan(v) else _in_format(kpi, False, v, 0).read for v in (one, other)]
    return read[0] == read[1]


def slight(difference: float, kpi: KpiCommon) -> bool:
    """Whether a difference reads as nothing in the usual precision."""
    if kpi.is_rate or kpi.is_score or kpi.delta == "points":
        return round(difference * _points(kpi), 1) == 0
    return alike(difference, 0.0, kpi)


def change_text(value: float | None, before: float | None, kpi: KpiCommon, *, compact: bool = False) -> str:
    """A change: points for rates, percent otherwise; empty if either is unknown.

    `from −100 to −50` where a percentage means nothing: a value below 0, or nothing to begin with.
    """
    if value is None or before is None or math.isnan(value) or math.isnan(before):
        return ""
    if kpi.changes_in_points:
        points = 0.0 if same(value, before) else value - before
        return points_text(points, scale=_points(kpi))
    if before <= 0 or value < 0:
        first, last = value_texts((before, value), kpi, compact=compact)
        return f"from {first} to {last}"
    return percent_text(0.0 if same(value, before) else _relative(value, before))


def _relative(value: float, base: float) -> float:
    from metrics.transforms.percent_change import relative_change  # numpy and pandas, which no name or date needs

    return float(relative_change(value, base))


def points_text(value: float, *, scale: float = 1, plus: bool = True) -> str:
    """`+4.6 points`, `+1.0 point`, `+0.04 points`; ± where there is no change at all. scale: points of 1."""
    return points_texts((value,), scale=scale, plus=plus)[0]


def points_texts(values: Sequence[float], *, scale: float = 1, plus: bool = True) -> list[str]:
    """Points in one sentence, each with its unit. scale: points of 1."""
    return [_with_points(text) for text in _plain(values, 1, scale=scale, plus=plus)]


def percent_text(share: float, *, plus: bool = True) -> str:
    """`+8.4%`, `+0.03%`; `−100.0%` only where nothing is left."""
    return _plain((share,), 1, scale=100, plus=plus, anchors=(0.0, -1.0))[0] + "%"


def percent_texts(shares: Sequence[float], *, plus: bool = True) -> list[str]:
    """Relative effects in one sentence."""
    return [f"{text}%" for text in _plain(shares, 1, scale=100, plus=plus)]


def share_text(share: float, decimals: int = 0) -> str:
    """A part of a whole: `17%`, `0.4%`, `99.6%`; 0% and 100% only where it is none or all."""
    return _plain((share,), decimals, scale=100, anchors=(0.0, 1.0))[0] + "%"


def difference_text(value: float | None, kpi: KpiCommon, *, plus: bool = True) -> str:
    """A difference of two values in the KPI's own unit; points for rates and scores."""
    return difference_texts((value,), kpi, plus=plus)[0]


def difference_texts(values: Sequence[float | None], kpi: KpiCommon, *, plus: bool = True) -> list[str]:
    """Differences in one sentence, each with its unit."""
    known = [value for value in values if value is not None and not math.isnan(value)]
    if kpi.is_rate or kpi.is_score or kpi.delta == "points":
        found = points_texts(known, scale=_points(kpi), plus=plus)
    else:
        found = together(known if plus else [abs(v) for v in known], partial(_in_format, kpi, False))
        found = [text if not plus or text.startswith(MINUS) else _plus(text) for text in found]
    texts = iter(found)
    return [UNKNOWN if value is None or math.isnan(value) else next(texts) for value in values]


def gap_text(value: float, target: float, kpi: KpiCommon) -> str:
    """How far a value is from its target, in the KPI's own unit."""
    if same(value, target):
        return "on target"
    gap, side = abs(value - target), "over" if value > target else "under"
    if kpi.is_rate or kpi.delta == "points":
        text = points_text(gap, scale=_points(kpi), plus=False)
    elif kpi.format == "duration":
        text = duration_text(gap, like=target)
    elif target <= 0 or value < 0:
        text = value_text(gap, kpi)
    else:
        text = percent_text(abs(_relative(value, target)), plus=False)
    return f"{text} {side} target"


def duration_text(seconds: float, like: float | None = None) -> str:
    """2.74 s, 12.5 min, 3.2 h, 4.1 days; in the unit that `like` would have, where it is given."""
    return together((seconds,), lambda value, level: _duration(value, level, like))[0]


def range_text(first: str, last: str) -> str:
    """`16–22 Nov`; with spaces around the dash where the sides have some: `28 Dec 2020 – 3 Jan 2021`."""
    return f"{first} – {last}" if " " in first else f"{first}–{last}"


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
        last = period + timedelta(days=6)
        if this_year is not None and period.year != last.year:
            return range_text(f"{period.day} {period:%b %Y}", f"{last.day} {last:%b %Y}")
        first = f"{period.day}" if period.month == last.month else f"{period.day} {period:%b}"
        return range_text(first, f"{last.day} {last:%b}{year}")
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
        day = at - timedelta(seconds=1)
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
    day = at.astimezone(UTC) - timedelta(microseconds=1)
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


def number(value: float, decimals: int) -> str:
    """A plain number, grouped, with more digits where it would read as 0."""
    return numbers((value,), decimals)[0]


def numbers(values: Sequence[float], decimals: int, *, scale: float = 1) -> list[str]:
    """Plain numbers in one sentence, times `scale`."""
    return _plain(values, decimals, scale=scale)


def _in_format(kpi: KpiCommon, compact: bool, value: float, level: int) -> Shown:
    """A value in the KPI's format. Where it is short, precision grows by one digit, then it is written out."""
    head, _, code = kpi.format.partition(" ")
    if head == "percent":
        return _decimal(value, 1 + level, scale=100, after="%")
    if head == "duration":
        return _duration(value, level)
    match, digits = PATTERN.match(kpi.format), MOST  # more than the usual ones
    if head == "currency":
        usual, before, after, scale, grouped = _minor(code, value), SYMBOLS.get(code or "USD", f"{code} "), "", 1, True
    elif match and head != "number":
        before, after, grouped = match["before"], match["after"], "," in match["digits"]
        usual, scale = len(match["decimals"] or ""), 100 if "%" in after else 1
    else:
        # Decimals added up in another order differ in the sixteenth digit: 38 must not read 38.00 on the next day.
        whole = is_whole(value)
        usual, before, after, scale, grouped = 0 if whole or abs(value) >= 1000 else 2, "", "", 1, True
        digits = 0 if whole else MOST
    if compact and abs(value * scale) >= (10_000 if head == "currency" else 100_000):
        if level < 2:
            return _short(value, 1 + level, scale, before, after)
        level -= 2
    return _decimal(value, usual + min(level, digits), scale=scale, before=before, after=after, grouped=grouped)


def _minor(code: str, value: float) -> int:
    """Digits behind the point of an amount of money."""
    return 0 if abs(value) >= 1000 or code in WHOLE_CURRENCIES else 2


def _short(value: float, decimals: int, scale: float, before: str, after: str) -> Shown:
    size = abs(value) * scale
    steps = ((1e3, "k"), (1e6, "m"), (1e9, "bn"))
    limit, name = next((step for step in steps if round(size / step[0], decimals) < 1000), steps[-1])
    return _decimal(value, decimals, scale=scale / limit, before=before, after=name + after)


def _duration(seconds: float, level: int, like: float | None = None) -> Shown:
    size = abs(seconds if like is None else like)
    for limit, unit, name in ((1, 0.001, "ms"), (90, 1, "s"), (5400, 60, "min"), (129600, 3600, "h")):
        if size < limit:
            digits = 0 if name == "ms" else 2 if size / unit < 10 and like is None else 1
            return _decimal(seconds, digits + level, scale=1 / unit, after=f" {name}")
    days = _decimal(seconds, 1 + level, scale=1 / 86400)
    return Shown(f"{days.text} day{'' if days.text.lstrip(MINUS) == '1.0' else 's'}", days.read)


def _plain(
    values: Sequence[float],
    decimals: int,
    *,
    scale: float = 1,
    plus: bool = False,
    anchors: Sequence[float] = (0.0,),
) -> list[str]:
    """Numbers without a unit that stand beside each other."""
    found = together(values, lambda value, level: _decimal(value, decimals + level, scale=scale), anchors)
    return [text if not plus or text.startswith(MINUS) else _plus(text) for text in found]


def _points(kpi: KpiCommon) -> float:
    """Points in 1 of a KPI's value."""
    return 100 if kpi.is_rate else 1


def _plus(text: str) -> str:
    """With the sign of what is not below 0: ± where no digit says anything."""
    return ("+" if re.search("[1-9]", text) else "±") + text


def _with_points(text: str) -> str:
    return f"{text} point" + ("" if re.fullmatch(rf"[+{MINUS}]?1(\.0)?", text) else "s")


def _decimal(
    value: float, decimals: int, *, scale: float = 1, before: str = "", after: str = "", grouped: bool = True
) -> Shown:
    """A number at so many digits; the minus stands before the symbol of a currency."""
    size = f"{abs(value * scale):{',' if grouped else ''}.{decimals}f}"
    read = math.copysign(float(size.replace(",", "")) / scale, value)
    return Shown(f"{MINUS if read < 0 else ''}{before}{size}{after}", read)
