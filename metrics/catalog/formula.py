"""The expression language of derived KPIs: `{kpi}` with an optional offset, numbers, arithmetic."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlglot import exp

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
