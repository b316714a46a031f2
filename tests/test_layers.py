"""Imports flow one way: pages and ui → jobs → metrics, connectors."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HOUSE = ("app", "api", "cli", "ui", "pages", "jobs", "metrics", "connectors", "benchmarks", "tests")
ALLOWED = {  # first match wins
    "pages": ("ui", "jobs", "metrics", "connectors.errors"),
    "ui": ("ui", "jobs", "metrics", "connectors.errors"),
    "app": ("ui", "api", "jobs.operations.threads"),
    "api": ("api", "jobs", "metrics", "connectors.errors"),
    "cli": ("cli", "jobs", "metrics", "connectors.errors"),
    "jobs": ("jobs", "metrics", "connectors"),
    "metrics": (
        *("metrics", "connectors.errors", "connectors.reading", "connectors.warehouse.contract", "connectors.cage"),
    ),
    "connectors.reading": (),
    "connectors.errors": ("connectors.secrets",),
    "connectors.cage": ("connectors.cage", "connectors.errors"),
    "connectors.clock": ("connectors.errors",),
    "connectors.secrets": (),
    "connectors.logs": ("connectors.secrets", "connectors.clock", "connectors.errors"),
    "connectors.machine": (),
    "connectors.roles": (),
    "connectors.webhooks": ("connectors.secrets",),
    "connectors.settings": (
        *("connectors.buckets", "connectors.roles", "connectors.outbound", "connectors.webhooks"),
        *("connectors.secrets", "connectors.errors", "connectors.cage.limits", "connectors.machine"),
    ),
    "connectors.channels": (
        "connectors.channels",
        "connectors.outbound",
        "connectors.webhooks",
        "connectors.secrets",
        "connectors.settings",
        "connectors.clock",
        "connectors.errors",
        "connectors.outbound_process",
    ),
    "connectors.texts": (),
    "connectors.outbound": ("connectors.errors", "connectors.outbound"),
    "connectors.buckets": (
        "connectors.errors",
        "connectors.outbound",
        "connectors.outbound_proxy",
        "connectors.secrets",
    ),
    "connectors.sources": (
        "connectors.buckets",
        "connectors.outbound_http",
        "connectors.outbound_sql",
        "connectors.texts",
        "connectors.sources.contract",
        "connectors.sources.rest",
        "connectors.reading",
        "connectors.secrets",
        "connectors.settings",
        "connectors.clock",
        "connectors.errors",
    ),
    "connectors": ("connectors",),
}
THIRD_PARTY = {"streamlit": ("ui", "pages", "app"), "duckdb": ("connectors.warehouse.duckdb",)}


def files() -> list[Path]:
    tops = [ROOT / t for t in ("api", "ui", "pages", "cli", "jobs", "metrics", "connectors")]
    return [ROOT / "app.py", *(p for top in tops for p in sorted(top.rglob("*.py")))]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def broken_rules(module: str, names: list[str]) -> list[str]:
    rule = next(allowed for prefix, allowed in ALLOWED.items() if module == prefix or module.startswith(f"{prefix}."))
    found = []
    for name in names:
        top = name.split(".")[0]
        if top in HOUSE and not any(name == a or name.startswith(f"{a}.") for a in rule):
            found.append(f"{module} imports {name}")
        homes = THIRD_PARTY.get(top)
        if homes and not any(module == h or module.startswith(f"{h}.") for h in homes):
            found.append(f"{module} imports {name}")
    return found


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_imports_flow_one_way() -> None:
    assert len(files()) > 150
    assert [wrong for path in files() for wrong in broken_rules(module_of(path), list(imported(path)))] == []


def test_only_its_own_tests_know_the_engine() -> None:
    """What other tests need of a warehouse is in its contract."""
    own = ROOT / "tests" / "warehouse" / "duckdb"
    net = ROOT / "tests" / "net" / "values_record.py"  # records what lies in the file, whoever wrote it
    others = [p for p in sorted((ROOT / "tests").rglob("*.py")) if own not in p.parents and p != net]
    assert len(others) > 50 and len(list(own.glob("*.py"))) > 1
    known = ("duckdb", "connectors.warehouse.duckdb")
    found = [f"{p.name} imports {n}" for p in others for n in imported(p) if n.startswith(known)]
    assert found == []


def test_the_rule_can_fail() -> None:
    assert broken_rules("metrics.kpi_views.card", ["jobs.sync"]) == ["metrics.kpi_views.card imports jobs.sync"]
    assert broken_rules("metrics.engine.answer", ["duckdb"]) == ["metrics.engine.answer imports duckdb"]
    assert broken_rules("connectors.sources.files", ["connectors.warehouse.contract"])


ASKING = ("metrics.engine.answer", "metrics.engine.adoption", "metrics.engine.feedback", "metrics.engine.data_context")
READING = {"reader", "_reader", "Reader", "context", "_context", "DataContext", "answer"}
VALUES_ONLY = ("metrics/launches", "metrics/snapshots")


def touches_of_a_reader(source: str) -> list[str]:
    """Where a module asks a generation itself, or holds what could: line and name."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [n for n in whole if f"{n}.".startswith(tuple(f"{a}." for a in ASKING)) or n.endswith(".Reader")]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name in ASKING]
        elif isinstance(node, ast.Name | ast.Attribute | ast.arg):
            name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else node.arg
            names = [name] if name in READING else []
        found += [f"{getattr(node, 'lineno', 0)}: {name}" for name in names]
    return found


def test_launches_and_snapshots_ask_in_one_module_each() -> None:
    """All others of the folder compute from the values that `inputs` hands out."""
    for folder in VALUES_ONLY:
        modules = [p for p in sorted((ROOT / folder).rglob("*.py")) if p != ROOT / folder / "inputs.py"]
        assert len(modules) > 5 and touches_of_a_reader((ROOT / folder / "inputs.py").read_text())
        found = [f"{p.relative_to(ROOT)}:{touch}" for p in modules for touch in touches_of_a_reader(p.read_text())]
        assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "from metrics.engine.answer import unit",
        "from metrics.engine import feedback",
        "import metrics.engine.adoption",
        "from connectors.warehouse.contract import Reader",
        "from metrics.engine.data_context import DataContext as World",
        "def states(world): return world.reader.dataset_states(1)",
        "def states(inputs): return inputs._reader.generation",
        "def frame(reader): pass",
        "frame = answer(query)",
    ],
)
def test_a_touch_of_a_reader_is_found(source: str) -> None:
    assert touches_of_a_reader(source)
    assert not touches_of_a_reader("from metrics.launches.inputs import Answers\nframe = inputs.own_values('x')")


def test_importing_metrics_loads_neither_streamlit_nor_duckdb() -> None:
    modules = [module_of(path) for path in sorted((ROOT / "metrics").rglob("*.py"))]
    code = f"import {', '.join(modules)}, sys; print([m for m in ('streamlit', 'duckdb', 'jobs') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_functions_and_files_stay_small() -> None:
    for path in files():
        text = path.read_text()
        assert len(text.splitlines()) <= 500, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 62, f"{path}:{node.lineno} {node.name}"
