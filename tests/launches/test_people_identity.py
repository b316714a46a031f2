"""People who have several ids are one person in exposures and outcomes; ids of different kinds are refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from connectors.errors import QueryRefused
from metrics.catalog.models.launch import Exposure
from metrics.engine.exposure import Asked, exposed_sums
from metrics.engine.per_person import PerPerson
from metrics.engine.types import per_person
from tests.conftest import Builder

NOW = datetime(2026, 11, 2, 3, tzinfo=UTC)
START = pd.Timestamp("2026-10-05")


def asked(project: Builder, entity: str = "") -> pd.DataFrame:
    opened = project.open()
    reader = opened.reader()
    catalogue = opened.catalogue(reader)
    person = per_person(catalogue.kpi("orders"), catalogue)
    assert isinstance(person, PerPerson)
    exposure = Exposure(dataset="shown", variant="arm", at="at", entity=entity)
    end = START + pd.Timedelta(days=14)
    return exposed_sums(Asked(exposure, person, START, (end,), timedelta(days=7)), catalogue, reader)


def product(project: Builder, **of_buys: str) -> None:
    def at(day: int) -> pd.Timestamp:
        return START + pd.Timedelta(days=day, hours=12)

    shown = [("a1", at(1), "new"), ("p1", at(3), "new"), ("a2", at(1), "new"), ("p2", at(2), "control")]
    buys = [("a1", at(2)), ("p1", at(4)), ("p1", at(0)), ("p2", at(4))]
    ids = pd.DataFrame({"id": ["a1", "a2"], "person": ["p1", "p2"]})
    ids.to_parquet(project.folder / "files" / "ids.parquet", index=False)
    project.source("- {name: ids, type: files, table: ids, path: files/ids.parquet}")
    project.rows("shown", pd.DataFrame(shown, columns=["who", "at", "arm"]), entity="who", identity="ids")
    project.rows("buys", pd.DataFrame(buys, columns=["who", "at"]), entity="who", **of_buys)
    project.kpi("orders", "dataset: buys\nagg: count")
    project.sync(NOW)


@pytest.mark.parametrize("entity", ["", "who"])
def test_a_person_of_two_ids_is_one(project: Builder, entity: str) -> None:
    product(project, identity="ids")
    found = asked(project, entity).set_index("status")
    assert found.loc["several", "n"] == 1, "p2 saw one variant as a2, the other later"
    counted = found.loc["counted"]
    assert (counted["n"], counted["y0"], counted["x"]) == (1, 2.0, 1.0)
    assert counted["day"] == START + pd.Timedelta(days=1), "the first exposure of either id"


def test_ids_of_different_kinds_are_refused(project: Builder) -> None:
    product(project)
    with pytest.raises(QueryRefused, match="ids of different kinds"):
        asked(project)
