"""What every warehouse promises of finished values: as of each generation, what was published with it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd
import pytest

from connectors.warehouse.contract import TOUCHED, DatasetState, Failure, Staging, StoredSeries, Warehouse
from tests.warehouse.loads import AT

pytestmark = pytest.mark.breadth(8)

DAYS = pd.date_range("2026-11-01", periods=5)
ALWAYS = (pd.Timestamp(0), pd.Timestamp("9999-01-01"))


def values(day: Mapping[int, float | None], *, dimension: str = "", segment: str = "", **more: Any) -> pd.DataFrame:
    """Values of days, by their number."""
    frame = pd.DataFrame(
        {
            "grain": "day",
            "dimension": dimension,
            "segment": segment,
            "period": [DAYS[n] for n in day],
            "value": pd.Series(list(day.values()), dtype="float64"),
            "numerator": float("nan"),
            "denominator": 2.0,
            "n": pd.Series([3] * len(day), dtype="Int64"),
            "complete": True,
            "parts": [None] * len(day),
        }
    )
    return frame.assign(**more)


def touched(*spans: tuple[datetime, datetime], dimension: str = "") -> pd.DataFrame:
    return pd.DataFrame([("day", dimension, *span) for span in spans], columns=list(TOUCHED))


def store(staging: Staging, frame: pd.DataFrame, *spans: Any, kpi: str = "n", definition: str = "d1") -> None:
    staging.store_values(kpi, definition, f"text of {definition}", frame, touched(*spans or [ALWAYS]))


def published(warehouse: Warehouse, frame: pd.DataFrame, *spans: Any, **more: Any) -> int:
    """Versions that storing these values in one generation more has written."""
    with warehouse.staging(AT) as staging:
        store(staging, frame, *spans, **more)
        staging.publish()
        return staging.written


def stored(warehouse: Warehouse, sequence: int, kpi: str = "n", dimension: str = "") -> dict[Any, Any] | None:
    """Day of the month (by segment, if any) → value, as of a generation."""
    found = warehouse.reader().stored_values(kpi, "day", dimension, sequence)
    if found is None:
        return None
    rows = found.frame.to_dict("records")
    return {(r["segment"], r["period"].day) if dimension else r["period"].day: r["value"] for r in rows}


def test_values_are_read_as_of_each_generation(warehouse: Warehouse) -> None:
    assert published(warehouse, values({0: 1.0, 1: 2.0})) == 2
    assert published(warehouse, values({0: 1.0, 1: 5.0, 2: 3.0})) == 3  # one ended, two new
    assert published(warehouse, values({0: 1.0})) == 2
    assert stored(warehouse, 1) == {1: 1.0, 2: 2.0}
    assert stored(warehouse, 2) == {1: 1.0, 2: 5.0, 3: 3.0}
    assert stored(warehouse, 3) == {1: 1.0}
    assert stored(warehouse, 1, kpi="other") is None and stored(warehouse, 1, dimension="plan") is None


def test_many_series_in_one_question_are_those_asked_for_one_by_one(warehouse: Warehouse) -> None:
    published(warehouse, values({0: 1.0, 1: 2.0}))
    published(warehouse, values({0: 7.0}), kpi="m")
    reader = warehouse.reader()
    keys = [("m", "day", ""), ("gone", "day", ""), ("n", "day", ""), ("n", "day", "plan")]
    for sequence in (1, 2):
        many = reader.stored_series(keys, sequence)
        for key in keys:
            alone = reader.stored_values(*key, sequence)
            assert (key in many) == (alone is not None)
            if alone is not None:
                assert many[key].definition == alone.definition
                pd.testing.assert_frame_equal(many[key].frame, alone.frame)
    assert set(reader.stored_series(keys, 2)) == {("m", "day", ""), ("n", "day", "")}
    assert dict(reader.stored_series([], 2)) == {}
    every = reader.all_stored_definitions()
    assert {key: list(found) for key, found in every.items()} == {
        ("n", "day"): list(reader.stored_definitions("n", "day")),
        ("m", "day"): list(reader.stored_definitions("m", "day")),
    }


def test_a_series_has_its_columns_types_and_order(warehouse: Warehouse) -> None:
    first = values({1: None, 0: 4.0}, dimension="plan", segment="pro", parts=[None, (1.0, 2.5)], n=[pd.NA, 3])
    second = values({0: 1.0}, dimension="plan", segment="(none)", complete=False)
    frame = pd.concat([first.astype({"n": "Int64"}), second], ignore_index=True)
    with warehouse.staging(AT) as staging:
        staging.store_values("n", "d1", "text", frame, touched(ALWAYS, dimension="plan"))
        staging.publish()
    found = warehouse.reader().stored_values("n", "day", "plan", 1)
    assert isinstance(found, StoredSeries) and found.definition == "d1"
    got = found.frame
    assert list(got) == ["segment", "period", "value", "numerator", "denominator", "n", "complete", "parts"]
    assert got["segment"].tolist() == ["(none)", "pro", "pro"] and got["period"].tolist() == [DAYS[0], *DAYS[:2]]
    assert got["parts"].tolist() == [None, (1.0, 2.5), None] and got["complete"].tolist() == [False, True, True]
    assert got["value"].tolist()[:2] == [1.0, 4.0] and pd.isna(got["value"][2]) and got["numerator"].isna().all()
    assert pd.isna(got["n"][2]) and got["n"].dropna().tolist() == [3, 3]


def test_what_is_as_it_was_gets_no_new_version(warehouse: Warehouse) -> None:
    published(warehouse, values({0: 0.1 + 0.2, 1: None}, parts=[(1.0, 2.0), None]))
    assert published(warehouse, values({0: 0.3, 1: None}, parts=[(1.0, 2.0), None])) == 0  # another order of a sum
    assert published(warehouse, values({0: 0.3, 1: None}, parts=[(1.0, 2.5), None])) == 2
    assert published(warehouse, values({0: 0.3, 1: 0.0}, parts=[(1.0, 2.5), None])) == 2
    assert [stored(warehouse, n)[1] for n in (2, 3)] == [0.1 + 0.2, 0.3]  # type: ignore[index]


def test_outside_of_what_was_touched_values_stay(warehouse: Warehouse) -> None:
    published(warehouse, values({0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0}))
    assert published(warehouse, values({2: 9.0}), (DAYS[1], DAYS[3])) == 3  # the second ends, the third has a new one
    assert stored(warehouse, 2) == {1: 1.0, 3: 9.0, 4: 4.0}
    assert stored(warehouse, 1) == {1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0}


def test_a_new_definition_ends_all_values_of_the_old_one(warehouse: Warehouse) -> None:
    published(warehouse, values({0: 1.0, 1: 2.0}))
    published(warehouse, values({0: 1.0}), (DAYS[0], DAYS[1]), definition="d2")
    assert stored(warehouse, 1) == {1: 1.0, 2: 2.0} and stored(warehouse, 2) == {1: 1.0}
    reader = warehouse.reader()
    assert list(reader.stored_definitions("n", "day")) == [("d1", 1), ("d2", 2)]
    assert list(reader.stored_definitions("n", "week")) == []
    with warehouse.staging(AT) as staging:
        assert dict(staging.live_definitions()) == {"n": "d2"}


def test_values_that_are_forgotten_or_cannot_be_computed_end(warehouse: Warehouse) -> None:
    for kpi in ("a", "b", "c"):
        published(warehouse, values({0: 1.0, 1: 2.0}), kpi=kpi)
    with warehouse.staging(AT) as staging:
        staging.forget_values(["b", "c"])
        staging.store_failure("b", Failure("sql", "cannot be read", "", 4))
        staging.publish()
        assert staging.written == 3  # two values that were forgotten and their series
    with warehouse.staging(AT) as staging:
        assert dict(staging.live_definitions()) == {"c": "d1"}
    assert dict(warehouse.reader().failures()) == {"b": Failure("sql", "cannot be read", "", 4)}
    assert [stored(warehouse, 4, kpi=kpi) for kpi in ("a", "b")] == [None, None]
    assert stored(warehouse, 4, kpi="c") == stored(warehouse, 3, kpi="a") == {1: 1.0, 2: 2.0}
    published(warehouse, values({0: 7.0}), kpi="a")
    assert stored(warehouse, 5, kpi="a") == {1: 7.0} and stored(warehouse, 4, kpi="a") is None


def test_values_that_are_kept_are_told_to_be_of_an_earlier_generation(warehouse: Warehouse) -> None:
    published(warehouse, values({0: 1.0}))
    with warehouse.staging(AT) as staging:
        staging.store_failure("n", Failure("query_limit", "took longer than 60 s", "Narrow it.", 2, 1))
        staging.store_failure("gone", Failure("sql", "cannot be read", "", 2))
        staging.forget_values(["n"])
        staging.publish()
    reader = warehouse.reader()
    assert stored(warehouse, 2) == {1: 1.0}
    assert dict(reader.failures()) == {"n": Failure("query_limit", "took longer than 60 s", "Narrow it.", 2, 1)}
    published(warehouse, values({0: 2.0}))
    assert not warehouse.reader().failures() and stored(warehouse, 3) == {1: 2.0}


def test_a_discarded_staging_stores_no_values(warehouse: Warehouse) -> None:
    published(warehouse, values({0: 1.0}))
    with warehouse.staging(AT) as staging:
        store(staging, values({0: 8.0}), definition="d9")
        staging.forget_values([])
        staging.store_files({"kpi:n": "never"})
    published(warehouse, values({0: 2.0}))
    assert stored(warehouse, 1) == {1: 1.0} and stored(warehouse, 2) == {1: 2.0}
    reader = warehouse.reader()
    assert list(reader.stored_definitions("n", "day")) == [("d1", 1)] and dict(reader.published_files()) == {}


def test_segments_of_the_valid_values_and_their_n(warehouse: Warehouse) -> None:
    parts = [values({0: 1.0, 1: 1.0, 2: 1.0}, dimension="plan", segment=s, n=n) for s, n in (("pro", 5), ("free", 1))]
    frame = pd.concat(parts, ignore_index=True).astype({"n": "Int64"})
    with warehouse.staging(AT) as staging:
        assert staging.stored_segments("n", "day", "plan", []) is None
        staging.store_values("n", "d1", "text", frame, touched(ALWAYS, dimension="plan"))
        staging.publish()
    with warehouse.staging(AT) as staging:
        assert staging.stored_segments("n", "day", "plan", []) == {"pro": 15, "free": 3}
        assert staging.stored_segments("n", "day", "plan", [(DAYS[0], DAYS[2])]) == {"pro": 5, "free": 1}
        every = [(DAYS[0], DAYS[1]), (DAYS[1], DAYS[4])]
        assert staging.stored_segments("n", "day", "plan", every) == {"pro": 0, "free": 0}
        assert staging.stored_segments("n", "day", "", []) is None


def test_valid_values_are_those_that_no_generation_has_ended(warehouse: Warehouse) -> None:
    published(warehouse, values({0: 1.0, 1: 2.0}))
    published(warehouse, values({0: 3.0}))
    with warehouse.staging(AT) as staging:
        found = staging.valid_values("n")
        assert [(r.grain, r.dimension, r.period, r.value) for r in found.itertuples()] == [("day", "", DAYS[0], 3.0)]
        assert str(found["n"].dtype) == "Int64" and found["complete"].dtype == bool
        assert staging.valid_values("other").empty


def test_states_and_files_are_those_of_their_generation(warehouse: Warehouse) -> None:
    states = [DatasetState("events", AT, AT, AT, 5, 1, AT, AT), DatasetState("empty", None, None, None, 0, 0)]
    with warehouse.staging(AT) as staging:
        staging.store_dataset_states(states)
        staging.store_files({"kpi:n": "name: n", "dataset:events": "name: events"})
        staging.publish()
    old = warehouse.reader()
    assert dict(old.dataset_states(1)) == {s.name: s for s in states}
    with warehouse.staging(AT) as staging:
        assert dict(staging.published_files()) == {"kpi:n": "name: n", "dataset:events": "name: events"}
        staging.store_dataset_states(states[:1])
        staging.store_files({"kpi:m": "name: m"})
        staging.publish()
    new = warehouse.reader()
    assert dict(new.dataset_states(1)) == {s.name: s for s in states} and set(new.dataset_states(2)) == {"events"}
    assert dict(new.dataset_states(3)) == {} and dict(new.published_files()) == {"kpi:m": "name: m"}
    assert set(old.published_files()) == {"kpi:n", "dataset:events"} and dict(old.dataset_states(2)) == {}
