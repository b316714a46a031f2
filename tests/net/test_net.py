"""A net over the whole product: what verbs say, what is stored and what pages show stays as recorded.

Renew with `pytest tests/net --update-golden`; then read `git diff tests/golden/net`: it is the list of what users see
differently. What is equal for all runs, and how, is said in text.py and in each recorder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.net import cli_record, pages_record, values_record
from tests.net.conftest import World
from tests.net.product import kpi, run_process

Held = Callable[[str, dict[str, str]], None]


def worlds(*soon: str) -> list[Any]:
    """In `make test` those named, the others in `make slow`: a minute and a half in all."""
    every = ("demo", "types", "shop")
    return [pytest.param(name, marks=[] if name in soon else [pytest.mark.slow]) for name in every]


@pytest.fixture
def world(request: pytest.FixtureRequest) -> World:
    made: World = request.getfixturevalue(request.param)
    return made


@pytest.mark.parametrize("world", worlds("demo"), indirect=True)
def test_values_and_definitions_are_as_recorded(world: World, held: Held) -> None:
    held(f"{world.name}/stored", values_record.record(world.folder))


@pytest.mark.parametrize("world", worlds(), indirect=True)
def test_verbs_say_what_was_recorded(world: World, held: Held) -> None:
    held(f"{world.name}/cli", cli_record.record(world.name, world.folder, world.made))


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("world", worlds(), indirect=True)
def test_pages_show_what_was_recorded(monkeypatch: pytest.MonkeyPatch, world: World, held: Held) -> None:
    held(f"{world.name}/pages", pages_record.record(monkeypatch, world.name, world.folder))


@pytest.mark.slow
def test_a_process_of_its_own_says_the_same(shop: World) -> None:
    asked = ("query", "orders", "--by", "platform", "--json", "--project", str(shop.folder))
    assert run_process(*asked, check=True).stdout.encode() == kpi(*asked).stdout
