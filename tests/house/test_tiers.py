"""`make test` tries a few ways of a thing, `make slow` the others; the seed says which few."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import cast

import pytest

from tests import sampling
from tests.conftest import ROOT


class Item:
    """What collection knows of a test. few: of its ways; of_file: of the tests of its file; asks: names in its file."""

    def __init__(
        self,
        nodeid: str,
        few: int | None = None,
        of_file: int | None = None,
        *,
        marked: str = "",
        asks: str = "",
        whole: bool = False,
    ) -> None:
        self.nodeid, self.marked, self.whole = nodeid, marked, whole
        self.module = ModuleType("test_a")
        vars(self.module).update(dict.fromkeys(asks.split()))
        levels: tuple[tuple[type[pytest.Item | pytest.Module], int | None], ...]
        levels = (pytest.Function, few), (pytest.Module, of_file)
        self.marks = [(level, count) for level, count in levels if count is not None]

    def iter_markers_with_node(self, name: str) -> Iterator[tuple[object, pytest.Mark]]:
        assert name == "breadth"
        for level, count in self.marks:
            yield object.__new__(level), pytest.Mark(name, (count,), {"whole": self.whole}, _ispytest=True)

    def iter_markers(self, name: str) -> Iterator[str]:
        return iter([name] * (bool(self.marks) if name == "breadth" else name == self.marked))

    def getparent(self, level: type[pytest.Module]) -> SimpleNamespace:
        return SimpleNamespace(obj=self.module)


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


def in_slow(items: list[Item]) -> tuple[list[str], list[str]]:
    run, left = sampling.news(cast("list[pytest.Item]", items))
    return [item.nodeid for item in run], [item.nodeid for item in left]


@pytest.mark.parametrize("seed", range(5))
def test_both_tiers_run_each_way_of_what_is_whole_and_the_second_none_again(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """But for what has more cases there: a property, and what its file may ask the tier for."""
    monkeypatch.setattr(sampling, "SEED", seed)
    file = [Item(f"tests/test_b.py::test_ways[{i}]", 2, 4, whole=True) for i in range(20)]
    file += [Item(f"tests/test_b.py::test_{i}", None, 4, whole=True) for i in range(9)]
    more = [Item(f"tests/test_c.py::test_c[{i}]", 4, marked="sampled") for i in range(4)]
    more += [Item(f"tests/test_{asks}.py::test_d[{i}]", 3, asks=asks) for asks in ("cases", "TIER") for i in range(3)]
    slow = [Item("tests/test_b.py::test_slow", None, 4, marked="slow", whole=True)]
    monkeypatch.setattr(sampling, "TIER", "fast")
    ran, _ = narrowed([*file, *more, *OTHERS])
    monkeypatch.setattr(sampling, "TIER", "slow")
    new, again = in_slow([*slow, *file, *more])
    assert sorted(again) == sorted({*ran} & {item.nodeid for item in file}) and len(again) == 4
    assert {*new} == {item.nodeid for item in (*slow, *file, *more)} - {*again}


def test_slow_runs_an_eighth_of_the_ways_and_a_quarter_of_a_file_others_than_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ways = [Item(f"tests/test_b.py::test_ways[{i}]", 3) for i in range(60)]
    few = [Item(f"tests/test_c.py::test_few[{i}]", 3) for i in range(9)]
    file = [Item(f"tests/test_d.py::test_{i}", None, 4) for i in range(30)]
    plain = [Item("tests/test_e.py::test_plain", marked="slow")]
    proof = [Item("tests/test_e.py::test_dear", marked="proof")]
    tried: set[str] = set()
    for seed in range(60):
        monkeypatch.setattr(sampling, "SEED", seed)
        monkeypatch.setattr(sampling, "TIER", "fast")
        before, _ = narrowed([*ways, *few, *file])
        monkeypatch.setattr(sampling, "TIER", "slow")
        run, left = in_slow([*ways, *few, *file, *plain, *proof])
        assert not {*run} & {*before} and len({*run, *left}) == 101
        assert [sum(f"test_{x}.py" in name for name in run) for x in "bcde"] == [8, 3, 7, 1]
        tried |= {*run}
    assert tried == {item.nodeid for item in (*ways, *few, *file, *plain)}, "no way is left out by each seed"


def test_what_files_share_asks_for_no_count() -> None:
    """`sampling.news` looks for that in the file of a test itself."""
    broad = [path for path in (ROOT / "tests").rglob("test_*.py") if "mark.breadth" in path.read_text()]
    shared = {
        path.stem
        for path in (ROOT / "tests").rglob("*.py")
        if not path.stem.startswith("test_") and re.search(r"import .*\b(cases|TIER)\b", path.read_text())
    }
    assert len(broad) > 50 and "servers" in shared
    wrong = [
        f"{path.name}: {name}"
        for path in broad
        for name in shared
        if re.search(rf"^from tests\S*\.{name} import", path.read_text(), re.MULTILINE)
        and not re.search(r"^from tests\.sampling import .*\b(cases|TIER)\b", path.read_text(), re.MULTILINE)
    ]
    assert wrong == []
