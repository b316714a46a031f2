"""The three projects that the net is held over, each made once, and a place that shows what is different."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import copied_demo
from tests.net import shop_world, types_world
from tests.net.cli_record import Shell
from tests.net.product import NOW, ROOT, Builder

GOLDEN = ROOT / "tests" / "golden" / "net"
SHOWN = 60  # lines of difference that a failure prints of one file


@dataclass(frozen=True)
class World:
    """A project folder that tests may write to, and what the verbs said that made it."""

    name: str
    folder: Path
    made: str = ""


@pytest.fixture(autouse=True, scope="module")
def _same_everywhere() -> Iterator[None]:
    """What a machine or its user would change in the output."""
    with pytest.MonkeyPatch.context() as patch:
        for key, value in {"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb", "USER": "net"}.items():
            patch.setenv(key, value)
        for key in ("KPI_PROJECT", "KPI_DATA_DIR", "FORCE_COLOR"):
            patch.delenv(key, raising=False)
        patch.setattr("sys.argv", ["kpi"])
        patch.chdir(ROOT)
        yield


@pytest.fixture(scope="module")
def demo(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("net_demo") / "demo"
    copied_demo(demo_folder, folder)
    return World("demo", folder)


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> World:
    project = types_world.build(tmp_path_factory.mktemp("net_types") / "types")
    shell = Shell(project.folder)
    shell("validate")
    shell("sync", "--now", NOW.isoformat())
    return World("types", project.folder, shell.text)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> World:
    project: Builder = shop_world.build(tmp_path_factory.mktemp("net_shop") / "shop")
    shell = Shell(project.folder)
    shell("sync", "--json", "--now", shop_world.EARLIER.isoformat())
    shop_world.more(project)
    shell("diff", "--json")
    shell("sync", "--now", NOW.isoformat())
    shop_world.spoil(project)
    return World("shop", project.folder, shell.text)


@pytest.fixture
def held(request: pytest.FixtureRequest) -> Callable[[str, dict[str, str]], None]:
    """Compare texts with the files of tests/golden/net/<folder>: no more, no fewer; --update-golden renews them."""

    def check(part: str, texts: dict[str, str]) -> None:
        folder = GOLDEN / part
        if request.config.getoption("--update-golden"):
            shutil.rmtree(folder, ignore_errors=True)
            for name, text in texts.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text, encoding="utf-8")
        kept = {str(p.relative_to(folder)): p.read_text(encoding="utf-8") for p in folder.rglob("*") if p.is_file()}
        found = [
            line for name in sorted({*kept, *texts}) for line in _difference(name, kept.get(name), texts.get(name))
        ]
        if found:
            again = "If that is meant: pytest tests/net --update-golden, and read `git diff tests/golden/net`."
            pytest.fail("\n".join([f"tests/golden/net/{part} is different", *found, again]), pytrace=False)

    return check


def _difference(name: str, kept: str | None, now: str | None) -> list[str]:
    if kept is None or now is None:
        return [f"{name}: {'not recorded' if kept is None else 'no longer there'}"]
    lines = list(
        difflib.unified_diff(kept.split("\n"), now.split("\n"), f"{name} recorded", f"{name} now", "", "", 2, "")
    )
    return lines if len(lines) <= SHOWN else [*lines[:SHOWN], f"… {len(lines) - SHOWN} more lines"]
