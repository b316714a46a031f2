"""Functions whose answers tests/engines compared between DuckDB and the other engines, by sqlglot's keys of them.

Another one may be there under the same name and mean something else: `round` of a half, `log`, `dayofweek`.
"""

from __future__ import annotations

from sqlglot import exp

NAMES = """
abs and argmax argmin avg case cast ceil coalesce count datediff day floor greatest hour if lag lead length
lower max median min minute month nullif or percentilecont quarter row rownumber sum timestamptrunc upper year
"""
COMPARED = frozenset(NAMES.split())


def functions(tree: exp.Expr) -> set[str]:
    """What a tree calls, by sqlglot's keys, or by its name where sqlglot has none."""
    return {
        call.name.lower() if isinstance(call, (exp.Anonymous, exp.AnonymousAggFunc)) else call.key
        for call in tree.find_all(exp.Func)
    }


def not_compared(tree: exp.Expr) -> set[str]:
    """What it calls and the suite does not."""
    return functions(tree) - COMPARED
