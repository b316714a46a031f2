"""The table of attacks in docs/operations.md names tests that there are, each beside what happens."""

from __future__ import annotations

import ast
import re

from tests.conftest import ROOT


def lines() -> list[list[str]]:
    section = (ROOT / "docs" / "operations.md").read_text().split("\n## Web\n")[1].split("\n## ")[0]
    return [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")][1:]


def test_each_line_says_what_happens_and_names_tests_that_there_are() -> None:
    tests = {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
    }
    assert len(lines()) >= 50
    for line in lines():
        assert len(line) == 3 and all(line), line
        named = re.findall(r"`(test_\w+)`", line[2])
        assert named and set(named) <= tests, (line[0], set(named) - tests)
