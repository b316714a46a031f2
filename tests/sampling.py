"""How many random cases a property is tried on: few in `make test`, more in `make slow`, all of them in `make prove`.

KPI_CASES (fast, slow or full) says which, and KPI_SEED where the cases begin; the targets of the Makefile set them, and
a failed test prints both. A property that is marked `sampled`, with its count, runs in all three. A test that has one
case for each way of one thing is marked `breadth(3)`: three of them run in `make test`, chosen by the seed, an eighth
of all in `make slow`, others than those and three at least, and all in `make prove`. So is a file of costly tests of
one thing, as its `pytestmark`: `make slow` runs a quarter of it. `breadth(3, whole=True)` is what no landing may go
without: `make slow` runs all the others.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings

TIER = os.environ.get("KPI_CASES", "fast")
SEED = int(os.environ.get("KPI_SEED", "20261123"))
# A fixture of a session or module is one world for all cases; slow cases are why there are few of them.
UNHEALTHY = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large)
Level = type[pytest.Function] | type[pytest.Module]
LEVELS: tuple[Level, ...] = (pytest.Function, pytest.Module)  # the ways of one test first, then the tests of a file
Test = TypeVar("Test", bound=Callable[..., Any])


def cases(*, fast: int, slow: int, full: int) -> int:
    """The count of this run."""
    return {"fast": fast, "slow": slow, "full": full}[TIER]


def limits(count: int, *, shrink: bool = True, **more: Any) -> settings:
    """Of a hypothesis test or state machine with so many cases; with 0 only its written examples run."""
    phases = [Phase.explicit, *([Phase.generate] if count else []), *([Phase.shrink] if count and shrink else [])]
    return settings(
        max_examples=max(count, 1),
        phases=phases,
        deadline=None,
        database=None,
        suppress_health_check=UNHEALTHY,
        print_blob=True,
        **more,
    )


def sampled(*, fast: int, slow: int, full: int, shrink: bool = True) -> Callable[[Test], Test]:
    """Decorates a hypothesis test: so many cases of each tier, from the run's seed. shrink: costly cases are not."""

    def decorate(test: Test) -> Test:
        count = cases(fast=fast, slow=slow, full=full)
        marked: Test = pytest.mark.sampled(count)(seed(SEED)(limits(count, shrink=shrink)(test)))
        return marked

    return decorate


def narrowed(items: Sequence[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """What `make test` runs of tests that are marked `breadth`, and what it leaves to `make slow`."""
    left = _left_to_slow(items) if TIER == "fast" else set()
    return [i for i in items if i.nodeid not in left], [i for i in items if i.nodeid in left]


def news(items: Sequence[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """What `make slow` runs, and what not: what `make test` with this seed has run just so, and what proofs run.

    What has run are the ways that `make test` chose, where no count is another one in this tier: a test that is sampled
    has more cases, and so may each test of a file that asks for a count or for the tier.
    """
    before = [i for i in items if not any(i.iter_markers("slow"))]
    same = {i.nodeid for i in before if any(i.iter_markers("breadth"))} - _left_to_slow(before)
    same -= {i.nodeid for i in items if any(i.iter_markers("sampled")) or {"cases", "TIER"} & set(vars(_file(i)))}
    same |= {i.nodeid for i in items if any(i.iter_markers("proof"))}
    left = same | _left_to_prove([i for i in items if i.nodeid not in same])
    return [i for i in items if i.nodeid not in left], [i for i in items if i.nodeid in left]


def _file(item: pytest.Item) -> ModuleType:
    module = item.getparent(pytest.Module)
    assert module is not None
    found: ModuleType = module.obj
    return found


def _left_to_slow(items: Sequence[pytest.Item]) -> set[str]:
    """Of tests that are not slow themselves, the ids of those that `make test` leaves out."""
    return _left(items, lambda mark, ways, level: mark.args[0])


def _left_to_prove(items: Sequence[pytest.Item]) -> set[str]:
    """Of tests that `make test` did not run, the ids of those that `make slow` leaves out, too."""

    def count(mark: pytest.Mark, ways: int, level: Level) -> int:
        share = -(-ways // (8 if level is pytest.Function else 4))
        return ways if mark.kwargs.get("whole") else max(mark.args[0], share)

    return _left(items, count)


def _left(items: Sequence[pytest.Item], count: Callable[[pytest.Mark, int, Level], int]) -> set[str]:
    """Ids of ways that are left out. count: how many of so many are not, by the mark of the test or of its file."""
    left: set[str] = set()
    for level in LEVELS:
        broad: dict[str, tuple[pytest.Mark, list[str]]] = {}
        for item in items:
            marks = [mark for node, mark in item.iter_markers_with_node("breadth") if isinstance(node, level)]
            if marks and item.nodeid not in left:
                name = item.nodeid.partition("[" if level is pytest.Function else "::")[0]
                broad.setdefault(name, (marks[0], []))[1].append(item.nodeid)
        for name, (mark, ways) in broad.items():
            chosen = random.Random(f"{SEED} {name}").sample(ways, min(count(mark, len(ways), level), len(ways)))
            left |= {*ways} - {*chosen}
    return left


def told() -> str:
    """What repeats this run's cases."""
    return f"KPI_CASES={TIER} KPI_SEED={SEED}"
