"""The SQL that each demo KPI compiles to, to be read in review. Renew with `make golden`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlglot

from metrics.engine.query import Query
from metrics.kpi_views.origin import sql_of
from tests.conftest import DEFAULT_DEMO

KPIS = sorted(p.stem for p in (DEFAULT_DEMO / "kpis").glob("*.yml"))


@pytest.mark.parametrize("name", KPIS)
def test_golden_sql(demo_world: Any, golden: Callable[[str, str], None], name: str) -> None:
    catalogue, reader = demo_world.catalogue, demo_world.reader
    dimensions = catalogue.dimensions_of(catalogue.kpi(name))
    texts = list(sql_of(Query(name), catalogue, reader))
    if dimensions:
        by = sql_of(Query(name, by=dimensions[0]), catalogue, reader)
        texts += ["-- by the first dimension", *by]
    golden(f"sql/{name}.sql", ";\n\n".join(texts) + "\n")


@pytest.mark.parametrize("name", KPIS)
def test_compiled_sql_parses_as_one_select(demo_world: Any, name: str) -> None:
    for text in sql_of(Query(name), demo_world.catalogue, demo_world.reader):
        assert isinstance(sqlglot.parse_one(text, dialect="duckdb"), sqlglot.exp.Query)
