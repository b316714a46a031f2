"""sql: a SELECT giving period, value (numerator, denominator, n) and dimensions at the home grain."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from functools import lru_cache
from typing import Literal

from pydantic import Field
from sqlglot import exp

from connectors.errors import Problem
from metrics.catalog import sql
from metrics.catalog.checks.fields import Known
from metrics.catalog.document import Document
from metrics.catalog.models.dataset import Dataset
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.values import Duration

COLUMNS = ("period", "value", "numerator", "denominator", "n")  # all others are dimensions


class Sql(KpiCommon):
    """A SELECT giving period, value (numerator, denominator, n) and dimensions at the home grain."""

    type: Literal["sql"]
    dataset: str
    sql: str
    maturity: Duration = Field(timedelta(0), description="How long after its end a period keeps changing.")

    @property
    def settles_after(self) -> timedelta:
        """`maturity`."""
        return self.maturity

    @property
    def coarser_by(self) -> str:
        """It has its home grain only, and makes coarser ones itself."""
        return ""

    @property
    def home_grain_only(self) -> bool:
        """Unless `period_agg` says how longer periods are made."""
        return self.period_agg is None

    @property
    def dimensions_in_answer(self) -> bool:
        """Its SELECT gives them."""
        return True

    def reads(self, datasets: Collection[str]) -> list[str]:
        """Datasets that its SELECT names. Raises SqlProblem."""
        return [name for name in _tables(self.sql) if name in datasets]

    @property
    def named_tables(self) -> tuple[str, ...]:
        """What its SELECT reads. Raises SqlProblem."""
        return _tables(self.sql)

    def without_columns(self, hidden: Collection[str]) -> Sql:
        """Without dimensions where its SELECT names one of these columns, or all of them by `*`: one may be such."""
        tree = sql.select(self.sql, None)
        every = any(not isinstance(star.parent, exp.Count) for star in tree.find_all(exp.Star))
        named = every or not {*hidden}.isdisjoint(column.casefold() for column in sql.columns(tree))
        return self.model_copy(update={"dimensions": ()}) if named else self

    def own_dimensions(self, data: Dataset) -> tuple[str, ...]:
        """Columns of its SELECT that are no value."""
        try:
            given = _given(self.sql)
        except sql.SqlProblem:
            return ()
        return tuple(name for name in given if name not in COLUMNS)

    def problems(self, document: Document, known: Known) -> list[Problem]:
        """Its SELECT and the columns that it gives."""
        try:
            names = None if known.tables is None else {*known.datasets, *known.tables}
            given = sql.select(self.sql, names).named_selects
        except sql.SqlProblem as problem:
            return [document.problem(("sql",), "sql", str(problem), problem.hint)]
        found = []
        if "period" not in given:
            found.append(document.problem(("sql",), "sql_columns", "the SELECT gives no column `period`"))
        if "value" not in given and not {"numerator", "denominator"} <= set(given):
            text = "the SELECT gives neither `value` nor `numerator` and `denominator`"
            found.append(document.problem(("sql",), "sql_columns", text, f"It gives: {', '.join(given)}."))
        return found


@lru_cache(maxsize=1024)  # every answer asks
def _tables(text: str) -> tuple[str, ...]:
    """What a SELECT reads, each once. Raises SqlProblem."""
    tree = sql.select(text, None)
    own = {cte.alias_or_name for cte in tree.find_all(exp.CTE)}
    return tuple(dict.fromkeys(t.name for t in tree.find_all(exp.Table) if t.name not in own))


@lru_cache(maxsize=1024)
def _given(text: str) -> tuple[str, ...]:
    """The columns that a SELECT gives. Raises SqlProblem."""
    return tuple(sql.select(text, None).named_selects)
