"""Ways to write numbers, and which mark before the decimals all rows of a column agree on."""

from __future__ import annotations

import re
from dataclasses import dataclass

POINT, COMMA = "1,234.56", "1.234,56"
# What `numbers:` of a source may say of a column: the marks, and whether each has a percent sign (then 45.5% is 0.455).
STYLES = (POINT, COMMA, f"{POINT}%", f"{COMMA}%")
SIGNS = "$€£¥₹₽₩₺₫฿₴₦₪₱"
CODES = re.findall(
    "[A-Z]+",
    "AED ARS AUD BGN BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP HKD HUF IDR ILS INR ISK JPY KES KRW MAD MXN MYR NGN "
    "NOK NZD PEN PHP PKR PLN RON RSD RUB SAR SEK SGD THB TRY TWD UAH USD VND ZAR",
)
WORDS = (
    "A$",
    "C$",
    "NZ$",
    "HK$",
    "US$",
    "R$",
    "MX$",
    "S$",
    "CA$",
    "AU$",
    "kr.",
    "kr",
    "zł",
    "Kč",
    "Ft",
    "lei",
    "Rs.",
    "Rs",
)
# A text that says that there is no value, whatever the column is.
UNKNOWN = ("", "n/a", "na", "n.a.", "#n/a", "null", "none", "nil", "nan", "-", "--", "–", "—", "\\n", "(not set)")


@dataclass(frozen=True)
class NumberCount:
    """What a column's texts hold, in rows. point, comma: readable with that mark before the decimals.

    differ: readable with both, but not as the same number; dots: those of them that have a point. percent: with a
    percent sign; plain: without one, and not 0.
    coded: with a leading zero as ids and postcodes have. currencies: signs and codes that were met.
    """

    rows: int
    point: int
    comma: int
    differ: int
    dots: int
    percent: int
    plain: int
    coded: int
    currencies: tuple[str, ...]


def style_error(style: str) -> str:
    """What is wrong with a style of `numbers:`; empty = nothing."""
    if style in STYLES:
        return ""
    return f"'{style}' is no way to write numbers; it is one of {', '.join(STYLES)}"


def decide(count: NumberCount, *, decimal: str) -> tuple[str, str]:
    """The style of a column (empty = these are no numbers) and the other one that its rows allow as well.

    decimal: the mark that the source states. Without any evidence a comma before three digits stands between
    thousands, and so does a point in money.
    """
    if count.coded or (count.percent and count.plain):
        return "", ""
    percent = "%" if count.percent else ""
    if count.point != count.comma:
        return (POINT if count.point > count.comma else COMMA) + percent, ""
    if decimal == ",":
        return COMMA + percent, ""
    first, other = (COMMA, POINT) if count.dots and count.currencies else (POINT, COMMA)
    return first + percent, other + percent if count.differ else ""
