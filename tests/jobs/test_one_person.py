"""Ids that are one person: through a sync, from each kind of source, and merges that come later than the events."""

from __future__ import annotations

import sqlite3
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.errors import WarehouseError
from jobs import identity
from tests.conftest import NOW, Builder
from tests.engine.test_identity import walked
from tests.engine.test_incremental import BASE, FOLLOWING, KPIS, T0, History, operations
from tests.fakes import amplitude, mixpanel, posthog
from tests.fakes.server import Fake
from tests.sampling import sampled

pytestmark = pytest.mark.breadth(4)

COUNTED = {"users": KPIS["users"], "weekly_users": KPIS["weekly_users"], "back": FOLLOWING["back"]}
COUNTED |= {name: FOLLOWING[name] for name in ("convert", "funnel", "life")}


class Identified(History):
    """Events by an id, and a table of who logged in on which device, or took another name."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, kpis={n: text.replace("expr: user_id", "expr: person") for n, text in COUNTED.items()})
        self.db.execute("CREATE TABLE logins (id INTEGER, known TEXT, device TEXT, former TEXT, at DATETIME)")
        self.project.source(
            "- {name: logins, type: sql, url: 'sqlite:///app.db', table: logins, primary_key: id, cursor: id,\n"
            "   identity: {table: persons, known: known, anonymous: device, alias: former, at: at}}"
        )
        path = self.project.folder / "datasets" / "events.yml"
        path.write_text(path.read_text() + "identity: persons\n")
        self.links: list[tuple[str, str, Any, bool]] = []

    def link(self, known: int, other: int, hour: int, *, merges: bool) -> None:
        """u1 … u5 are known in a link of theirs; those are the ids of events."""
        at = T0 + timedelta(hours=hour)
        row = [len(self.links), f"u{known}", None if merges else f"u{other}", f"u{other}" if merges else None, f"{at}"]
        self.db.execute("INSERT INTO logins VALUES (?, ?, ?, ?, ?)", row)
        self.links.append((f"u{known}", f"u{other}", pd.Timestamp(at, tz="UTC"), merges))

    def check(self) -> None:
        """As a sync from scratch, and as pandas counts who was there."""
        super().check()
        people = walked(self.links)
        rows = self.project.open().reader().frame("SELECT user_id, happened FROM events")
        local = rows["happened"].dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin")
        rows["day"] = local.dt.tz_localize(None).dt.floor("D")
        rows["person"] = rows["user_id"].map(lambda one: people.get(one, one))
        truth = {f"{day:%Y-%m-%d}": n for day, n in rows.groupby("day")["person"].nunique().items()}
        self.project._opened = None
        found = self.project.values("users", grain="day")
        assert {day: n for day, n in found.items() if n} == {day: n for day, n in truth.items() if day in found}


links = st.tuples(st.just("link"), st.integers(1, 3), st.integers(1, 5), st.integers(0, 600), st.booleans())
moves = st.lists(
    st.tuples(st.lists(st.one_of(operations, links), max_size=6), st.sampled_from([0.5, 1, 2])), min_size=2, max_size=4
)


@sampled(fast=0, slow=1, full=100, shrink=False)
@given(moves)
@example([([("link", 1, 4, 50, False)], 1), ([("link", 1, 2, 60, True), ("insert", 91, 8, 4, "web", 1.0)], 1)])
def test_merges_that_come_late_restate_the_past_as_a_sync_from_scratch_counts_it(moves: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = Identified(Path(folder) / "project")
        try:
            for operation in BASE:
                history.apply(operation)
            history.sync(timedelta(0))
            for changes, days in moves:
                for kind, *change in changes:
                    if kind == "link":
                        history.link(*change[:3], merges=change[3])
                    else:
                        history.apply((kind, *change))
                history.sync(timedelta(days=days))
                history.check()
            history.check_published()
        finally:
            history.close()


def test_who_is_another_person_now_is_told_once_and_what_is_as_it_was_publishes_nothing(tmp_path: Path) -> None:
    history = Identified(tmp_path / "project")
    for operation in BASE:
        history.apply(operation)
    history.link(1, 4, 3, merges=False)
    history.sync(timedelta(0))
    history.link(2, 4, 9, merges=False)  # the device is u1's, who came first
    history.link(1, 3, 9, merges=True)
    history.db.commit()
    result = history.project.sync(now=history.now + timedelta(minutes=1))
    notes = next(run.notes for run in result.sources if run.name == "logins")
    assert notes == (
        "persons: 1 anonymous id came with more than one person; each counts for the first",
        "persons: 1 id is another person's than before; what was done by it counts for that person from the first row "
        "on, as late data does",
    )
    again = history.project.sync(now=history.now + timedelta(minutes=2))
    assert not again.published
    assert next(run.notes for run in again.sources if run.name == "logins") == notes[:1]
    history.close()


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        ("identity: people", "a source of type files does not say by itself whose an id is"),
        ("identity: {table: people, known: user_id}", "a rule has `known` and `anonymous` or `alias`"),
        ("identity: {table: people, anonymous: d}", "a rule has `known` and `anonymous` or `alias`"),
        ("identity: {table: t, known: a, anonymous: b}", "table 't' is fed by source 't', so it cannot hold whose"),
    ],
)
def test_a_rule_that_says_nothing_is_refused(project: Builder, identity: str, words: str) -> None:
    project.source(f"- name: t\n  type: files\n  table: t\n  path: files/t.csv\n  {identity}")
    assert words in " ".join(f"{problem}" for problem in project.open().sources.read()[1])


def shop(project: Builder, rows: str, dataset: str) -> None:
    (project.folder / "files" / "t.csv").write_text(rows)
    rule = "{table: people, known: user_id, anonymous: device, at: at}"
    project.source(f"- name: t\n  type: files\n  table: t\n  path: files/t.csv\n  identity: {rule}")
    project.write("datasets", "t", f"name: t\nsource: t\ntime_dimension: at\n{dataset}")
    project.kpi("people", "dataset: t\nagg: count_distinct\nexpr: person")


ROWS = "at,user_id,device,who\n2026-11-02,,d1,d1\n2026-11-03,u1,d1,u1\n2026-11-03,null,d9,null\n2026-11-03,null,d8,d8\n"


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        ("identity: people\n", "`identity` says whose the `entity` is"),
        ("entity: who\nidentity: persons\n", "unknown table 'persons'"),
        ("entity: who\nidentity: t\n", "table 't' has no column 'id'"),
        ("sql: SELECT *, who AS person FROM t\nentity: who\nidentity: people\n", "has a column 'person' already"),
    ],
)
def test_a_dataset_says_what_is_wrong_with_its_identity(project: Builder, dataset: str, words: str) -> None:
    shop(project, ROWS, dataset)
    project.sync()
    text = (project.folder / "datasets" / "t.yml").read_text()
    if "sql:" in dataset:
        project.write("datasets", "t", text.replace("source: t\n", ""))
    assert words in " ".join(map(str, project.open().catalogue().problems))


def test_a_text_that_is_no_id_makes_nobody_one_person_and_segments_and_filters_go_by_person(project: Builder) -> None:
    shop(project, ROWS, "entity: who\nidentity: people\ndimensions: {kind: \"CASE WHEN person = 'u1' THEN 'a' END\"}\n")
    result = project.sync()
    assert result.sources[0].notes[-1].startswith("people: 2 pairs of ids have a text in place of an id")
    assert project.values("people", grain="month") == {"2026-11-01": 3.0}  # u1, d8, and whom nobody knows
    assert project.values("people", grain="month", by="kind") == {
        ("a", "2026-11-01"): 1.0,
        ("(none)", "2026-11-01"): 2.0,
    }


# ---- what types of sources know by themselves


def people(project: Builder, table: str = "people") -> dict[str, str]:
    frame = project.open().reader().frame(f"SELECT id, person FROM {table}")
    return dict(zip(frame["id"], frame["person"], strict=True))


def test_tables_of_a_customer_data_platform_say_it_by_user_id_and_aliases(project: Builder) -> None:
    database = sqlite3.connect(project.folder / "segment.db")
    database.execute("CREATE TABLE tracks (id TEXT, anonymous_id TEXT, user_id TEXT, timestamp TEXT, uuid_ts TEXT)")
    database.execute("CREATE TABLE aliases (id TEXT, previous_id TEXT, user_id TEXT, timestamp TEXT, uuid_ts TEXT)")
    at = "2026-11-01 09:00:00"
    rows = [("1", "an1", None, at, at), ("2", "an1", "u1", at, at), ("3", "an2", "u2", at, at)]
    database.executemany("INSERT INTO tracks VALUES (?, ?, ?, ?, ?)", rows)
    database.execute("INSERT INTO aliases VALUES ('9', 'u1', 'u2', ?, ?)", (at, at))
    database.commit()
    database.close()
    for table in ("tracks", "aliases"):
        project.source(
            f"- {{name: {table}, type: sql, preset: segment, url: 'sqlite:///segment.db', table: {table}, "
            "identity: people}"
        )
    assert not project.sync().failed
    assert people(project) == {"an1": "u1", "an2": "u1", "u2": "u1"}


def test_mixpanel_says_it_by_devices_and_by_its_three_events(project: Builder) -> None:
    vendor = mixpanel.Mixpanel(NOW)

    def happened(number: int, event: str, distinct_id: str, **more: Any) -> None:
        at = NOW - timedelta(hours=100 - number)
        vendor.received.append(mixpanel.Event(event, at.replace(microsecond=0), distinct_id, f"i{number}", more))

    happened(1, "view", "$device:d1", **{"$device_id": "d1"})
    happened(2, "login", "u1", **{"$device_id": "d1", "$user_id": "u1"})
    happened(3, "login", "u2", **{"$device_id": "d1", "$user_id": "u2"})  # a tablet of two
    happened(4, "$identify", "u3", **{"$identified_id": "u3", "$anon_id": "a3"})
    happened(5, "$create_alias", "u3", alias="mail3")
    happened(6, "$merge", "u4", **{"$distinct_ids": ["u4", "u5"]})
    with Fake(vendor.app) as served:
        project.source(
            f"- {{name: t, type: mixpanel, table: t, url: '{served.url}', start: 2026-11-15, identity: people, "
            f"user: {mixpanel.USER}, password: {mixpanel.PASSWORD}, project_id: {mixpanel.PROJECT}}}"
        )
        result = project.sync()
    assert result.sources[0].notes == (
        "people: 1 anonymous id came with more than one person; each counts for the first",
    )
    assert people(project) == {"$device:d1": "u1", "a3": "u3", "mail3": "u3", "u5": "u4"}


def test_posthog_says_it_by_its_events_and_by_its_distinct_ids(project: Builder) -> None:
    vendor = posthog.Posthog()

    def happened(number: int, event: str, distinct_id: str, **more: Any) -> None:
        at = NOW - timedelta(hours=100 - number)
        vendor.events.append(posthog.Event(f"uuid-{number}", at, event, distinct_id, "p", more))

    happened(1, "$pageview", "a1")
    happened(2, "$identify", "ana", **{"$anon_distinct_id": "a1"})
    happened(3, "$identify", "ben", **{"$anon_distinct_id": "ana"})  # PostHog does not merge who is known
    happened(4, "$create_alias", "ana", alias="ana@example.com")
    happened(5, "$merge_dangerously", "ana", alias="old ana")
    vendor.ids = {"ana": "p-1", "a7": "p-1", "ben": "p-2"}
    entry = (
        "- {{name: {0}, type: posthog, table: {0}, url: '{1}', project_id: {2}, api_key: {3}, resource: {0}, "
        "identity: {4}}}"
    )
    with Fake(vendor.app) as served:
        told = served.url, posthog.PROJECT, posthog.KEY
        project.source(entry.format("events", *told, "people, start: 2026-11-15"))
        project.source(entry.format("distinct_ids", *told, "ids"))
        result = project.sync()
    assert people(project) == {"a1": "ana", "ana@example.com": "ana", "old ana": "ana"}
    assert people(project, "ids") == {"ana": "p-1", "a7": "p-1", "ben": "p-2"}
    assert "1 pair of ids says that a known person is another known one without a merge" in result.sources[0].notes[0]


def test_amplitude_says_it_by_devices(project: Builder) -> None:
    vendor = amplitude.Amplitude(NOW)
    for number, user in enumerate([None, "u1", "u2"]):
        at = NOW - timedelta(hours=50 - number)
        vendor.events.append(amplitude.Event(f"uuid-{number}", at, at, user_id=user))
    with Fake(vendor.app) as served:
        project.source(
            f"- {{name: t, type: amplitude, table: t, url: '{served.url}', start: 2026-11-15, "
            f"api_key: {amplitude.API_KEY}, secret_key: {amplitude.SECRET_KEY}, identity: people}}"
        )
        project.sync()
    assert people(project) == {"d-1": "u1"}


# ---- what was wrong in silence once


def logins(project: Builder, rule: str, rows: str, entity: str = "entity: who\nidentity: people\n") -> None:
    """Events by an id, and who logged in where."""
    (project.folder / "files" / "events.csv").write_text("at,who\n2026-11-02,u1\n2026-11-02,d1\n2026-11-03,d1\n")
    (project.folder / "files" / "logins.csv").write_text(rows)
    project.source("- {name: events, type: files, table: events, path: files/events.csv}")
    project.source(f"- {{name: logins, type: files, table: logins, path: files/logins.csv, identity: {rule}}}")
    project.write("datasets", "events", f"name: events\nsource: events\ntime_dimension: at\n{entity}")
    project.kpi("people", "dataset: events\nagg: count_distinct\nexpr: person")
    project.kpi("rows", "dataset: events\nagg: count")


RULE = "{table: people, known: user, anonymous: device, at: at}"


def month(project: Builder, kpi: str = "people") -> float:
    project._opened = None
    return float(project.values(kpi, grain="month")["2026-11-01"])


def test_a_rule_whose_column_is_not_there_is_told(project: Builder) -> None:
    logins(project, RULE.replace("user", "userid"), "at,user,device\n2026-11-02,u1,d1\n")
    notes = project.sync(now=NOW).sources[1].notes
    assert "people: table logins has no column 'userid', so it says of no id whose it is" in notes
    assert month(project) == 2


def test_a_time_that_is_none_is_told(project: Builder) -> None:
    logins(project, RULE, "at,user,device\n1793613600000,zoe,d1\n1793700000000,adam,d1\n")
    notes = " ".join(project.sync(now=NOW).sources[1].notes)
    assert "people: 'at' of table logins is BIGINT and no time" in notes


def test_a_table_that_is_left_of_a_source_is_made_anew_and_a_rule_that_went_is_told(project: Builder) -> None:
    (project.folder / "files" / "old.csv").write_text("id,name\n1,ana\n")
    project.source("- {name: old, type: files, table: people, path: files/old.csv}")
    project.sync(now=NOW)
    project._sources.clear()
    logins(project, RULE, "at,user,device\n2026-11-02,u1,d1\n")
    assert not project.sync(now=NOW).failed
    assert month(project) == 1
    text = (project.folder / "sources.yml").read_text()
    (project.folder / "sources.yml").write_text(text.replace(f", identity: {RULE}", ""))
    for minutes in (1, 2):
        project.sync(now=NOW + timedelta(minutes=minutes))
        told = " ".join(map(str, project.open().catalogue(project.open().reader()).problems))
        assert "table 'people' has no column 'person'" in told, "nobody is counted by what is frozen"
    (project.folder / "sources.yml").write_text(text)
    assert not project.sync(now=NOW + timedelta(minutes=3)).sources[1].notes
    assert month(project) == 1


def test_a_source_that_takes_the_name_of_identities_over_keeps_its_rows(project: Builder) -> None:
    logins(project, RULE, "at,user,device\n2026-11-02,u1,d1\n")
    project.sync(now=NOW)
    text = (project.folder / "sources.yml").read_text()
    (project.folder / "files" / "own.csv").write_text("id,person\nu1,p\nd1,p\n")
    taken = "- {name: own, type: files, table: people, path: files/own.csv}\n"
    (project.folder / "sources.yml").write_text(text.replace(f", identity: {RULE}", "") + taken)
    for minutes in (1, 2):
        project.sync(now=NOW + timedelta(minutes=minutes), full=True)
        assert people(project) == {"u1": "p", "d1": "p"}


def test_numbers_that_are_ids_are_one_whatever_their_column_is(project: Builder) -> None:
    logins(project, RULE, "at,user,device\n2026-11-02,1.0,7\n2026-11-02,2.5,8\n")
    assert not project.sync(now=NOW).failed
    assert people(project) == {"7": "1", "8": "2.5"}


def test_whose_each_id_is_that_cannot_be_made_fails_nothing_else(
    project: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    logins(project, RULE, "at,user,device\n2026-11-02,u1,d1\n")
    project.sync(now=NOW)

    def broken(*_: object) -> None:
        raise WarehouseError("the engine gave up")

    monkeypatch.setattr(identity, "_links", broken)
    (project.folder / "files" / "logins.csv").write_text("at,user,device\n2026-11-02,u1,d1\n2026-11-03,u1,d2\n")
    result = project.sync(now=NOW + timedelta(minutes=1))
    assert result.published and "could not be made and is as it was: the engine gave up" in result.sources[1].notes[-1]
    assert month(project) == 1


def test_a_table_of_ones_own_with_an_id_twice_doubles_nothing(project: Builder) -> None:
    logins(project, RULE, "at,user,device\n2026-11-02,u1,d1\n", "entity: who\nidentity: own\n")
    (project.folder / "files" / "own.csv").write_text("id,person\nu1,p\nu1,p\nd1,p\nd1,p\n")
    project.source("- {name: own, type: files, table: own, path: files/own.csv}")
    project.sync(now=NOW)
    assert month(project, "rows") == 3 and month(project) == 1


def test_names_that_engines_take_for_one_are_one(project: Builder) -> None:
    logins(project, RULE, "at,user,device\n2026-11-02,u1,d1\n")
    project.sync(now=NOW)
    body = "time_dimension: at\nentity: who\nidentity: people\n"
    project.write("datasets", "events", f'name: events\nsql: SELECT *, who AS "Person" FROM events\n{body}')
    assert "has a column 'person' already" in " ".join(map(str, project.open().catalogue().problems))
    project.source("- {name: other, type: files, table: People, path: files/events.csv}")
    assert "table 'people' is fed by source 'other'" in " ".join(map(str, project.open().sources.read()[1]))


def test_ids_are_not_followed_into_a_dataset_that_counts_persons(project: Builder) -> None:
    logins(project, RULE, "at,user,device\n2026-11-02,u1,d1\n")
    project.write("datasets", "plain", "name: plain\nsource: events\ntime_dimension: at\nentity: who\n")
    project.kpi("came_back", "type: conversion\ndataset: events\nbase: who = 'd1'\nconversion: {dataset: plain}")
    project.sync(now=NOW)
    told = " ".join(map(str, project.open().catalogue().problems))
    assert "of events persons of people and plain ids are counted" in told


def test_dimensions_are_borrowed_by_person(project: Builder) -> None:
    entity = "entity: who\nidentity: people\njoin: [{dataset: users, by: person}]\n"
    logins(project, RULE, "at,user,device\n2026-11-02,u1,d1\n", entity)
    (project.folder / "files" / "users.csv").write_text("id,plan,joined\nu1,pro,2026-11-01\n")
    project.source("- {name: users, type: files, table: users, path: files/users.csv}")
    project.write(
        "datasets",
        "users",
        "name: users\nsource: users\nprimary_key: id\ntime_dimension: joined\ndimensions: [plan]\n",
    )
    result = project.sync(now=NOW)
    assert not [p for p in result.problems if p.level == "error"], result.problems
    assert project.values("people", by="plan", grain="month") == {("pro", "2026-11-01"): 1.0}


def test_a_hash_of_one_side_is_refused(project: Builder) -> None:
    project.source(
        "- {name: t, type: mixpanel, table: t, secret: s, start: 2026-11-15, identity: people, "
        "columns: {distinct_id: hash}}"
    )
    told = " ".join(map(str, project.open().sources.read()[1]))
    assert "column 'distinct_id' is hashed, and the ids in its table's JSON are not" in told
