"""The table of faults in docs/operations.md and the tests of this folder are the same list."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.conftest import ROOT

HERE = Path(__file__).parent


def lines() -> list[list[str]]:
    section = (ROOT / "docs" / "operations.md").read_text().split("\n## Faults\n")[1].split("\n## ")[0]
    found = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return found[1:]


def test_each_line_is_a_test_and_each_test_a_line() -> None:
    told = ["test_" + re.sub(r"[^a-z0-9]+", "_", line[0].lower()).strip("_") for line in lines()]
    tests = [
        node.name
        for path in sorted(HERE.glob("test_faults_of_*.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    assert sorted(told) == sorted(tests) and len(told) >= 30


def test_each_line_says_all_four_things() -> None:
    assert all(len(line) == 4 and all(cell.strip() for cell in line) for line in lines())
