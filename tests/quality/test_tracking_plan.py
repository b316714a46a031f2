"""The tracking plan: each planted breach is told at the next sync with what it breaks, and a clean sync tells none."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from metrics.quality.tracking_plan import Breach, breaches, similarity
from tests.conftest import NOW, Builder
from tests.sampling import SEED, cases

pytestmark = pytest.mark.breadth(3)

DAYS = 60
PLAN = """name: product
dataset: events
event: event
{where}owner: data
events:
  signed_up:
    owner: growth
    properties:
      plan: {{type: string, required: true, values: [free, pro]}}
      seats: integer
  paid: {{properties: {{amount: number, coupon: string}}}}
  opened: {{}}
  exported: {{}}
"""
KPIS = {
    "sign_ups": "label: Sign-ups\ndataset: events\nagg: count\nfilter: event = 'signed_up'\narea: growth\n"
    "alerts: [{name: low, thresholds: {critical: '< 1'}}]",
    "payers": "dataset: events\nagg: count\nfilter: event = 'paid'",
    "paid_share": "type: ratio\nnumerator: payers\ndenominator: sign_ups",
    "revenue": "dataset: events\nagg: sum\nexpr: AMOUNT\nfilter: event = 'paid'",
    "pro": "dataset: events\nagg: count\nfilter: event = 'signed_up' AND PLAN = 'pro'",
}
LAUNCH = "name: pay\nlabel: Pay\non: 2026-11-01\nsuccess: [{kpi: payers, expect: '+5%'}]"
SNAPSHOT = "name: weekly\ntitle: Weekly\nsections: [{title: Growth, area: growth}]"


def rows(end: datetime, chance: random.Random, days: int = DAYS) -> list[dict[str, Any]]:
    """Events of so many days before `end`: two kinds daily, one on workdays, one now and then."""
    found = []
    for back in range(days, 0, -1):
        day = pd.Timestamp(end.date()) - pd.Timedelta(days=back)
        for event, usual in (("signed_up", 24), ("paid", 14), ("opened", 40 if day.day_of_week < 5 else 0)):
            for _ in range(usual + chance.randrange(-4, 5) if usual else 0):
                found.append(row(event, day, chance))
        found += [row("exported", day, chance) for _ in range(chance.random() < 0.3)]
    return found


def row(event: str, day: pd.Timestamp, chance: random.Random) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    if event == "signed_up":
        properties = {"plan": chance.choice(["free", "pro"]), "seats": chance.randrange(1, 9)}
        if chance.random() < 0.1:
            del properties["seats"]
    if event == "paid":
        properties = {"amount": chance.randrange(100) / 4} | ({"coupon": "c"} if chance.random() < 0.3 else {})
    return {"at": day + pd.Timedelta(seconds=chance.randrange(86_400)), "event": event, "properties": properties}


class World:
    """A project whose events lie in a JSON column, or in a column each."""

    def __init__(self, project: Builder, *, wide: bool) -> None:
        self.project, self.wide, self.chance = project, wide, random.Random(f"{SEED} {wide}")
        self.rows = rows(NOW, self.chance)
        project.rows("events", self.frame(), watermark="sync")
        project.write("plans", "product", PLAN.format(where="" if wide else "properties: properties\n"))
        for name, text in KPIS.items():
            amount = "CAST(amount AS DOUBLE)" if wide else "CAST(properties ->> 'amount' AS DOUBLE)"
            plan = "plan" if wide else "properties ->> 'plan'"
            project.kpi(name, text.replace("AMOUNT", amount).replace("PLAN", plan))
        project.write("launches", "pay", LAUNCH)
        (project.folder / "snapshots").mkdir(exist_ok=True)
        project.write("snapshots", "weekly", SNAPSHOT)

    def frame(self) -> pd.DataFrame:
        frame = pd.DataFrame(self.rows)
        if self.wide:
            keys = {key for row in self.rows for key in row["properties"]} | {"plan", "seats", "amount", "coupon"}
            wide = {key: [_cell(r["properties"].get(key)) for r in self.rows] for key in sorted(keys)}
            return frame[["at", "event"]].assign(**wide)
        return frame.assign(properties=[json.dumps(r["properties"]) for r in self.rows])

    def synced(self, now: datetime = NOW) -> list[Breach]:
        self.frame().to_parquet(self.project.folder / "files" / "events.parquet", index=False)
        self.project.sync(now=now)
        opened = self.project.open()
        reader = opened.reader()
        catalogue = opened.catalogue(reader)
        assert not [p for p in catalogue.problems if p.level == "error"], catalogue.problems
        return breaches(catalogue.plans[0], catalogue, reader)

    def last_day(self, event: str, days: int = 1) -> list[dict[str, Any]]:
        since = pd.Timestamp(NOW.date()) - pd.Timedelta(days=days)
        return [row for row in self.rows if row["event"] == event and row["at"] >= since]


def _cell(value: Any) -> str | None:
    return None if value is None else str(value)


@pytest.fixture
def project(project: Builder) -> Builder:
    (project.folder / "plans").mkdir()
    return project


@pytest.fixture(params=[False, True], ids=["json", "columns"])
def world(request: pytest.FixtureRequest, project: Builder) -> World:
    return World(project, wide=request.param)


def told(found: list[Breach]) -> set[tuple[str, str, str]]:
    return {(breach.kind, breach.event, breach.property_) for breach in found}


@pytest.mark.breadth(1)
@pytest.mark.parametrize("number", range(cases(fast=1, slow=2, full=20)))
def test_a_clean_sync_tells_nothing(project: Builder, number: int) -> None:
    world = World(project, wide=bool(number % 2))
    world.chance = random.Random(f"{SEED} clean {number}")
    world.rows = rows(NOW + timedelta(days=number % 7), world.chance)
    assert world.synced(NOW + timedelta(days=number % 7)) == []


def _drop(world: World, event: str, days: int) -> None:
    gone = [id(row) for row in world.last_day(event, days)]
    world.rows = [row for row in world.rows if id(row) not in gone]


def _rename(world: World, event: str, name: str, days: int = 1) -> None:
    for one in world.last_day(event, days):
        one["event"] = name


def _set(world: World, event: str, key: str, value: Any, few: int = 0) -> None:
    for one in world.last_day(event)[: few or None]:
        one["properties"][key] = value


def _without(world: World, event: str, key: str, days: int = 7) -> None:
    for one in world.last_day(event, days):
        one["properties"].pop(key, None)


def _rekey(world: World, event: str, key: str, name: str) -> None:
    for one in world.last_day(event, 7):
        if key in one["properties"]:
            one["properties"][name] = one["properties"].pop(key)


Planted = tuple[Callable[["World"], None], tuple[str, str, str]]
BREACHES: dict[str, Planted] = {
    "an event stops for a day": (lambda w: _drop(w, "signed_up", 1), ("stopped", "signed_up", "")),
    "an event stops for a week": (lambda w: _drop(w, "paid", 7), ("stopped", "paid", "")),
    "an event of workdays stops on Friday": (lambda w: _drop(w, "opened", 3), ("stopped", "opened", "")),
    "a rare event stops for a month": (lambda w: _drop(w, "exported", 35), ("stopped", "exported", "")),
    "an event never came": (lambda w: _drop(w, "exported", 99), ("missing", "exported", "")),
    "an event is written another way": (lambda w: _rename(w, "signed_up", "Signed Up"), ("renamed", "signed_up", "")),
    "an event is in camel case": (lambda w: _rename(w, "paid", "Paid", 3), ("renamed", "paid", "")),
    "an event has a suffix": (lambda w: _rename(w, "exported", "exported_v2", 25), ("renamed", "exported", "")),
    "an event is new": (lambda w: _rename(w, "opened", "looked", 99), ("new", "looked", "")),
    "another event is new": (
        lambda w: w.rows.append(row("refunded", pd.Timestamp("2026-11-20"), w.chance)),
        ("new", "refunded", ""),
    ),
    "a number is a word": (lambda w: _set(w, "paid", "amount", "a lot"), ("wrong_type", "paid", "amount")),
    "one number is a word": (lambda w: _set(w, "paid", "amount", "ten", 1), ("wrong_type", "paid", "amount")),
    "a whole number is not whole": (lambda w: _set(w, "signed_up", "seats", 2.5), ("wrong_type", "signed_up", "seats")),
    "a value is unknown": (lambda w: _set(w, "signed_up", "plan", "gold"), ("wrong_value", "signed_up", "plan")),
    "a value is in capitals": (
        lambda w: _set(w, "signed_up", "plan", "Pro", 2),
        ("wrong_value", "signed_up", "plan"),
    ),
    "what is required is lacking": (lambda w: _without(w, "signed_up", "plan", 1), ("lacking", "signed_up", "plan")),
    "what is required is gone": (lambda w: _without(w, "signed_up", "plan"), ("stopped", "signed_up", "plan")),
    "what many had is gone": (lambda w: _without(w, "paid", "coupon"), ("stopped", "paid", "coupon")),
}
OF_JSON: dict[str, Planted] = {
    "a text is a number": (lambda w: _set(w, "signed_up", "plan", 7), ("wrong_type", "signed_up", "plan")),
    "a number is in quotes": (lambda w: _set(w, "paid", "amount", "12.5"), ("wrong_type", "paid", "amount")),
    "a property is new": (lambda w: _set(w, "paid", "currency", "usd"), ("new", "paid", "currency")),
    "a property has another name": (lambda w: _rekey(w, "paid", "amount", "Amount"), ("renamed", "paid", "amount")),
}


@pytest.mark.breadth(4)
@pytest.mark.parametrize("name", BREACHES)
def test_a_breach_is_told_at_the_next_sync(world: World, name: str) -> None:
    assert world.synced() == []
    plant, wanted = BREACHES[name]
    plant(world)
    found = told(world.synced(NOW + timedelta(hours=1)))
    more = {("missing", "opened", "")} if name == "an event is new" else set()
    assert found == {wanted, *more}


@pytest.mark.breadth(2)
@pytest.mark.parametrize("name", OF_JSON)
def test_a_breach_in_json_is_told(project: Builder, name: str) -> None:
    world = World(project, wide=False)
    plant, wanted = OF_JSON[name]
    plant(world)
    found = told(world.synced())
    more = {("wrong_value", "signed_up", "plan")} if name == "a text is a number" else set()
    assert found == {wanted, *more}


def test_an_event_of_the_running_day_has_come(world: World) -> None:
    """First sent today, or again today; what lies in the future has not come yet."""
    _drop(world, "exported", 99)
    _drop(world, "signed_up", 3)
    today = pd.Timestamp(NOW.date()) + pd.Timedelta(hours=1)
    world.rows += [{**row(event, today, world.chance), "at": today} for event in ("exported", "signed_up")]
    assert world.synced() == []
    _drop(world, "paid", 3)
    world.rows.append({**row("paid", today, world.chance), "at": today + pd.Timedelta(days=400)})
    assert told(world.synced(NOW + timedelta(hours=1))) == {("stopped", "paid", "")}


def test_it_names_what_it_breaks(world: World) -> None:
    _drop(world, "signed_up", 2)
    _drop(world, "paid", 2)
    stopped = {b.event: b for b in world.synced() if b.kind == "stopped"}
    assert set(stopped["signed_up"].breaks.kpis) == {"sign_ups", "paid_share", "pro"}
    assert stopped["signed_up"].breaks.alerts == ("sign_ups.low",) and stopped["signed_up"].owner == "growth"
    assert stopped["signed_up"].breaks.snapshots == ("weekly",) and stopped["signed_up"].breaks.launches == ()
    assert set(stopped["paid"].breaks.kpis) == {"payers", "paid_share", "revenue"} and stopped["paid"].owner == "data"
    assert stopped["paid"].breaks.launches == ("pay",)
    assert stopped["signed_up"].text == (
        "'signed_up' stopped: the last one came on 20 Nov 2026; it breaks KPIs paid_share, pro, sign_ups, "
        "alert sign_ups.low, snapshot weekly"
    )


def test_a_property_breaks_those_that_read_it(world: World) -> None:
    _set(world, "paid", "amount", "a lot")
    _set(world, "signed_up", "plan", "gold")
    found = {(b.event, b.property_): b.breaks.kpis for b in world.synced()}
    assert found == {("paid", "amount"): ("revenue",), ("signed_up", "plan"): ("pro",)}


def test_it_is_a_warning_with_its_line(world: World) -> None:
    world.synced()
    _drop(world, "signed_up", 2)
    world.synced(NOW + timedelta(hours=1))
    problems = [p for p in world.project.open().sync_log.warnings() if p.code.startswith("plan_")]
    assert [(p.code, p.level) for p in problems] == [("plan_stopped", "warning")]
    assert problems[0].file.endswith("plans/product.yml")
    assert problems[0].line == 6 + (not world.wide) and "growth looks after it" in problems[0].hint


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("dataset: events", "dataset: event"), "unknown dataset 'event'"),
        (("event: event", "event: name"), "dataset events has no column 'name'"),
        (("type: string", "type: text"), "type"),
        (("  opened: {}", "  opened: {owners: me}"), "owners"),
    ],
)
def test_a_plan_that_is_wrong_says_so(project: Builder, change: tuple[str, str], words: str) -> None:
    world = World(project, wide=True)
    world.synced()
    text = PLAN.format(where="").replace(change[0], change[1], 1)
    project.write("plans", "product", text)
    opened = project.open()
    catalogue = opened.catalogue(opened.reader())
    assert [words in p.message for p in catalogue.problems if p.level == "error"] == [True] and catalogue.plans == ()


def test_names_are_alike_however_their_words_are_put_together() -> None:
    assert similarity("signed_up", "Signed Up") == similarity("signedUp", "SIGNED-UP") == 1
    assert similarity("signed_up", "paid") < 0.4
