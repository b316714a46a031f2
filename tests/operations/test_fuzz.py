"""Seeded mutations of what lies in a data folder, and of settings and sources: no traceback, no hang, no loss."""

from __future__ import annotations

import random
import re
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.errors import KpiError
from tests.conftest import NOW, Builder, run_cli
from tests.operations.conftest import DAYS, Shop, next_case
from tests.sampling import SEED, cases

pytestmark = pytest.mark.breadth(1)

CASES = cases(fast=8, slow=24, full=2_000)


def mutated(content: bytes, draw: random.Random) -> bytes:
    """Cut, flipped, zeroed, repeated or random; sometimes twice."""
    for _ in range(draw.choice((1, 1, 2))):
        at, size = draw.randrange(len(content) + 1), draw.choice((1, 16, 4096, 300_000))
        kind = draw.randrange(6)
        if kind == 0:
            content = content[:at]
        elif kind == 1:
            flipped = bytearray(content)
            for _ in range(draw.choice((1, 8)) if flipped else 0):
                flipped[draw.randrange(len(flipped))] ^= 1 << draw.randrange(8)
            content = bytes(flipped)
        elif kind == 2:
            content = content[:at] + bytes(min(size, len(content) - at)) + content[at + size :]
        elif kind == 3:
            content = content[:at] + content[max(0, at - size) : at] + content[at:]
        elif kind == 4:
            content = content[:at] + draw.randbytes(min(size, 4096)) + content[at + size :]
        else:
            content = content[:at] + content[at + size :]
    return content


def spoil(shop: Shop, draw: random.Random) -> Path:
    """One mutated file in its place; never all generations."""
    data = shop.data
    places = [shop.live, shop.live, *draw.sample(sorted(shop.generations.glob("*.duckdb")), 1)]
    places += [shop.live.with_suffix(".sum"), data / "live", shop.state, shop.state, data / "last_sync.json"]
    places += [shop.folder / "settings.yml", shop.folder / "sources.yml"]
    path = draw.choice(places)
    content = mutated(path.read_bytes() if path != data / "live" else str(path.readlink()).encode(), draw)
    if path == shop.state:
        for beside in data.glob("state.sqlite-*"):
            beside.unlink()
    path.unlink()
    path.write_bytes(content)
    return path


def quietly(shop: Shop, *verb: str) -> None:
    """It ends with 0 or 1, in words."""
    done = run_cli(*verb, "--project", str(shop.folder))
    said = done.stdout + done.stderr
    assert done.returncode in (0, 1) and "Traceback" not in said, said
    assert not re.search("unexpected [A-Z]", said), said  # an error's class; YAML says "unexpected end of stream"


@pytest.mark.sampled(CASES)
@pytest.mark.parametrize("part", range(cases(fast=2, slow=4, full=20)))
def test_whatever_is_spoiled_nothing_is_lost(tmp_path: Path, made: Path, part: int) -> None:
    parts = cases(fast=2, slow=4, full=20)
    for case in range(part, CASES, parts):
        next_case()
        draw = random.Random(f"{SEED} {case}")
        folder = tmp_path / str(case)
        shop = Shop(copied(made, folder))
        spoiled = spoil(shop, draw)
        try:
            survived(shop, spoiled)
        except (Exception, pytest.fail.Exception) as error:
            raise AssertionError(f"case {case}: {spoiled.name}: {error}") from error
        shutil.rmtree(folder)


def survived(shop: Shop, spoiled: Path) -> None:
    """Verbs end in words, readers have the numbers of a generation, a sync and whole settings bring all back."""
    definitions = spoiled.name in ("settings.yml", "sources.yml")
    for verb in (("status",), ("doctor", "--deep"), ("query", "total"), ("validate",)):
        quietly(shop, *verb)
    if not definitions:
        assert seen(shop) in (DAYS, DAYS - 1), "a reader sees numbers that were never published"
    before = {path.read_bytes() for path in shop.generations.glob("*.duckdb")}
    quietly(shop, "sync")
    if definitions:
        for name in ("settings.yml", "sources.yml"):
            shutil.copy(MADE[0] / name, shop.folder / name)
    shop.put(DAYS + 1)
    assert not shop.builder.sync(now=NOW + timedelta(hours=1)).failed
    assert shop.total() == DAYS + 1
    files = {path.read_bytes() for path in shop.generations.glob("*.duckdb")}
    kept = files | {path.read_bytes() for path in shop.data.glob("damaged/*")}
    published = len(files - before)  # a source that was changed and can still be read is one more
    assert len(before & kept) >= 3 - published and [g.sequence for g in shop.open().reader().generations()][:2] == [
        1,
        2,
    ]


def seen(shop: Shop) -> float:
    """What a reader sees, who asks once more where damage is found in the middle."""
    for _ in range(4):
        try:
            return shop.total()
        except KpiError as error:
            if not getattr(error, "again", False):
                raise
    raise AssertionError("still damaged")


MADE: list[Path] = []


def copied(made: Path, folder: Path) -> Builder:
    MADE[:] = [made]
    builder = Builder(folder)
    shutil.rmtree(folder)
    shutil.copytree(made, folder, symlinks=True)
    return builder
