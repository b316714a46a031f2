"""Kill -9 at each step of a sync, of each source of the first tier: the next one has the truth and the right cursor."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from tests.conftest import Builder
from tests.fakes.server import Fake, impatient
from tests.sampling import SEED, cases
from tests.sources.dying import AFTER, STEPS, killed
from tests.sources.vendors import FAMILIES, Vendor

pytestmark = pytest.mark.slow
# Each way of pulling: those of stripe, and those of rest, are one.
SOURCES = [
    (kind, held)
    for kind, sources in FAMILIES.items()
    for held in list(sources)[: 1 if kind in ("stripe", "rest") else None]
]
SOON = ("first request", "mid-stream", "pulled", "loaded")  # before there is any generation


def dies(step: str, project: Builder, kind: str, vendor: Vendor) -> None:
    code = killed(step, str(project.folder), kind, vendor.now, vendor.tuned)
    assert code == -signal.SIGKILL, (step, code)


TRIED = random.Random(SEED).sample(SOURCES, cases(fast=1, slow=2, full=len(SOURCES)))


@pytest.mark.parametrize(("kind", "held"), TRIED)
def test_killed_at_each_step_nothing_is_lost(
    project: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, held: str
) -> None:
    impatient(monkeypatch)
    chance = random.Random(f"{SEED} {kind}")
    vendor = FAMILIES[kind][held](chance)
    for module, constant, value in vendor.tuned:
        monkeypatch.setattr(f"{module}.{constant}", value)
    with Fake(vendor.app) as served:
        vendor.happen(chance)
        vendor.entry(project, served)
        for step in SOON:
            dies(step, project, kind, vendor)
            assert project.open().warehouse.live() is None, step
        assert not project.sync(now=vendor.now).failed and vendor.same(project, vendor.now)
        for step in STEPS:
            before, moment = project.open().warehouse.live(), vendor.now
            vendor.happen(chance)
            dies(step, project, kind, vendor)
            assert (project.open().warehouse.live() != before) == (step in AFTER), step
            if step in AFTER:
                assert vendor.same(project, vendor.now), step
            run = project.sync(now=vendor.now)
            assert not run.failed and vendor.same(project, vendor.now), (step, moment)
        fresh = Builder(tmp_path / "fresh")
        vendor.entry(fresh, served)
        assert fresh.sync(now=vendor.now).sources[0].cursor == run.sources[0].cursor
        assert not list((project.folder / "data" / "pulls").glob("*"))
