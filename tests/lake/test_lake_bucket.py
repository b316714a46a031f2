"""A lake in a bucket: engines answer as DuckDB does; a store that refuses, or is gone, costs a sync and no value."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from connectors.errors import EngineFailed, FolderError
from connectors.warehouse.lake import days
from jobs.operations.doctor import doctor
from jobs.project.project import open_project
from jobs.sync import sync
from tests.conftest import NOW, finished, run_cli
from tests.engines.projects import interrupted, made_shop, same_values, stored, told
from tests.engines.servers import needed, sail
from tests.lake import places
from tests.lake.lakes import CHDB, LakeShop, beside, kept, of_days, rows_in
from tests.lake.places import KEY, SECRET, BucketPlace
from tests.sampling import cases

pytestmark = pytest.mark.slow
DAY = "name: events\nsource: events\ntime_dimension: at\n"


@pytest.fixture(scope="module", params=["chdb", "sail"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An engine; Sail's server has rights of its own."""
    needed(request.param)
    folder = tmp_path_factory.mktemp("sail")
    with nullcontext(CHDB) if request.param == "chdb" else sail(folder, "local", places.rights()) as one:
        yield one


@pytest.fixture
def bucket() -> Iterator[BucketPlace]:
    """Of a test of its own; after it the server takes any key again."""
    yield BucketPlace()
    places.refuse_after(math.inf)


@pytest.fixture
def shop(url: str, bucket: BucketPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LakeShop:
    """Two days are published; ten rows make a file that is not gone on with."""
    monkeypatch.setattr(days, "LEAST_ROWS", 10)
    shop = LakeShop(tmp_path / "shop", bucket, url)
    shop.built.write("datasets", "events", DAY)
    shop.built.kpi("sales", "dataset: events\nagg: sum\nexpr: amount\ngrains: [day]")
    shop.built.kpi("middle", "dataset: events\nagg: median\nexpr: amount\ngrains: [day]")
    assert shop.sync(of_days(1, 2, 3)).published
    return shop


def as_it_was(shop: LakeShop, live: str | None) -> None:
    """Fails unless the live generation is this one, whole."""
    assert shop.open().warehouse.live() == live
    assert rows_in(shop.manifest()) == of_days(1, 2, 3)
    values = shop.open().reader().stored_values("sales", "day", "", 1)
    assert values is not None and len(values.frame) >= 3


@pytest.mark.breadth(1)
def test_what_is_stored_is_what_duckdb_stores(url: str, bucket: BucketPlace, tmp_path: Path) -> None:
    """First sync, nothing new, a new day, late rows, all anew."""
    import pandas as pd

    built = made_shop(tmp_path / "shop")
    events = pd.read_parquet(built.folder / "files" / "events.parquet")
    end = events["at"].max().normalize()
    lake = beside(built.folder, tmp_path / "lake", url, bucket)
    late = events.index % 9 == 4

    def same(rows: pd.DataFrame, *, full: bool = False) -> bool:
        rows.to_parquet(built.folder / "files" / "events.parquet", index=False)
        built.sync(full=full)
        result = finished(sync(open_project(lake.folder), now=NOW, full=full))
        assert not result.failed and not result.problems
        same_values(stored(built.open()), stored(open_project(lake.folder)))
        return result.published

    assert same(events[(events["at"] < end) & ~late])
    assert not same(events[(events["at"] < end) & ~late])
    first = bucket.found()
    assert same(events[~late]) and bucket.found() > first
    assert same(events)
    assert same(events.assign(amount=events["amount"] + 1), full=True)
    manifest = kept(open_project(lake.folder).warehouse.reader())
    assert manifest.root == bucket.root and manifest.names() <= bucket.found()


def test_a_question_is_answered_from_the_bucket_or_not_at_all(shop: LakeShop) -> None:
    asked = "SELECT count(*) AS n, sum(amount) AS amount FROM events"
    reader = shop.open().warehouse.reader()
    assert reader.dialect != "duckdb" and reader.frame(asked)["n"].tolist() == [12]
    reader.close()
    shop.sync(of_days(1, 2, 3, 4, 5))
    files = shop.manifest().tables["events"].files
    assert len(files) > 1
    shop.place.drop(files[0].name)
    reader = shop.open().warehouse.reader()
    with pytest.raises(EngineFailed, match=r"the engine sees|404") as error:  # and never an answer from the rest
        reader.frame(asked)
    assert "May the engine read the bucket" in str(error.value)
    reader.close()
    assert shop.sync().published  # what is gone is written anew
    reader = shop.open().warehouse.reader()
    assert reader.frame(asked)["n"].tolist() == [20]
    reader.close()


@pytest.mark.breadth(2)
@pytest.mark.parametrize("allowed", range(0, 13, cases(fast=12, slow=6, full=1)))
def test_a_key_that_is_refused_in_the_middle_publishes_nothing(
    shop: LakeShop, allowed: int, caplog: pytest.LogCaptureFixture
) -> None:
    """After so many requests of a sync, whatever they are; where more are allowed than it needs, it publishes."""
    live = shop.open().warehouse.live()
    shop.write(of_days(1, 2, 3, 4))
    caplog.set_level(logging.DEBUG)
    places.refuse_after(allowed)
    error = ""
    try:
        result = shop.sync()
        error = told(result)
        assert "Nothing was published" in error or "published is as it was" in error or "the bucket" in error
    except FolderError as refused:
        error = str(refused)
        assert "What was published is as it was" in error
    finally:
        places.refuse_after(math.inf)
    assert SECRET not in error + caplog.text
    as_it_was(shop, live)
    assert shop.sync().published and rows_in(shop.manifest()) == of_days(1, 2, 3, 4)


def test_a_bucket_that_goes_while_values_are_computed_publishes_nothing(shop: LakeShop, bucket: BucketPlace) -> None:
    live = shop.open().warehouse.live()
    shop.write(of_days(1, 2, 3, 4))
    result = interrupted(shop.open(), "middle", lambda: places.forget(bucket))
    assert result.failed and not result.published, result
    assert shop.open().warehouse.live() == live and SECRET not in result.sources[0].error
    with pytest.raises(FolderError, match="the lake cannot be written") as error:
        shop.sync()
    assert SECRET not in str(error.value) and bucket.root in str(error.value)
    bucket.make()
    assert shop.sync().published and rows_in(shop.manifest()) == of_days(1, 2, 3, 4)


def test_the_doctor_says_whether_the_bucket_can_be_written(shop: LakeShop) -> None:
    before = shop.found()
    assert looked(shop) == ("ok", f"{shop.place.root} can be written")
    places.refuse_after(0)
    state, detail = looked(shop)
    assert state == "failed" and "the lake cannot be written" in detail and SECRET not in detail
    places.refuse_after(math.inf)
    assert shop.found() == before


def looked(shop: LakeShop) -> tuple[str, str]:
    row = next(row for row in doctor(shop.open(), now=shop.now) if row["check"] == "lake")
    return row["state"], row["detail"]


def test_no_statement_and_no_file_holds_the_secret(shop: LakeShop) -> None:
    """Written in plain into settings.yml; that is the only file that has it."""
    folder = str(shop.built.folder)
    said = [
        run_cli("query", "sales", "--grain", "day", "--sql", "--project", folder),
        run_cli("sync", "--explain", "--json", "--project", folder),
        run_cli("doctor", "--project", folder),
        run_cli("validate", "--project", folder),
    ]
    for one in said:
        assert SECRET not in one.stdout + one.stderr and KEY not in one.stdout + one.stderr
    having = [
        path.name for path in shop.built.folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()
    ]
    assert having == ["settings.yml"]
    reader = shop.open().warehouse.reader()
    with pytest.raises(Exception, match="nowhere") as error:  # the engine repeats the statement
        reader.frame("SELECT nowhere FROM events")
    assert SECRET not in str(error.value)
    reader.close()


@pytest.mark.parametrize("keys", ["", "access_key: AKIA, secret_key: x, extra: {secret}", "secret_key: [{secret}]"])
def test_settings_that_are_wrong_do_not_show_the_key(tmp_path: Path, keys: str) -> None:
    text = "{region: r, " + keys.replace("{secret}", SECRET) + "}"
    (tmp_path / "settings.yml").write_text(f"warehouse: '{CHDB}'\nlake: /tmp/lake\nlake_access: {text}\n")
    with pytest.raises(Exception, match=r"settings\.yml cannot be used") as error:
        open_project(tmp_path)
    assert SECRET not in str(error.value)
