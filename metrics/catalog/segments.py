"""A filter that names segments of one dimension: `platform = 'web'`, `country IN ('DE', 'FR')`, `plan != 'free'`.

Values of KPIs are stored by single dimensions, so what is written like this can be read as it was published.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlglot import exp

from connectors.warehouse.contract import NONE_SEGMENT
from metrics.catalog import sql


@dataclass(frozen=True)
class Segments:
    """Values of a dimension; others: all but these."""

    dimension: str
    values: tuple[str, ...]
    others: bool = False

    def chosen(self, known: Iterable[str]) -> tuple[str, ...]:
        """Which of the known segments these are."""
        return tuple(s for s in known if (s in self.values) != self.others)

    @property
    def words(self) -> str:
        """`platform web`, `platform other than web`."""
        named = ", ".join(self.values)
        return f"{self.dimension.replace('_', ' ')} {'other than ' if self.others else ''}{named}"


def segments(text: str) -> Segments | None:
    """The segments that a filter names; None if it says anything else. Raises SqlProblem for what is no filter."""
    tree = sql.expression(text).unnest()
    others = isinstance(tree, (exp.Not, exp.NEQ))
    if isinstance(tree, exp.Not):
        tree = tree.this.unnest()
    if isinstance(tree, exp.Is) and isinstance(tree.expression, exp.Null) and isinstance(tree.this, exp.Column):
        return Segments(tree.this.name, (NONE_SEGMENT,), others)
    if not isinstance(tree, (exp.EQ, exp.NEQ, exp.In)) or not isinstance(tree.this, exp.Column):
        return None
    given = tree.expressions if isinstance(tree, exp.In) else [tree.expression]
    if not given or not all(isinstance(value, exp.Literal) for value in given):
        return None
    return Segments(tree.this.name, tuple(value.name for value in given), others)


def among(dimension: str, values: Iterable[str], *, others: bool = False) -> str:
    """The filter that names these segments, whatever their names hold; `segments` reads it back."""
    given = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    return f"{dimension} {'NOT IN' if others else 'IN'} ({given})"
