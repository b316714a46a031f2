"""A KPI type is one file per floor: whoever drops three files into the folders has a new type, and nobody else asks."""

from __future__ import annotations

import ast
import importlib
import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from metrics.catalog.types import kpi_type, type_names
from tests.conftest import ROOT, Builder
from tests.net.product import kpi
from tests.test_pages import run

FLOORS = ("metrics/catalog/types", "metrics/engine/types", "metrics/kpi_views/types")
OFFERED = {
    "metrics.engine.types": ("facts", "dirty_ranges", "settled_at"),
    "metrics.kpi_views.types": ("in_words", "shape"),
}
MOST_PLACES = 1  # that ask for a KPI's type outside of its files: launches need the survey itself. May only fall

TOY = {
    "metrics.catalog.types": '''
"""spread: the greatest value of a period less the least."""

from typing import Literal

from metrics.catalog.models.kpi import KpiCommon


class Spread(KpiCommon):
    """The greatest value of a period less the least."""

    type: Literal["spread"]
    dataset: str
    expr: str

    def problems(self, document, known):
        """Its column must be there."""
        from metrics.catalog.checks import fields

        return fields.expression(document, ("expr",), self.expr, known.columns.get(self.dataset))
''',
    "metrics.engine.types": '''
"""spread: counted from the rows of each period."""

from metrics.catalog.models.kpi import Measure
from metrics.engine.sql.measures import measure_facts
from metrics.engine.types.contract import ends_with_its_period, own_rows

dirty_ranges = own_rows
settled_at = ends_with_its_period


def facts(kpi, scope):
    """Greatest less least."""
    return measure_facts(Measure(dataset=kpi.dataset, sql=f"max({kpi.expr}) - min({kpi.expr})"), scope)
''',
    "metrics.kpi_views.types": '''
"""spread: in words."""

from metrics.kpi_views.types.contract import line_only

shape = line_only


def in_words(kpi, catalogue):
    """Greatest less least."""
    return f"Greatest less least {kpi.expr}"
''',
}


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[None]:
    """The three files of a type that the product has never heard of, in folders that its packages look into."""
    packages = [importlib.import_module(name) for name in TOY]
    for number, (package, text) in enumerate(zip(packages, TOY.values(), strict=True)):
        folder = tmp_path / f"floor{number}"
        folder.mkdir()
        (folder / "spread.py").write_text(text.lstrip())
        package.__path__.append(str(folder))
    importlib.invalidate_caches()
    yield
    for package in packages:
        package.__path__.pop()


@pytest.mark.filterwarnings("default")
def test_a_type_that_was_dropped_in_validates_syncs_queries_and_has_a_page(
    toy: None, project: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = pd.to_datetime(["2026-11-02 10:00", "2026-11-02 12:00", "2026-11-03 09:00", "2026-11-03 11:00"])
    project.rows("readings", pd.DataFrame({"at": moments, "level": [3.0, 10.0, 5.0, 6.5]}))
    project.kpi("swing", "label: Swing of the level\ntype: spread\ndataset: readings\nexpr: level")
    folder = str(project.folder)
    project.sync()
    said = kpi("validate", "--project", folder)
    assert (said.status, said.stdout) == (0, b"0 errors, 0 warnings\n")
    said = kpi("query", "swing", "--json", "--project", folder)
    rows = json.loads(said.stdout)["rows"]
    assert [row["value"] for row in rows if row["n"]] == [7.0, 1.5]
    total = json.loads(kpi("query", "swing", "--grain", "total", "--json", "--project", folder).stdout)["rows"]
    assert total[0]["value"] == 7.0
    project.kpi("wrong", "type: spread\ndataset: readings\nexpr: levle")
    said = kpi("validate", "wrong", "--project", folder)
    assert said.status == 1 and b"Did you mean 'level'?" in said.stdout
    (project.folder / "kpis" / "wrong.yml").unlink()
    app = run(monkeypatch, project.folder, "kpi")
    assert not app.exception
    shown = " ".join(element.proto.body for element in app.get("html"))
    assert "Swing of the level" in shown
    listed = " ".join(element.proto.body for element in run(monkeypatch, project.folder, "kpis").get("html"))
    assert "Greatest less least level" in listed


@pytest.mark.parametrize("package", OFFERED)
def test_every_type_has_a_file_on_each_floor_that_offers_what_the_floor_asks_for(package: str) -> None:
    for name in type_names():
        module = importlib.import_module(f"{package}.{name}")
        assert all(callable(getattr(module, offered, None)) for offered in OFFERED[package]), (package, name)
        assert kpi_type(name).model_fields["type"].annotation is not str


def asks(tree: ast.AST, classes: set[str], names: set[str]) -> list[int]:
    """Lines that branch on a KPI's type: isinstance or match of a type's class, `.type` compared, a dict by type."""

    def branches(node: ast.AST) -> bool:
        match node:
            case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, kind]):
                return any(isinstance(n, ast.Name) and n.id in classes for n in ast.walk(kind))
            case ast.Call(func=ast.Name(id="hasattr" | "getattr"), args=[ast.Name(id="kpi"), ast.Constant(), *_]):
                return True
            case ast.MatchClass(cls=ast.Name(id=name)):
                return name in classes
            case ast.Compare():
                inside = list(ast.walk(node))
                typed = any(isinstance(n, ast.Attribute) and n.attr == "type" for n in inside)
                return typed and any(isinstance(n, ast.Constant) and n.value in names for n in inside)
            case ast.Dict(keys=keys):
                return sum(isinstance(key, ast.Constant) and key.value in names for key in keys) > 2
        return False

    return [node.lineno for node in ast.walk(tree) if branches(node)]  # type: ignore[attr-defined]


def test_few_others_ask_for_a_kpis_type() -> None:
    names = set(type_names())
    classes = {kpi_type(name).__name__ for name in names} | {"Cohort"}
    places = []
    for top in ("api", "cli", "connectors", "jobs", "metrics", "pages", "ui"):
        for path in sorted((ROOT / top).rglob("*.py")):
            place = path.relative_to(ROOT).as_posix()
            if not place.startswith((*FLOORS, "ui/kpi/types")):
                places += [f"{place}:{line}" for line in asks(ast.parse(path.read_text()), classes, names)]
    assert len(places) <= MOST_PLACES, places


@pytest.mark.parametrize("line", [
    "isinstance(kpi, Funnel)", "isinstance(kpi, (Simple, Sql))", 'kpi.type == "survey"', 'kpi.type in ("sql", "ratio")',
    'x = {"simple": 1, "ratio": 2, "sql": 3}', 'hasattr(kpi, "window")', "match kpi:\n    case Survey():\n        pass",
])  # fmt: skip
def test_asking_would_be_found(line: str) -> None:
    classes = {kpi_type(name).__name__ for name in type_names()}
    assert asks(ast.parse(line), classes, set(type_names()))
