"""Random histories and faults of each source family: after each sync the table is the truth; nothing new is nothing.

Answers that fail, are cut or are none; pages that come twice in the place of the next; keys that an API has since
yesterday; a key that is revoked for one sync; what each fake knows beside: late events, deletions, zones, clocks.
"""

from __future__ import annotations

import random
import re
from datetime import timedelta

import pytest

from tests.conftest import Builder
from tests.fakes.server import FAULTS, OF_PAGES, Fake, impatient
from tests.sampling import SEED, cases
from tests.sources.vendors import FAMILIES, Vendor

pytestmark = pytest.mark.breadth(2)
WIDE = {"page": "10000", "window": "9d", "size": "100"}


def widened(project: Builder) -> None:
    """Pages and windows as people have them."""
    sources = project.folder / "sources.yml"
    text = re.sub(r"\b(page|window|size): \w+", lambda found: f"{found[1]}: {WIDE[found[1]]}", sources.read_text())
    sources.write_text(text)


def pulled(project: Builder, vendor: Vendor, served: Fake, chance: random.Random) -> None:
    """A sync amid faults; before it, now and then, one with a key that is revoked."""
    served.forget()
    if chance.random() < 0.2:
        there = project.open().warehouse.live()
        vendor.fake.revoked = True
        refused = project.sync(now=vendor.now)
        vendor.fake.revoked = False
        if there and not refused.failed:
            assert not refused.published  # nothing was to be asked
        else:
            assert "does not accept the key" in refused.sources[0].error and (not there or not refused.published)
    vendor.spoiled(chance)
    run = project.sync(now=vendor.now)
    assert not run.failed, (run.sources[0].error, served.seen)
    assert vendor.same(project, vendor.now)
    assert vendor.cursor is None or run.sources[0].cursor == vendor.cursor(vendor.now)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("number", range(cases(fast=1, slow=3, full=200)))
def test_whatever_fails_the_table_is_the_truth(
    project: Builder, monkeypatch: pytest.MonkeyPatch, family: str, number: int
) -> None:
    impatient(monkeypatch)
    chance = random.Random(f"{SEED} {family} {number}")
    held = list(FAMILIES[family])
    vendor = FAMILIES[family][held[number % len(held)]](chance)
    with Fake(vendor.app) as served:
        served.faults.share, served.faults.chance, served.faults.kinds = 0.3, chance, (*FAULTS, *OF_PAGES)
        with pytest.MonkeyPatch.context() as tuned:
            for module, constant, value in vendor.tuned:
                tuned.setattr(f"{module}.{constant}", value)
            vendor.entry(project, served)
            for _ in range(2):
                vendor.happen(chance)
                pulled(project, vendor, served, chance)
        widened(project)
        served.faults.share, before = 0, len(served.seen)
        again = project.sync(now=vendor.now + timedelta(minutes=5))
        assert not again.published and not again.failed and again.sources[0].rows == 0
        assert len(served.seen) - before <= 2 and vendor.same(project, vendor.now)
