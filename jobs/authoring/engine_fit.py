"""validate --engine: what of a project will not run on another engine, and why. Changes nothing, here or there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta

import pandas as pd
from sqlglot import exp

from connectors.errors import KpiError, SettingsError, require
from connectors.warehouse.contract import Columns, Reader
from connectors.warehouse.engines.contract import Engine
from connectors.warehouse.engines.cost import Cost
from connectors.warehouse.engines.opening import WRITTEN, dialect_of, open_engine
from connectors.warehouse.engines.reader import EngineReader
from connectors.warehouse.engines.stop import Stop
from jobs.project.project import Project
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine.answer import answer
from metrics.engine.query import Query
from metrics.engine.sql.dialects import SESSION, parsed, translated, unsupported
from metrics.engine.sql.portable import not_compared


@dataclass(frozen=True)
class Fit:
    """One KPI on an engine. why: what keeps it from running there; doubts: functions that may count otherwise there."""

    kpi: str
    why: tuple[str, ...]
    doubts: tuple[str, ...]


class _WithoutRows:
    """An engine that is asked for the shape of each answer, of no rows: LIMIT 0 around whatever is asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.dialect, self._tables = engine, engine.dialect, engine.tables()

    def frame(self, sql: str, stop: Stop | None = None) -> pd.DataFrame:
        return self._engine.frame(f"SELECT * FROM (\n{sql}\n) AS asked LIMIT 0", stop)

    def cost(self, sql: str, stop: Stop | None = None) -> Cost | None:
        return self._engine.cost(sql, stop)

    def columns(self, sql: str) -> Columns:
        return self._engine.columns(sql)

    def tables(self) -> Mapping[str, Columns]:
        return self._tables

    def close(self) -> None:
        self._engine.close()


def engine_fit(project: Project, names: Sequence[str], url: str) -> tuple[str, bool, list[Fit]]:
    """The dialect of the engine at a URL, whether the suite knows it, and what each KPI (or those named) meets there.

    Of a dialect that is only written here: what cannot be said in it. Raises NoData, UnknownName, SettingsError,
    WarehouseError.
    """
    dialect = dialect_of(url)
    if project.settings.engine:
        hint = "`kpi sync` says of each KPI what its engine does not run."
        raise SettingsError(
            "it is asked of a project whose rows are loaded: those of this one are in an engine", hint=hint
        )
    here = project.reader()
    catalogue = project.catalogue(here)
    for name in names:
        require(name, sorted(catalogue.kpis), kind="KPI")
    kpis = [kpi for name, kpi in sorted(catalogue.kpis.items()) if not names or name in names]
    if dialect in WRITTEN:
        return dialect, False, [_fit(kpi, catalogue, here, None, dialect) for kpi in kpis]
    with closing(_WithoutRows(open_engine(url, SESSION))) as engine:
        there = EngineReader(engine, here, lambda text: translated(text, dialect))
        return dialect, True, [_fit(kpi, catalogue, here, there, dialect) for kpi in kpis]


def _fit(kpi: KpiCommon, catalogue: Catalogue, here: Reader, there: Reader | None, dialect: str) -> Fit:
    why: dict[str, None] = {}
    doubts: set[str] = set()
    try:
        for question in _questions(kpi, catalogue, here):
            trees = [parsed(text) for text in answer(question, catalogue, here, from_facts=True).sql]
            doubts.update(*map(not_compared, trees))
            if there is None:
                why.update(dict.fromkeys(line for tree in trees for line in unsupported(tree, dialect)))
            elif missing := _missing(trees, here, there):
                why.update(dict.fromkeys(missing))
            else:
                answer(question, catalogue, there, from_facts=True)
    except KpiError as error:
        why[error.message] = None
    return Fit(kpi.name, tuple(why), tuple(sorted(doubts)))


def _questions(kpi: KpiCommon, catalogue: Catalogue, here: Reader) -> list[Query]:
    """Its home grain in whole and by each dimension, of the last day that is known."""
    states = here.dataset_states(here.generation.sequence)
    known = [states[name].watermark for name in catalogue.datasets_of(kpi) if name in states]
    end = min((mark for mark in known if mark is not None), default=here.generation.published_at).date()
    asked = [None, *catalogue.dimensions_of(kpi)]
    return [Query(kpi.name, start=end - timedelta(days=1), end=end, by=by) for by in asked]


def _missing(trees: Sequence[exp.Expr], here: Reader, there: Reader) -> list[str]:
    read = {table.name for tree in trees for table in tree.find_all(exp.Table)} & set(here.tables())
    return [f"there is no table '{name}'" for name in sorted(read - set(there.tables()))]
