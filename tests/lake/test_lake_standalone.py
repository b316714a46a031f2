"""Apache Spark itself over a lake: a master and two workers, each a process that opens the files by their paths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from connectors.errors import EngineFailed
from jobs.project.project import open_project
from jobs.sync import sync
from tests.conftest import NOW, finished
from tests.engines.projects import made_shop, same_values, stored
from tests.engines.standalone import Standalone, installed
from tests.lake.lakes import beside

pytestmark = [pytest.mark.slow, pytest.mark.proof]


@pytest.fixture
def spark(tmp_path: Path) -> Iterator[Standalone]:
    installed()
    cluster = Standalone(tmp_path)
    yield cluster
    cluster.stop()


def test_apache_spark_computes_the_same_and_misses_no_file(spark: Standalone, tmp_path: Path) -> None:
    built = made_shop(tmp_path / "shop")
    lake = beside(built.folder, tmp_path / "lake", spark.url)
    assert finished(sync(lake, now=NOW)).published
    same_values(stored(built.open()), stored(lake))

    path = built.folder / "files" / "events.parquet"
    rows = pd.read_parquet(path)
    rows["on_day"], rows["zoned"] = rows["at"].dt.date, rows["at"].dt.tz_localize("UTC")
    rows.assign(small=rows["user_id"].astype("uint8")).iloc[:-20].to_parquet(path)
    built.sync(full=True)
    assert finished(sync(open_project(lake.folder), now=NOW, full=True)).published
    same_values(stored(built.open()), stored(open_project(lake.folder)))
    reader = open_project(lake.folder).warehouse.reader()
    assert int(reader.frame("SELECT count(*) AS n FROM events WHERE small = user_id")["n"].iloc[0]) == len(rows) - 20
    reader.close()

    for file in (lake.folder / "lake" / "events").glob("2*/*.parquet"):
        file.unlink()
    reader = open_project(lake.folder).warehouse.reader()
    with pytest.raises(EngineFailed, match="does not exist"):
        reader.frame("SELECT count(*) AS n FROM events")
    reader.close()
