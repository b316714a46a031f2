"""Files in object stores, over a fake of each: what matches, what is new or gone, a key that is refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from connectors.buckets import _matches
from tests.conftest import NOW, Builder
from tests.fakes.buckets import ACCOUNT, BUCKET, Buckets
from tests.fakes.server import Fake

pytestmark = pytest.mark.breadth(3)

AT = datetime(2026, 11, 1, 9, tzinfo=UTC)
KEY = "c2VjcmV0LWtleS1vZi10aGUtZmFrZQ=="
ACCESS = {
    "s3": f"region: us-east-1, access_key: AKFAKE, secret_key: {KEY}",
    "gs": "anonymous: true",
    "az": f"account: {ACCOUNT}, account_key: {KEY}",
}


@pytest.fixture
def store() -> Buckets:
    made = Buckets()
    made.put("exports/2026/a.csv", "at,x\n2026-11-01,1\n", AT)
    made.put("exports/2026/b.csv", "at,x\n2026-11-02,2\n", AT)
    made.put("exports/2026/note.txt.bak", "nothing", AT)
    made.put("exports/c.csv", "at,x\n2026-11-03,3\n2026-11-03,4\n", AT)
    made.put("other/d.csv", "at,x\n2026-11-04,5\n", AT)
    return made


@pytest.fixture
def served(store: Buckets) -> Iterator[Fake]:
    with Fake(store.app) as fake:
        yield fake


def source(project: Builder, served: Fake, scheme: str, pattern: str = "exports/**/*.csv", more: str = "") -> None:
    project.source(
        f"- {{name: t, type: files, table: t, path: '{scheme}://{BUCKET}/{pattern}', "
        f"access: {{{ACCESS[scheme]}, endpoint: '{served.url}'}}{more}}}"
    )


def rows(project: Builder) -> list[int]:
    return sorted(project.open().reader().frame("SELECT x FROM t")["x"].tolist())


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_a_folder_is_its_files_and_what_changes_in_it(
    project: Builder, store: Buckets, served: Fake, scheme: str
) -> None:
    source(project, served, scheme)
    result = project.sync(now=NOW)
    assert not result.failed, result.sources
    assert rows(project) == [1, 2, 3, 4]
    served.seen.clear()
    again = project.sync(now=NOW)
    assert not again.published and not [one for one in served.seen if one.path.endswith(".csv")], (
        "nothing is read again"
    )
    store.put("exports/2026/a.csv", "at,x\n2026-11-01,10\n", datetime(2026, 11, 2, tzinfo=UTC))
    store.put("exports/2026/e.csv", "at,x\n2026-11-05,6\n", AT)
    del store.objects["exports/c.csv"]
    assert not project.sync(now=NOW).failed
    assert rows(project) == [2, 6, 10]


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_a_key_that_may_not_read_changes_nothing_and_is_nowhere(
    project: Builder, store: Buckets, served: Fake, scheme: str
) -> None:
    source(project, served, scheme)
    project.sync(now=NOW)
    store.denied = True
    result = project.sync(now=NOW)
    assert result.failed and rows(project) == [1, 2, 3, 4]
    assert "cannot be read" in result.sources[0].error and KEY not in result.sources[0].error
    written = b"".join(path.read_bytes() for path in (project.folder / "data").rglob("*") if path.is_file())
    assert KEY.encode() not in written


def test_what_no_file_matches_is_said_with_where_it_was_looked_for(project: Builder, served: Fake) -> None:
    source(project, served, "s3", "exprots/*.csv")
    assert "no file matches s3://shop/exprots/*.csv" in project.sync(now=NOW).sources[0].error


def test_one_file_lists_no_bucket_and_one_folder_no_other(project: Builder, store: Buckets, served: Fake) -> None:
    source(project, served, "s3", "exports/c.csv")
    assert not project.sync(now=NOW).failed and rows(project) == [3, 4]
    assert not [one for one in served.seen if "list-type" in one.query and "prefix=exports%2F" in one.query]
    project._sources.clear()
    source(project, served, "s3", "exports/*.csv")
    assert not project.sync(now=NOW).failed and rows(project) == [3, 4]
    assert any("delimiter" in one.query for one in served.seen)


def test_azure_needs_the_account(project: Builder) -> None:
    project.source("- {name: t, type: files, table: t, path: 'az://shop/a.csv'}")
    assert "az:// needs the storage account" in project.sync(now=NOW).sources[0].error


@pytest.mark.parametrize(
    ("path", "pattern", "right"),
    [
        ("b/a.csv", "b/*.csv", True),
        ("b/c/a.csv", "b/*.csv", False),
        ("b/c/a.csv", "b/**/*.csv", True),
        ("b/a.csv", "b/**/*.csv", True),
        ("b/c/d/a.csv", "b/**", True),
        ("b/A.csv", "b/a.csv", False),
        ("b/a1.csv", "b/a[0-9].csv", True),
        ("b/c/a.csv", "b/*/*/a.csv", False),
    ],
)
def test_patterns_match_part_by_part(path: str, pattern: str, right: bool) -> None:
    assert _matches(path.split("/"), pattern.split("/")) is right
