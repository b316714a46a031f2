"""Alerts about data: an event that is not as the tracking plan says is its owner's alert, once, until it is again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connectors.state import alerts as store
from jobs.alerts.board import board
from jobs.alerts.incidents import silence, status_rows
from tests.conftest import NOW, Builder, evaluate
from tests.jobs.conftest import Web, messages
from tests.quality.test_tracking_plan import World

pytestmark = pytest.mark.breadth(1)

DAY = timedelta(days=1)


@pytest.fixture
def world(project: Builder, web: Web) -> World:
    (project.folder / "plans").mkdir()
    made = World(project, wide=False)
    points = ", ".join(f"{{name: {name}, url: '{web.url}'}}" for name in ("growth", "data"))
    project.settings(f"timezone: UTC\nname: Shop\nurl: https://kpi.example.com\ncontact_points: [{points}]\n")
    return made


def told(project: Builder) -> list[tuple[str, str]]:
    return sorted((message.contact, message.title) for message in messages(project))


def test_a_property_of_another_type_is_told_to_the_owner_of_its_event_until_it_is_right_again(
    world: World, web: Web
) -> None:
    assert world.synced() == []
    assert web.got == []
    wrong = world.last_day("signed_up")
    for row in wrong:
        row["properties"]["seats"] = "three"
    world.synced(NOW + timedelta(hours=1))
    assert told(world.project) == [("growth", "Shop: Not as planned: signed_up (product)")]
    body = web.got[0]["message"].splitlines()
    assert body[1].startswith("'seats' of 'signed_up' is no integer in ") and body[-1] == "https://kpi.example.com/data"
    world.synced(NOW + timedelta(hours=2))
    assert len(web.got) == 1, "the same breach is told once"
    found = board(world.project.open(), now=NOW + timedelta(hours=2))
    assert [(item.title, item.severity) for item in found.unplanned] == [
        ("Tracking plan product: signed_up", "warning")
    ]
    assert found.late == ()
    for row in wrong:
        row["properties"]["seats"] = 3
    world.synced(NOW + timedelta(hours=3))
    assert told(world.project)[0] == ("growth", "Shop: As planned again: signed_up (product)")
    assert board(world.project.open(), now=NOW + timedelta(hours=3)).unplanned == ()


def test_what_is_not_planned_is_one_alert_of_the_plans_owner_and_can_be_silenced(world: World, web: Web) -> None:
    world.synced()
    for number in range(9):
        world.rows.append({"at": NOW.replace(tzinfo=None) - DAY, "event": f"extra_{number}", "properties": {}})
    world.synced(NOW + timedelta(hours=1))
    assert told(world.project) == [("data", "Shop: Not as planned: not in the plan (product)")]
    assert "And 4 more: see the page Data." in web.got[0]["message"]
    rows = [row for row in status_rows(world.project.open(), now=NOW) if row["rule"] == "tracking_plan"]
    assert [(row["segment"], row["state"], row["kpi"]) for row in rows] == [("not in the plan", "firing", None)]
    silence(world.project.open(), "plan:product", NOW + 9 * DAY, by="ana", now=NOW + timedelta(hours=1))
    world.rows = [row for row in world.rows if not str(row["event"]).startswith("extra")]
    world.synced(NOW + timedelta(hours=2))
    assert len(web.got) == 1
    with world.project.open().state.reading() as connection:
        assert [item.closed_why for item in store.history(connection)] == ["resolved"]


def opened(world: World) -> set[str]:
    with world.project.open().state.reading() as connection:
        return {item.segment for item in store.open_incidents(connection).values()}


def test_what_is_open_stays_while_nobody_can_tell_and_ends_with_the_plan(world: World) -> None:
    world.synced()
    for row in world.last_day("signed_up"):
        row["properties"]["seats"] = "three"
    world.synced(NOW + timedelta(hours=1))
    assert opened(world) == {"signed_up"}
    dataset = world.project.folder / "datasets" / "events.yml"
    sound = dataset.read_text()
    dataset.write_text(sound.replace("source: events", "sql: SELECT * FROM events WHERE CAST(event AS INTEGER) > 0"))
    world.project.sync(now=NOW + timedelta(hours=2))
    assert opened(world) == {"signed_up", "events"}, "unknown is not as planned"
    dataset.write_text(sound)
    plan = world.project.folder / "plans" / "product.yml"
    plan.write_text(plan.read_text().replace("  signed_up:", "  joined:"))
    world.project.sync(now=NOW + timedelta(hours=3))
    assert opened(world) == {"joined", "not in the plan"}
    sound = plan.read_text()
    plan.write_text(f"{sound}broken: [")
    world.project.sync(now=NOW + timedelta(hours=3, minutes=30))
    assert opened(world) == {"joined", "not in the plan"}, "a plan that is wrong says nothing"
    plan.unlink()
    world.project.sync(now=NOW + timedelta(hours=4))
    evaluate(world.project.open(), now=NOW + timedelta(hours=5))
    assert opened(world) == set()
    with world.project.open().state.reading() as connection:
        ended = {item.closed_why for item in store.history(connection) if item.segment == "joined"}
    assert ended == {"rule_gone"} and not any("As planned" in title for _, title in told(world.project))
