"""A file is parsed once, and whoever reads what was parsed leaves it as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from metrics.catalog import document
from metrics.catalog.document import parse_document
from tests.conftest import Builder, copied_demo


def test_nobody_changes_what_was_parsed(demo_folder: Path, tmp_path: Path) -> None:
    project = Builder.__new__(Builder)
    project.folder = copied_demo(demo_folder, tmp_path / "demo")
    project.kpi("wrong", "dataset: sessions\nagg: sum\nexprs: x\ndimensions: {a: b}\nalerts: [{nme: a}]")
    project.write(
        "launches", "wrong", "name: wrong\non: 2026-11-01\nkpis: [nowhere]\nsuccess: [{kpi: nps, at_leas: 1}]"
    )
    document._parsed.cache_clear()
    first = project.open().catalogue()
    found = document._parsed.cache_info().misses
    second = project.open().catalogue()
    assert first.problems == second.problems and len(first.problems) >= 3
    assert document._parsed.cache_info().misses == found > 30
    for kept in second.documents.values():
        fresh, _ = document._parsed.__wrapped__(kept.text, kept.file)
        assert (kept.data, kept.lines) == (fresh.data, fresh.lines), kept.file


@pytest.mark.parametrize("text", ["a: [1", "a: 2026-02-31", "a: &a [*a]"])
def test_problems_are_told_each_time(text: str) -> None:
    once = parse_document(text, shown_as="a.yml")[1]
    once.clear()
    assert [problem.file for problem in parse_document(text, shown_as="a.yml")[1]] == ["a.yml"]
    assert [problem.file for problem in parse_document(text, shown_as="b.yml")[1]] == ["b.yml"]


def test_long_texts_are_not_kept() -> None:
    document._parsed.cache_clear()
    parse_document(f"a: {'x' * document.MOST_LETTERS}", shown_as="a.yml")
    assert document._parsed.cache_info().currsize == 0
