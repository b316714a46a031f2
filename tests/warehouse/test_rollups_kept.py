"""What every warehouse promises of roll-ups: read at once by who makes them, published with the generation or not."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pandas as pd
import pytest

from connectors.errors import WarehouseError
from connectors.warehouse.contract import Reader, Staging, Warehouse
from tests.warehouse.loads import AT, load, options

DAYS = [datetime(2026, 11, day) for day in (1, 2, 3)]
SQL = 'SELECT "at" AS day, count(*) AS n FROM visits GROUP BY "at"'
ABOUT = {"of": ["visits"], "columns": 2}


def visits(counts: list[int], staging: Staging) -> None:
    """So many rows of each of DAYS, in place of what is there."""
    rows = pd.DataFrame({"at": [day for day, count in zip(DAYS, counts, strict=True) for _ in range(count)]})
    load(staging, options(name="visits", table="visits"), rows, anew=True)
    staging.settle()


def told(reader: Reader, relation: str) -> dict[int, int]:
    """Day of the month → rows."""
    frame = reader.frame(f"SELECT day, n FROM {relation}")
    return {day.day: int(n) for day, n in zip(pd.to_datetime(frame["day"]), frame["n"], strict=True)}


def kept(warehouse: Warehouse, name: str = "visits_by_day") -> dict[int, int] | None:
    reader = warehouse.reader()
    found = reader.rollups().get(name)
    return told(reader, found.relation) if found and found.relation else None


def test_it_is_read_at_once_and_published_with_its_generation(warehouse: Warehouse) -> None:
    with warehouse.staging(AT) as staging:
        visits([1, 2, 3], staging)
        assert staging.rollups() == {}
        relation = staging.keep_rollup("visits_by_day", ABOUT, SQL, most=10)
        assert told(staging, relation) == {1: 1, 2: 2, 3: 3}
        staging.publish()
    assert kept(warehouse) == {1: 1, 2: 2, 3: 3}
    assert warehouse.reader().rollups()["visits_by_day"].about == ABOUT


def test_days_that_were_touched_take_the_place_of_what_was_kept_of_them(warehouse: Warehouse) -> None:
    test_it_is_read_at_once_and_published_with_its_generation(warehouse)
    with warehouse.staging(AT) as staging:
        visits([5, 6, 0], staging)
        before = staging.rollups()["visits_by_day"].relation
        later = f"SELECT * FROM ({SQL}) AS found WHERE day >= '2026-11-02 00:00:00'"
        anew = staging.keep_rollup("visits_by_day", ABOUT, later, most=10, touched=(DAYS[1], datetime(9999, 1, 1)))
        assert told(staging, before) == {1: 1, 2: 2, 3: 3}
        assert told(staging, anew) == {2: 6}
        staging.publish()
    assert kept(warehouse) == {1: 1, 2: 6}


def test_one_of_too_many_rows_is_not_kept_and_that_is(warehouse: Warehouse) -> None:
    test_it_is_read_at_once_and_published_with_its_generation(warehouse)
    with warehouse.staging(AT) as staging:
        visits([1, 1, 1], staging)
        assert staging.keep_rollup("visits_by_day", ABOUT, SQL, most=2) == ""
        staging.publish()
    assert kept(warehouse) is None
    assert warehouse.reader().rollups()["visits_by_day"].about == ABOUT


def test_those_that_are_not_named_are_forgotten(warehouse: Warehouse) -> None:
    test_it_is_read_at_once_and_published_with_its_generation(warehouse)
    with warehouse.staging(AT) as staging:
        visits([1, 1, 1], staging)
        staging.keep_rollup("again", ABOUT, SQL, most=10)
        staging.forget_rollups(["again"])
        staging.publish()
    assert list(warehouse.reader().rollups()) == ["again"]
    assert kept(warehouse, "again") == {1: 1, 2: 1, 3: 1}


def test_what_is_not_published_is_gone(warehouse: Warehouse, tmp_path: Any) -> None:
    test_it_is_read_at_once_and_published_with_its_generation(warehouse)
    with warehouse.staging(AT) as staging:
        visits([9, 9, 9], staging)
        staging.keep_rollup("visits_by_day", ABOUT, SQL, most=10)
    assert kept(warehouse) == {1: 1, 2: 2, 3: 3}
    assert not list((tmp_path / "data").glob(".spill-*"))


def test_sql_that_fails_keeps_nothing(warehouse: Warehouse) -> None:
    with warehouse.staging(AT) as staging:
        visits([1, 2, 3], staging)
        with pytest.raises(WarehouseError):
            staging.keep_rollup("visits_by_day", ABOUT, "SELECT missing AS day FROM visits", most=10)
        staging.publish()
    assert warehouse.reader().rollups() == {}
