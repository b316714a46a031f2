"""What a sync writes into a lake, what of it stays, and what goes. Nothing here is asked of an engine."""

from __future__ import annotations

import errno
import random
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.errors import FolderError, SettingsError
from connectors.warehouse.lake import days
from connectors.warehouse.lake.bucket import LakeBucket
from connectors.warehouse.lake.folder import LakeFolder
from connectors.warehouse.lake.manifest import LakeFile
from connectors.warehouse.lake.store import OWNER, LakeStore
from jobs.operations.backup import backup, restore
from jobs.operations.doctor import doctor
from jobs.project.project import open_project
from jobs.sync import sync
from tests.conftest import NOW, finished
from tests.lake.lakes import CHDB, LakeShop, Rows, kept, of_days, rows_in
from tests.lake.places import BucketPlace, FolderPlace
from tests.sampling import SEED, cases

pytestmark = pytest.mark.breadth(6)


PLACES = ("folder", "bucket")[: cases(fast=1, slow=1, full=2)]


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten rows make a file that is not gone on with."""
    monkeypatch.setattr(days, "LEAST_ROWS", 10)


@pytest.fixture
def mounted(tmp_path: Path) -> LakeShop:
    """Its lake is a folder."""
    return LakeShop(tmp_path / "shop")


@pytest.fixture(params=PLACES)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> LakeShop:
    """Its lake is a folder, or in a bucket."""
    return LakeShop(tmp_path / "shop", BucketPlace() if request.param == "bucket" else None)


def changed(rows: Rows, choose: random.Random) -> Rows:
    """What somebody may have done to a table by the next sync."""
    act, new = choose.randrange(6), dict(rows)
    some = choose.sample(sorted(rows), min(len(rows), choose.randint(1, 4)))
    if act == 0:
        new |= of_days(*(choose.randrange(80) for _ in range(3)), a_day=choose.choice((1, 4, 12)))
    elif act == 1:
        new |= {key: (rows[key][0], rows[key][1] + 1) for key in some}
    elif act == 2:
        new = {key: row for key, row in rows.items() if key not in some}
    elif act == 3:  # to another day, to none, and to one that is never
        new |= {key: (choose.choice((None, datetime(2026, 9, 9), datetime(2250, 1, 1))), 1.0) for key in some}
    elif act == 4:
        new = {}
    return new


@pytest.mark.parametrize("case", range(cases(fast=1, slow=5, full=80)))
def test_files_are_the_rows_whatever_happened_to_them(shop: LakeShop, case: int) -> None:
    choose, rows = random.Random(SEED + case), of_days(1, 2, 5)
    if case % 2:  # the table is a view over files that generations share
        shop.built.settings((shop.built.folder / "settings.yml").read_text() + "share_from: 1KB\n")
    for _ in range(5):
        assert not shop.sync(rows).problems
        before = shop.manifest()
        assert rows_in(before) == rows
        rows = changed(rows, choose)
    shop.sync(rows, full=True)
    assert rows_in(shop.manifest()) == rows


def test_a_new_day_writes_itself_and_the_file_that_is_not_full(shop: LakeShop) -> None:
    first = of_days(1, 2, 3, a_day=4) | of_days(4, a_day=4)  # twelve rows make a file; the fourth day begins another
    shop.sync(first)
    before = shop.manifest().tables["events"]
    assert [file.rows for file in before.files] == [12, 4] and before.by == "at"
    shop.sync(first | of_days(5))
    after = shop.manifest().tables["events"]
    assert [file.rows for file in after.files] == [12, 8] and after.files[0] == before.files[0]
    shop.sync(first | of_days(5) | of_days(2, a_day=5))  # a late row
    late = shop.manifest().tables["events"]
    assert [file.rows for file in late.files] == [13, 8] and late.files[1] == after.files[1]


def test_a_sync_with_nothing_new_writes_nothing(shop: LakeShop) -> None:
    shop.sync(of_days(1, 2))
    found, live = shop.found(), shop.open().warehouse.live()
    assert not shop.sync().published and shop.found() == found and shop.open().warehouse.live() == live


def test_a_dry_run_leaves_nothing(shop: LakeShop) -> None:
    shop.sync(of_days(1))
    found = shop.found()
    assert shop.sync(of_days(1, 2), dry_run=True).samples and shop.found() == found


def test_three_generations_are_there_and_what_only_older_ones_name_goes(shop: LakeShop) -> None:
    manifests = []
    for number in range(1, 7):
        shop.sync(of_days(*range(1, number + 1)))
        manifests.append(shop.manifest())
    shop.sync()  # collects, and has nothing new
    assert shop.found() == set().union(*(one.names() for one in manifests[-3:]))
    assert manifests[0].names() - shop.found(), "some of it went"


def test_who_reads_a_generation_goes_on_while_two_more_are_published(shop: LakeShop) -> None:
    shop.sync(of_days(1))
    reader = shop.open().warehouse.reader()
    shop.sync(of_days(1, 2))
    shop.sync(of_days(1, 2, 3))
    assert rows_in(kept(reader)) == of_days(1)
    reader.close()


def test_what_a_sync_that_died_wrote_is_collected(shop: LakeShop) -> None:
    shop.sync(of_days(1))
    orphan = "events/2026-10-09/20261123T023000-deadbeef-0.parquet"
    others = {"notes.parquet", "events/2026-10-09/notes.parquet"}  # somebody else's
    for name in (orphan, *others):
        shop.place.put(name, b"PAR1 half of it")
    shop.sync()
    assert orphan not in shop.found() and shop.found() == others | shop.manifest().names()
    assert rows_in(shop.manifest()) == of_days(1)


def late(shown: set[str]) -> Callable[[LakeStore], Iterator[str]]:
    return lambda store: iter(shown)


def store_of(shop: LakeShop) -> type[LakeStore]:
    """The implementation, for a test to change."""
    return LakeBucket if isinstance(shop.place, BucketPlace) else LakeFolder


def test_a_listing_that_is_late_changes_nothing(shop: LakeShop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It shows the state before, nothing at all, or files that are gone; nothing is read of it."""
    listings: list[set[str]] = [set()]
    seen = {"events/2026-10-01/gone-0.parquet"}
    for number in range(1, 9):
        monkeypatch.setattr(store_of(shop), "names", late(listings[-1] if number % 3 else seen))
        rows = of_days(*range(1, number + 1))
        assert shop.sync(rows).published
        assert rows_in(shop.manifest()) == rows
        listings.append(shop.found())
        seen |= shop.found()
    monkeypatch.undo()
    shop.sync()
    assert rows_in(shop.manifest()) == of_days(*range(1, 9)) and len(shop.found()) < len(seen)


def test_a_generation_that_cannot_be_read_collects_nothing(shop: LakeShop) -> None:
    for number in (1, 2, 3):
        shop.sync(of_days(*range(1, number + 1)))
    found, live = shop.found(), shop.open().warehouse.live()
    oldest = min(path for path in (shop.built.folder / "data" / "generations").glob("*.duckdb") if path.stem != live)
    oldest.write_bytes(b"\0" * 5000)
    shop.sync()
    assert shop.found() >= found


def test_files_that_were_lost_are_written_anew_and_published(shop: LakeShop) -> None:
    """As after a backup was put back: their rows are here."""
    shop.sync(of_days(1, 2, 3, 4))
    for name in shop.found():
        shop.place.drop(name)
    assert shop.sync().published
    assert rows_in(shop.manifest()) == of_days(1, 2, 3, 4)
    name = next(iter(shop.manifest().names()))
    shop.place.put(name, shop.place.read(name)[:-9])
    assert shop.sync().published
    assert rows_in(shop.manifest()) == of_days(1, 2, 3, 4)


def test_another_lake_is_written_in_whole(mounted: LakeShop, tmp_path: Path) -> None:
    mounted.sync(of_days(1, 2))
    mounted.place = FolderPlace(tmp_path / "other")
    mounted.built.settings(f"warehouse: '{CHDB}'\n{mounted.place.settings}")
    assert mounted.sync().published
    assert rows_in(mounted.manifest()) == of_days(1, 2) and mounted.manifest().root == str(mounted.lake)


def test_a_project_of_duckdb_answers_from_here_until_the_next_sync(mounted: LakeShop) -> None:
    settings = (mounted.built.folder / "settings.yml").read_text()
    mounted.built.settings("timezone: UTC\n")
    mounted.sync(of_days(1, 2))
    mounted.built.settings(settings)
    reader = mounted.open().reader()
    assert reader.dialect == "duckdb" and int(reader.frame("SELECT count(*) AS n FROM events")["n"].iloc[0]) == 8
    assert mounted.sync().published and mounted.open().reader().dialect == "clickhouse"
    assert rows_in(mounted.manifest()) == of_days(1, 2)


def test_a_lake_belongs_to_one_project(shop: LakeShop, tmp_path: Path) -> None:
    shop.sync(of_days(1))
    other = LakeShop(tmp_path / "second", shop.place)
    found = shop.found()
    with pytest.raises(FolderError, match="this lake is another project's"):
        other.sync(of_days(1))
    assert shop.found() == found
    shop.place.drop(OWNER)
    other.sync(of_days(7))
    with pytest.raises(FolderError, match="another project's"):
        shop.sync(of_days(1, 2))


def test_a_restored_copy_gets_a_lake_of_its_own(mounted: LakeShop, tmp_path: Path) -> None:
    mounted.sync(of_days(1, 2))
    found = mounted.found()
    backup(mounted.open(), tmp_path / "kept.zip", now=NOW)
    restore(tmp_path / "kept.zip", tmp_path / "copy")
    shutil.copytree(mounted.built.folder / "files", tmp_path / "copy" / "files")
    with pytest.raises(FolderError, match="another project's"):
        finished(sync(open_project(tmp_path / "copy"), now=NOW))
    assert mounted.found() == found
    settings = tmp_path / "copy" / "settings.yml"
    settings.write_text(settings.read_text().replace(str(mounted.lake), str(tmp_path / "second")))
    assert finished(sync(open_project(tmp_path / "copy"), now=NOW)).published
    lake = kept(open_project(tmp_path / "copy").warehouse.reader())
    assert rows_in(lake) == of_days(1, 2) and lake.root == str(tmp_path / "second")


def test_a_project_that_moved_keeps_its_lake(mounted: LakeShop, tmp_path: Path) -> None:
    lake = tmp_path / "shared"
    mounted = LakeShop(tmp_path / "first", FolderPlace(lake))
    mounted.sync(of_days(1))
    mounted.built.folder.rename(tmp_path / "moved")
    assert not finished(sync(open_project(tmp_path / "moved"), now=NOW)).failed


def test_a_first_sync_that_died_is_no_other_project(shop: LakeShop, monkeypatch: pytest.MonkeyPatch) -> None:
    def died(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(store_of(shop), "write", died)
        with pytest.raises(KeyboardInterrupt):
            shop.sync(of_days(1))
    assert shop.sync(of_days(1)).published


def test_a_lake_that_is_gone_is_told_and_not_begun_on_another_disk(mounted: LakeShop) -> None:
    mounted.sync(of_days(1))
    mounted.lake.rename(mounted.lake.with_name("away"))
    with pytest.raises(FolderError, match="the lake is not there"):
        mounted.sync(of_days(1, 2))
    assert not mounted.lake.exists()
    assert seen_by_doctor(mounted) == "failed"
    mounted.lake.with_name("away").rename(mounted.lake)
    assert seen_by_doctor(mounted) == "ok" and mounted.sync().published


@pytest.mark.slow  # the client tries four times
def test_a_store_that_does_not_answer_is_told_and_nothing_is_published(mounted: LakeShop) -> None:
    mounted.sync(of_days(1))
    live, secret = mounted.open().warehouse.live(), "lake/secret=3f81c2"
    access = f"{{endpoint: 'http://127.0.0.1:1', access_key: AKIATEST, secret_key: {secret}}}"
    mounted.built.settings(f"warehouse: '{CHDB}'\nlake: s3://shop-kpi/lake\nlake_access: {access}\n")
    with pytest.raises(FolderError, match="the lake cannot be written") as error:
        mounted.sync(of_days(1, 2))
    assert "s3://shop-kpi/lake" in str(error.value) and secret not in str(error.value)
    assert mounted.open().warehouse.live() == live and seen_by_doctor(mounted) == "failed"


def seen_by_doctor(mounted: LakeShop) -> str:
    """The state of the lake."""
    return next(row["state"] for row in doctor(mounted.open(), now=mounted.now) if row["check"] == "lake")


@pytest.mark.parametrize("how", ["full", "occupied"])
def test_a_lake_that_cannot_be_written_is_told_and_nothing_is_published(
    mounted: LakeShop, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    mounted.sync(of_days(1))
    live, found = mounted.open().warehouse.live(), mounted.found()
    with monkeypatch.context() as patched:
        if how == "full":

            def full(*_: object) -> int:
                raise OSError(errno.ENOSPC, "No space left on device")

            patched.setattr(LakeFolder, "write", full)
        else:
            shutil.move(mounted.lake / "events", mounted.lake / "aside")
            (mounted.lake / "events").write_text("a file in its place")
        result = mounted.sync(of_days(1, 2))
    assert result.failed and not result.published and mounted.open().warehouse.live() == live
    assert f"the lake {mounted.lake} cannot be written" in result.sources[0].error
    if how == "full":
        assert "No space left" in result.sources[0].error and mounted.found() == found
    runs = mounted.open().sync_log.runs()
    assert runs["warehouse"].status == "failed" and runs["events"].status == "loaded"
    if how == "occupied":
        (mounted.lake / "events").unlink()
    assert mounted.sync().published and "warehouse" not in mounted.open().sync_log.runs()
    assert rows_in(mounted.manifest()) == of_days(1, 2)


def test_columns_come_as_every_engine_has_them(mounted: LakeShop) -> None:
    at = datetime(2026, 10, 1, 12)
    table = pa.table(
        {
            "at": pa.array([at, at.replace(year=1800), None], pa.timestamp("ns")),
            "zoned": pa.array([at.replace(tzinfo=UTC)] * 3, pa.timestamp("us", "UTC")),
            "day": pa.array([at.date(), None, at.date()], pa.date32()),
            "price": pa.array([Decimal("1.25"), None, Decimal("3")], pa.decimal128(10, 2)),
            "paid": [True, None, False], "name": ["x", None, ""], "tags": [["a"], None, []],
            "small": pa.array([1, None, 3], pa.uint8()), "big": pa.array([2**64 - 1, None, 0], pa.uint64()),
            "record": [{"a": 1}, None, {"a": 2}],
        }
    )  # fmt: skip
    pq.write_table(table, mounted.built.folder / "files" / "events.parquet")
    mounted.sync()
    lake = mounted.manifest().tables["events"]
    assert [file.rows for file in lake.files] == [2, 1]  # what is of no usable day lies apart
    there = pq.read_table(mounted.lake / lake.files[1].name, partitioning=None)
    kinds = {name: str(kind) for name, kind in zip(there.schema.names, there.schema.types, strict=True)}
    assert kinds == {
        "at": "timestamp[us]", "zoned": "timestamp[us, tz=UTC]", "day": "date32[day]", "price": "decimal128(10, 2)",
        "paid": "bool", "name": "string", "tags": "list<element: string>", "small": "int16", "big": "decimal128(20, 0)",
        "record": "string",
    }  # fmt: skip
    assert there.to_pylist()[0]["big"] == Decimal(2**64 - 1) and there.to_pylist()[0]["at"] == at


def test_a_table_without_times_is_one_file(mounted: LakeShop) -> None:
    mounted.built.source("- {name: plans, type: files, table: plans, path: files/plans.parquet}")
    pq.write_table(pa.table({"plan": ["pro", "free"]}), mounted.built.folder / "files" / "plans.parquet")
    mounted.sync(of_days(1))
    plans = mounted.manifest().tables["plans"]
    assert plans.by == "" and [file.name.split("/")[1] for file in plans.files] == ["all"]
    pq.write_table(pa.table({"plan": ["pro", "free", "new"]}), mounted.built.folder / "files" / "plans.parquet")
    mounted.sync()
    assert [file.rows for file in mounted.manifest().tables["plans"].files] == [3]


def test_a_table_of_any_name_lies_within_the_lake(shop: LakeShop) -> None:
    name = "../{up, or}*out"
    shop.built.source(f"- {{name: odd, type: files, table: '{name}', path: files/odd.parquet}}")
    pq.write_table(pa.table({"plan": ["pro", "free"]}), shop.built.folder / "files" / "odd.parquet")
    assert not shop.sync(of_days(1)).failed
    (file,) = shop.manifest().tables[name].files
    assert file.name in shop.found() and set(file.name).isdisjoint("{}*,") and ".." not in file.name


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("lake: /tmp/lake", "`warehouse` names none"),
        ("warehouse: postgresql://h/db\nlake: /tmp/lake", "`postgresql://` reads no Parquet files"),
        (f"warehouse: {CHDB}\nlake: gs://bucket/prefix", "endpoint: https://storage.googleapis.com"),
        (f"warehouse: {CHDB}\nlake: az://bucket/prefix", "az:// is not written to"),
        (f"warehouse: {CHDB}\nlake: s3://bucket/prefix", "needs its region"),
        (f"warehouse: {CHDB}\nlake: s3://bucket//prefix", "no address of a bucket"),
        (f"warehouse: {CHDB}\nlake: 's3://bucket/a{{b}}'", "no address of a bucket"),
        (f"warehouse: {CHDB}\nlake: s3://b1\nlake_access: {{endpoint: http://h/b1}}", "without a path"),
        (f"warehouse: {CHDB}\nlake: s3://b1\nlake_access: {{endpoint: 'minio:9000'}}", "is no address"),
        (f"warehouse: {CHDB}\nlake: s3://b1\nlake_access: {{region: r, access_key: x}}", "go together"),
        (f"warehouse: {CHDB}\nlake: /tmp/lake\nlake_access: {{region: r}}", "`lake` names none"),
        ("lake_access: {region: r}", "`lake` names none"),
        (f"warehouse: {CHDB}\nlake: '/tmp/a{{b}}'", "may not have {"),
        ("warehouse: sc://h:1/;session_id=x\nlake: /tmp/lake", "a session that others share"),
    ],
)
def test_what_cannot_be_a_lake_is_refused_in_words(tmp_path: Path, settings: str, words: str) -> None:
    (tmp_path / "settings.yml").write_text(settings)
    with pytest.raises(SettingsError) as told:
        open_project(tmp_path)
    assert words in str(told.value)


def test_small_days_lie_together_and_no_file_reaches_over_another() -> None:
    counts = [(1, 4), (2, 7), (3, 1), (9, 30), (10, 1)]
    assert days.runs(counts, [], 10) == [(1, 2), (3, 3), (9, 9), (10, 10)]
    stays = LakeFile("x", 20, 1, first=2, last=2)
    assert days.runs([(1, 1), (3, 1), (4, 1)], [stays], 10) == [(1, 1), (3, 4)]
