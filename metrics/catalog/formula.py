"""The expression language of derived KPIs: `{kpi}` with an optional offset, numbers, arithmetic."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from metrics.catalog.models.kpi import Longer
from metrics.catalog.models.values import GRAINS
from metrics.catalog.sql import SqlProblem, expression

REFERENCE = re.compile(r"\{\s*(\w+)\s*\}(?:\s+offset\s+(\d+)\s+([a-z]+?)s?\b)?")
ALLOWED = (
    exp.Add,
    exp.Sub,
    exp.Mul,
    exp.Div,
    exp.Neg,
    exp.Paren,
    exp.Literal,
    exp.Column,
    exp.Identifier,
    exp.Abs,
    exp.Least,
    exp.Greatest,
)


# The grains whose periods an offset of one of these is a whole number of.
WHOLE_IN = {
    "hour": ("hour",),
    "day": ("hour", "day"),
    "week": ("hour", "day", "week"),
    "month": ("month",),
    "quarter": ("month", "quarter"),
    "year": ("month", "quarter", "year"),
}


@dataclass(frozen=True)
class Reference:
    """One `{kpi}` of an expression; its value `offset` whole `offset_grain`s earlier."""

    kpi: str
    offset: int = 0
    offset_grain: str = ""


@dataclass(frozen=True)
class Formula:
    """A tree over columns p0, p1, … which stand for `references` in that order."""

    tree: exp.Expr
    references: tuple[Reference, ...]


def formula(text: str) -> Formula:
    """Parse a derived KPI's `expr`. Raises SqlProblem."""
    references: list[Reference] = []

    def one(match: re.Match[str]) -> str:
        name, count, grain = match.groups()
        if grain and grain not in GRAINS:
            raise SqlProblem(f"unknown grain '{grain}' in an offset", f"Known: {', '.join(GRAINS)}.")
        found = Reference(name, int(count or 0), grain or "")
        if found not in references:
            references.append(found)
        return f"p{references.index(found)}"

    plain = REFERENCE.sub(one, text)
    if not references:
        raise SqlProblem("no KPI is named", "Write names in braces: {tickets} / {active_users}.")
    tree = expression(plain)
    for node in tree.walk():
        if not isinstance(node, ALLOWED):
            raise SqlProblem(
                f"'{node.sql()}' is not arithmetic", "Allowed: {kpi}, numbers, + - * /, abs, least, greatest."
            )
        if isinstance(node, exp.Column) and not re.fullmatch(r"p\d+", node.name):
            raise SqlProblem(f"'{node.name}' is not in braces", f"Write {{{node.name}}} if it is a KPI.")
    return Formula(tree, tuple(references))


def longer(tree: exp.Expr, parts: Mapping[str, Longer]) -> Longer:
    """What a formula's value of a longer period is to those of shorter ones, by what those of p0, p1, … are.

    Times and divided by, powers of the period's length go up and down; what is added must have the same one.
    """
    power = _power(tree, {name: {"level": 0, "sum": 1}.get(kind) for name, kind in parts.items()})
    return "level" if power == 0 else "sum" if power == 1 else "other"


def _power(tree: exp.Expr, parts: Mapping[str, int | None]) -> int | None:
    """Of the period's length, in a value; None where it has none."""
    if isinstance(tree, exp.Column):
        return parts[tree.name]
    if isinstance(tree, exp.Literal):
        return 0
    sides = [_power(side, parts) for side in tree.iter_expressions()]
    known = [side for side in sides if side is not None]
    if len(known) < len(sides):
        return None
    if isinstance(tree, exp.Mul):
        return sum(known)
    if isinstance(tree, exp.Div):
        return known[0] - known[1]
    return known[0] if len(set(known)) == 1 and _keeps_sums(tree, known[0]) else None


def _keeps_sums(tree: exp.Expr, power: int) -> bool:
    """The least of two sums is not the sum of the least, nor are sums without their signs."""
    return not power or not isinstance(tree, exp.Least | exp.Greatest | exp.Abs)
