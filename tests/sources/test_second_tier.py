"""The sources of the second tier, once over a simple fake each: not fault-tested, as their docs pages say."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT, Builder
from tests.fakes.server import FAULTS, Fake, impatient
from tests.sources.second_tier import VENDORS, Vendor, pulled, table

pytestmark = pytest.mark.breadth(2)
SMALL = 3  # records of a page


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Vendor:
    """Pauses of milliseconds, so that a fault costs no time; small pages, so that there are many."""
    impatient(monkeypatch)
    made = VENDORS[request.param]()
    if made.page[1]:
        monkeypatch.setattr(*made.page, SMALL)
    made.begin()
    return made


@pytest.fixture
def served(vendor: Vendor, project: Builder) -> Iterator[Fake]:
    with Fake(vendor.app) as fake:
        project.source(vendor.entry(fake.url, project.folder))
        yield fake


def test_table_is_the_truth_at_each_sync(project: Builder, vendor: Vendor, served: Fake) -> None:
    first = pulled(project, vendor)
    assert not first.failed and first.sources[0].rows == len(vendor.truth()), first
    assert not first.sources[0].quarantined and table(project, vendor) == vendor.truth()
    vendor.go_on()
    second = pulled(project, vendor)
    assert not second.failed and second.published and table(project, vendor) == vendor.truth()
    vendor.delete()
    assert not pulled(project, vendor, full=not vendor.tells_deletions).failed
    assert table(project, vendor) == vendor.truth()


def test_a_sync_of_nothing_new_asks_little_and_publishes_nothing(
    project: Builder, vendor: Vendor, served: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not pulled(project, vendor).failed
    vendor.go_on()
    pulled(project, vendor)
    before = len(served.seen)
    if vendor.page[1]:
        monkeypatch.setattr(*vendor.page, 100)
    again = pulled(project, vendor)
    assert not again.failed and not again.published and again.sources[0].rows == 0
    assert len(served.seen) - before <= 2


def test_a_pull_that_fails_leaves_everything_as_it_was(project: Builder, vendor: Vendor, served: Fake) -> None:
    cursor, before = pulled(project, vendor).sources[0].cursor, table(project, vendor)
    vendor.go_on()
    truth, answered = vendor.truth(), len(served.seen)

    def after_a_page() -> None:
        served.faults.next = list(FAULTS)

    if vendor.page[1]:
        vendor.fake.between = after_a_page
    else:
        after_a_page()
    failed = pulled(project, vendor)
    assert failed.failed and len(served.seen) > answered and failed.sources[0].cursor == cursor
    assert table(project, vendor) == before != truth
    vendor.fake.between = None
    served.faults.next.clear()
    assert not pulled(project, vendor).failed and table(project, vendor) == truth


def test_a_revoked_key_is_told_and_is_nowhere(
    project: Builder, vendor: Vendor, served: Fake, caplog: pytest.LogCaptureFixture
) -> None:
    first, before = pulled(project, vendor), table(project, vendor)
    vendor.fake.revoked = True
    second = pulled(project, vendor)
    assert "does not accept the key for /" in second.sources[0].error and "It may be revoked" in second.sources[0].error
    assert table(project, vendor) == before
    written = [path.read_bytes() for path in (project.folder / "data").rglob("*") if path.is_file()]
    for secret in vendor.secrets:
        assert secret not in f"{first} {second} {caplog.text}" and not any(secret.encode() in text for text in written)


@pytest.mark.parametrize("kind", sorted({vendor.type for vendor in VENDORS.values()}))
def test_the_examples_of_the_docs_are_read(project: Builder, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "sources" / f"{kind}.md").read_text()
    examples = re.findall(r"```yaml\n(- name: .*?)```", page, re.DOTALL)
    assert examples and "Not fault-tested" in page
    for example in examples:
        for name in re.findall(r"\$\{(\w+)\}", example):
            monkeypatch.setenv(name, "a-key-of-the-docs")
        sources, problems = project.open().sources.parsed(example)
        assert not problems and sources, problems


def test_a_dry_run_and_a_probe_reach_each(project: Builder, vendor: Vendor, served: Fake) -> None:
    source = project.open().sources.all()["it"]
    assert source.probe().startswith("answers")
    result = project.sync(now=vendor.tick(60), dry_run=True)
    assert not result.failed and len(result.samples["it"].rows) == SMALL
