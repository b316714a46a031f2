"""First and last event of a dataset: as if each row's clock were converted, wherever clocks are set."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from connectors.sources.contract import Batch, SourceOptions
from connectors.warehouse.contract import Loading
from connectors.warehouse.open import open_warehouse
from metrics.catalog.models.dataset import Dataset
from metrics.engine.dataset_bounds import dataset_bounds
from metrics.engine.dataset_states import _untouched
from tests.conftest import Builder
from tests.sampling import SEED, cases

# Clocks that are set by an hour and by half an hour, that skipped a day, that never are, and that is the project's.
ZONES = {
    "America/New_York": datetime(2026, 11, 1, 1),
    "Europe/Berlin": datetime(2026, 3, 29, 2),
    "Australia/Lord_Howe": datetime(2026, 4, 5, 2),
    "Pacific/Apia": datetime(2011, 12, 30),
    "Asia/Kathmandu": datetime(2026, 6, 1),
    "UTC": datetime(2026, 6, 1),
}


@pytest.fixture(scope="module")
def loading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loading]:
    warehouse = open_warehouse("", tmp_path_factory.mktemp("data"), memory_limit="500MB", threads=1)
    with warehouse.scratch(datetime(2026, 11, 23, tzinfo=UTC), small=True) as opened:
        yield opened


def moments(chance: random.Random, near: datetime) -> list[datetime | None]:
    """Close together around a moment, by minutes to days, some of them twice or unknown."""
    reach = chance.choice([2, 90, 300, 3000, 100_000])
    found = [near + timedelta(minutes=chance.randint(-reach, reach)) for _ in range(chance.randint(1, 8))]
    return [*found, *chance.sample([None, *found], 1)]


def by_hand(loading: Loading, table: str, instant: str, now: datetime) -> tuple[Any, ...]:
    edge = f"TIMESTAMP '{now.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}'"
    rows = loading.rows(
        f"SELECT min(m) FILTER (m <= {edge}), max(m) FILTER (m <= {edge}) + INTERVAL 1 MICROSECOND, count(*), "
        f"count(m) FILTER (m > {edge}) FROM (SELECT ({instant}) AT TIME ZONE 'UTC' AS m FROM {table})"
    )
    first, last, count, future = rows[0]
    return first and first.replace(tzinfo=UTC), last and last.replace(tzinfo=UTC), count, future


def test_bounds_are_those_of_all_rows_converted(project: Builder, loading: Loading) -> None:
    catalogue: Any = project.open().catalogue()
    for number in range(cases(fast=40, slow=400, full=1500)):
        chance = random.Random(f"{SEED} {number}")
        zone, near = chance.choice(list(ZONES.items()))
        frame = pd.DataFrame({"at": pd.Series(moments(chance, near), dtype="datetime64[us]")})
        aware = chance.random() < 0.2
        if aware:
            frame["at"] = frame["at"].dt.tz_localize("UTC")
        table = "instants" if aware else "clocks"
        put(loading, table, frame)
        now = (near + timedelta(minutes=chance.randint(-4000, 4000))).replace(tzinfo=UTC)
        text: dict[str, Any] = {"name": "t", "source": table, "time_dimension": "at", "timezone": zone}
        if chance.random() < 0.2:
            text = {**text, "source": "", "sql": f"SELECT * FROM {table}"}
        dataset = Dataset.model_validate({key: value for key, value in text.items() if value})
        staging: Any = loading
        found = dataset_bounds(dataset, staging, catalogue, now)
        assert found == by_hand(loading, table, '"at"' if aware else f"\"at\" AT TIME ZONE '{zone}'", now), (
            number,
            text,
            now,
        )


def put(loading: Loading, table: str, frame: pd.DataFrame) -> None:
    options = SourceOptions(name=table, type="files", table=table, load="replace")
    with loading.transaction():
        load = loading.begin_load(options, anew=True)
        load.add(Batch(table, frame, {}, restart=True, types={}))
        load.finish({})


def test_days_are_days_of_the_project(project: Builder, loading: Loading) -> None:
    project.settings("timezone: America/New_York\n")
    catalogue: Any = project.open().catalogue()
    days = pd.DataFrame({"at": [datetime(2026, 11, day).date() for day in (1, 2, 3)]})
    put(loading, "days", days)
    dataset = Dataset.model_validate({"name": "days", "source": "days", "time_dimension": "at"})
    staging: Any = loading
    found = dataset_bounds(
        dataset, staging, catalogue, datetime(2026, 11, 3, 4, 30, tzinfo=UTC)
    )  # 23:30 of the 2nd there
    day = timedelta(days=1)
    assert found == (datetime(2026, 11, 1, 4, tzinfo=UTC), datetime(2026, 11, 2, 5, tzinfo=UTC) + day, 3, 1)


def untouched(project: Builder, now: datetime) -> dict[str, Any]:
    """What is taken from the live generation, which is held against what the rows say."""
    opened = project.open()
    with opened.warehouse.staging(now) as staging:
        catalogue = opened.catalogue(staging)
        found = _untouched(staging, catalogue, now)
        assert found == {name: dataset_bounds(catalogue.datasets[name], staging, catalogue, now) for name in found}
        return found


def test_what_no_sync_touched_is_not_read_again(project: Builder) -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    project.settings("timezone: Europe/Berlin\n")
    frame = pd.DataFrame({"at": pd.to_datetime(["2026-11-01 01:00", "2026-11-20 23:59"]), "v": [1, 2]})
    project.rows("t", frame, timezone="America/New_York")
    project.rows("later", frame.assign(at=frame["at"] + pd.Timedelta(days=30)))
    project.write("datasets", "select", "name: select\nsql: SELECT * FROM t\ntime_dimension: at\n")
    for name in ("t", "later", "select"):
        project.kpi(f"of_{name}", f"dataset: {name}\nagg: count")
    assert untouched(project, now) == {}
    project.sync(now)
    assert set(untouched(project, now + timedelta(days=1))) == {"t"}, (
        "rows of the future become past; SQL may ask the clock"
    )
    assert untouched(project, datetime(2026, 11, 10, tzinfo=UTC)) == {}, "a clock that was set back"
    path = project.folder / "datasets" / "t.yml"
    path.write_text(path.read_text().replace("New_York", "Chicago"))
    assert untouched(project, now) == {}
    path.write_text(path.read_text().replace("Chicago", "New_York"))
    project.settings("timezone: Asia/Kathmandu\n")
    assert untouched(project, now) == {}
    project.settings("timezone: Europe/Berlin\n")
    assert set(untouched(project, now)) == {"t"}
    pd.concat([frame, frame.assign(at=frame["at"] + pd.Timedelta(days=1))]).to_parquet(
        project.folder / "files/t.parquet"
    )
    project.sync(now)
    assert untouched(project, now)["t"][2] == 4
