"""Tracking plans that were exported elsewhere."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from connectors.errors import ProjectError, UnknownName
from jobs.authoring.add_plan import add_plan
from jobs.authoring.check import check
from tests.conftest import NOW, Builder

pytestmark = pytest.mark.breadth(4)

PROPERTIES = {
    "type": "object",
    "properties": {
        "plan": {"type": "string", "enum": ["free", "pro"]},
        "seats": {"type": ["integer", "null"]},
        "at": {"type": "string", "format": "date-time"},
        "a: b": {"type": "number", "description": "odd name"},
        "mixed": {"type": ["string", "number"]},
    },
    "required": ["plan"],
}
NESTED = {"properties": {"properties": PROPERTIES}}
EMPTY: dict[str, Any] = {"properties": {"properties": {"properties": {}}}}
SEGMENT = {
    "display_name": "Shop",
    "rules": {
        "events": [
            {"name": "Signed Up", "description": "An account: made", "rules": NESTED},
            {"name": "Paid", "rules": EMPTY},
        ],
        "global": {},
    },
}
SEGMENT_API = {"rules": [{"key": "Signed Up", "type": "TRACK", "jsonSchema": NESTED}]}
AVO = {"events": [{"name": "Signed Up", "rules": PROPERTIES}]}
SCHEMAS = [{"title": "Signed Up", **PROPERTIES}]
BY_NAME = {"Signed Up": PROPERTIES}


@pytest.fixture
def shop(project: Builder) -> Builder:
    rows = [("2026-11-20", '{"plan": "pro", "seats": 2}'), ("2026-11-21", '{"plan": "gold"}')]
    frame = pd.DataFrame([(pd.Timestamp(at), "Signed Up", p) for at, p in rows], columns=["at", "event", "properties"])
    project.rows("events", frame, watermark="sync")
    project.sync(now=NOW)
    return project


def added(shop: Builder, document: Any, dataset: str = "") -> list[str]:
    file = shop.folder / "My plan.json"
    file.write_text(json.dumps(document))
    return list(add_plan(shop.open(), str(file), "", dataset, "properties", "event"))


@pytest.mark.parametrize("document", [SEGMENT, SEGMENT_API, AVO, SCHEMAS, BY_NAME])
def test_it_is_written_and_held_against_the_events(shop: Builder, document: Any) -> None:
    said = added(shop, document)
    opened = shop.open()
    catalogue = opened.catalogue(opened.reader())
    assert catalogue.problems == () and said[0].startswith("Wrote plans/my_plan.yml with")
    event = catalogue.plans[0].events["Signed Up"]
    types = {name: what.type for name, what in event.properties.items()}
    assert types == {"plan": "string", "seats": "integer", "at": "datetime", "a: b": "number", "mixed": "any"}
    assert event.properties["plan"].required and event.properties["plan"].values == ("free", "pro")
    rows = {row["event"]: (row["ok"], row["detail"]) for row in check(opened, ())}
    assert rows["Signed Up"] == (False, "'plan' of 'Signed Up' is none of free, pro in 1 of 2")
    assert rows.get("Paid", (False, "'Paid' never came")) == (False, "'Paid' never came")


@pytest.mark.parametrize("document", [{}, 7, [], {"rules": {"events": []}}, [{"type": "object"}]])
def test_what_is_no_plan_writes_nothing(shop: Builder, document: Any) -> None:
    with pytest.raises(ProjectError, match="names no event"):
        added(shop, document)
    assert not (shop.folder / "plans").exists()


def test_an_unknown_dataset_writes_nothing(shop: Builder) -> None:
    with pytest.raises(UnknownName, match="event"):
        added(shop, SEGMENT, dataset="event")
    assert not (shop.folder / "plans").exists()


def test_what_is_not_known_yet_is_not_as_planned(project: Builder) -> None:
    project.rows("events", pd.DataFrame({"at": pd.to_datetime([]), "event": [], "properties": []}))
    project.sync(now=NOW)
    added(project, SEGMENT)
    assert [(row["ok"], row["detail"]) for row in check(project.open(), ())] == [
        (False, "not known yet: events has no complete day")
    ] * 2


def test_a_plan_that_is_there_stays(shop: Builder) -> None:
    added(shop, SEGMENT)
    before = (shop.folder / "plans" / "my_plan.yml").read_text()
    with pytest.raises(ProjectError, match="already exists"):
        added(shop, AVO)
    assert (shop.folder / "plans" / "my_plan.yml").read_text() == before


def test_a_file_that_is_no_json(shop: Builder) -> None:
    (shop.folder / "x.json").write_text("{")
    with pytest.raises(ProjectError, match="cannot be read as JSON"):
        list(add_plan(shop.open(), str(shop.folder / "x.json"), "", "", "", "event"))
