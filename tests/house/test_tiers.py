"""`make test` tries a few ways of a thing, `make slow` each of them; the seed says which few."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from tests import sampling


class Item:
    """What collection knows of a test. few: of its ways; of_file: of the tests of its file."""

    def __init__(self, nodeid: str, few: int | None = None, of_file: int | None = None) -> None:
        self.nodeid = nodeid
        levels: tuple[tuple[type[pytest.Item | pytest.Module], int | None], ...]
        levels = (pytest.Function, few), (pytest.Module, of_file)
        self.marks = [(level, count) for level, count in levels if count is not None]

    def iter_markers_with_node(self, name: str) -> Iterator[tuple[object, pytest.Mark]]:
        assert name == "breadth"
        for level, count in self.marks:
            yield object.__new__(level), pytest.Mark(name, (count,), {}, _ispytest=True)


WAYS = [Item(f"tests/test_a.py::test_a[{i}]", 3) for i in range(20)]
OTHERS = [Item("tests/test_a.py::test_one"), *(Item(f"tests/test_a.py::test_all[{i}]") for i in range(5))]


def narrowed(items: list[Item]) -> tuple[list[str], list[str]]:
    run, left = sampling.narrowed(cast("list[pytest.Item]", items))
    return [item.nodeid for item in run], [item.nodeid for item in left]


def test_a_few_ways_run_and_all_that_has_no_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "TIER", "fast")
    every = [item.nodeid for item in (*WAYS, *OTHERS)]
    run, left = narrowed([*WAYS, *OTHERS])
    assert sorted(run + left) == sorted(every) and run == [name for name in every if name in run]
    assert len([name for name in run if "test_a[" in name]) == 3
    assert {item.nodeid for item in OTHERS} <= set(run)
    assert narrowed(WAYS[:1]) == ([WAYS[0].nodeid], []), "the one that was asked for runs"


def test_another_seed_tries_others_until_each_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "TIER", "fast")
    tried: set[str] = set()
    for seed in range(40):
        monkeypatch.setattr(sampling, "SEED", seed)
        assert narrowed(WAYS) == narrowed(WAYS)
        tried |= set(narrowed(WAYS)[0])
    assert tried == {item.nodeid for item in WAYS}


@pytest.mark.parametrize("tier", ["slow", "full"])
def test_all_ways_run_in_the_other_tiers(monkeypatch: pytest.MonkeyPatch, tier: str) -> None:
    monkeypatch.setattr(sampling, "TIER", tier)
    assert narrowed([*WAYS, *OTHERS]) == ([item.nodeid for item in (*WAYS, *OTHERS)], [])


def test_a_few_tests_of_a_file_run_after_the_ways_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "TIER", "fast")
    file = [Item(f"tests/test_b.py::test_ways[{i}]", 2, 4) for i in range(20)]
    file += [Item(f"tests/test_b.py::test_{i}", None, 4) for i in range(9)]
    run, left = narrowed([*file, *OTHERS])
    assert len([name for name in run if "test_b.py" in name]) == 4 and len(run + left) == 35
    assert len([name for name in run if "test_ways" in name]) <= 2
    assert {item.nodeid for item in OTHERS} <= set(run)
    tried: set[str] = set()
    for seed in range(60):
        monkeypatch.setattr(sampling, "SEED", seed)
        tried |= set(narrowed(file)[0])
    assert {item.nodeid for item in file[20:]} <= tried
