"""A KPI's whole and its segment that fail together are one incident; what people hear of it, and when it ends."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.state import alerts as store
from jobs.alerts.board import board
from jobs.alerts.incidents import read_state, silence
from metrics.alerts.together import Failing, together
from tests.conftest import Builder, evaluate
from tests.jobs.conftest import START, Web, day
from tests.sampling import sampled

pytestmark = pytest.mark.breadth(1)

WHOLE = '{name: all, thresholds: {critical: "< 150"}%s}'
PART = '{name: shops, thresholds: {critical: "< 50"}, by: [shop]%s}'
Shops = dict[int, tuple[float, float]]
GOOD: Shops = dict.fromkeys(range(5), (100.0, 100.0))


def write(project: Builder, values: Shops) -> None:
    rows = [(n, shop, v) for n, pair in values.items() for shop, v in zip("ab", pair, strict=True)]
    at = [pd.Timestamp(START.date()) + pd.Timedelta(days=n, hours=12) for n, _, _ in rows]
    frame = pd.DataFrame({"at": at, "shop": [s for _, s, _ in rows], "v": [v for _, _, v in rows]})
    frame.to_parquet(project.folder / "files" / "events.parquet")


def make(project: Builder, values: Shops, *rules: str, contacts: tuple[str, ...] = (), url: str = "") -> None:
    points = "".join(f"  - {{name: {name}, url: '{url}'}}\n" for name in contacts)
    project.settings(f"timezone: UTC\nname: Shop\n{'contact_points:' if points else ''}\n{points}")
    write(project, values)
    project.source("- {name: events, type: files, table: events, path: files/events.parquet, load: replace}")
    keys = "source: events\ntime_dimension: at\nwatermark: whole_days\ndimensions: [shop]\n"
    project.write("datasets", "events", f"name: events\n{keys}")
    lines = "".join(f"\n  - {rule}" for rule in rules)
    project.kpi("k", f"label: Orders\ndataset: events\nagg: sum\nexpr: v\nowner: team\nalerts:{lines}")


def incidents(project: Builder) -> list[tuple[str, str, int, str]]:
    """rule, segment, day on which it opened, how it ended."""
    with project.open().state.reading() as connection:
        found = store.history(connection)
    return sorted(
        (i.rule, i.segment, i.opened_period.day - 1, i.closed_why or "open") for i in found if i.opened_period
    )


def grow(project: Builder, values: Shops) -> None:
    """Day by day, one sync each."""
    for last in range(4, max(values) + 1):
        write(project, {n: pair for n, pair in values.items() if n <= last})
        project.sync(day(last + 1))


@pytest.mark.breadth(1)
@pytest.mark.parametrize("rules", [(WHOLE, PART), (PART, WHOLE)])
def test_a_parent_and_its_segment_that_fail_together_are_one_incident(
    project: Builder, web: Web, rules: tuple[str, str]
) -> None:
    make(project, GOOD, *(rule % "" for rule in rules), contacts=("team",), url=web.url)
    grow(project, {**GOOD, 5: (100, 10), 6: (100, 20), 7: (100, 100)})
    assert incidents(project) == [("all", "", 5, "resolved")]
    assert [m["title"].split(" (")[0] for m in web.got] == ["Shop: CRITICAL Orders 110", "Shop: Recovered: Orders 200"]


def test_the_page_says_what_else_fails(project: Builder) -> None:
    make(project, GOOD, WHOLE % "", PART % "")
    grow(project, {**GOOD, 5: (100, 10)})
    found = board(project.open(), now=day(6))
    assert [item.title for item in found.firing] == ["Orders"]
    assert found.firing[0].why == "Also fires: b (rule shops)."
    states = {(row.rule, row.segment): row.state for row in read_state(project.open(), now=day(6)).standings}
    assert states[("shops", "b")] == states[("all", "")] == "firing" and states[("shops", "a")] == "ok"


def test_segments_without_their_parent_are_incidents_of_their_own(project: Builder) -> None:
    make(project, GOOD, WHOLE.replace("150", "10") % "", PART % "")
    grow(project, {**GOOD, 5: (10, 20)})
    assert incidents(project) == [("shops", "a", 5, "open"), ("shops", "b", 5, "open")]


def test_the_first_to_fail_stands_for_those_that_follow(project: Builder, web: Web) -> None:
    """The segment is told; the whole joins it, and is told alone once the segment holds again."""
    make(project, GOOD, WHOLE % "", PART % "", contacts=("team",), url=web.url)
    grow(project, {**GOOD, 5: (130, 40), 6: (60, 40), 7: (60, 60)})
    assert incidents(project) == [("all", "", 6, "open"), ("shops", "b", 5, "resolved")]
    assert [m["title"].split(" (")[0].removeprefix("Shop: ") for m in web.got] == [
        "CRITICAL Orders · b 40",
        "CRITICAL Orders 120",
    ]
    assert "Recovered: Orders · b 60" in web.got[1]["message"]
    project.sync(day(8, 5))
    evaluate(project.open(), now=day(8, 6))
    assert len(web.got) == 2, "and nobody hears of it twice"


def test_a_worse_segment_makes_the_incident_worse(project: Builder, web: Web) -> None:
    whole = '{name: all, thresholds: {warning: "< 150"}}'
    make(project, GOOD, whole, PART % "", contacts=("team",), url=web.url)
    grow(project, {**GOOD, 5: (70, 70), 6: (100, 20)})
    assert [m["title"].split(" Orders")[0] for m in web.got] == ["Shop: WARNING", "Shop: CRITICAL Now critical:"]
    assert incidents(project) == [("all", "", 5, "open")]


@pytest.mark.slow
def test_who_only_the_segments_rule_tells_hears_of_it_too(project: Builder, web: Web) -> None:
    part = PART % ", notify: [shops]"
    make(project, GOOD, WHOLE % "", part, contacts=("team", "shops"), url=web.url)
    grow(project, {**GOOD, 5: (100, 10), 6: (100, 100)})
    assert incidents(project) == [("all", "", 5, "resolved")]
    assert sorted(m["title"].split(" (")[0].removeprefix("Shop: ") for m in web.got) == [
        "CRITICAL Orders 110",
        "CRITICAL Orders · b 10",
        "Recovered: Orders 200",
        "Recovered: Orders · b 100",
    ]


@pytest.mark.slow
def test_a_silenced_parent_hides_no_segment(project: Builder, web: Web) -> None:
    make(project, GOOD, WHOLE % "", PART % "", contacts=("team",), url=web.url)
    grow(project, {**GOOD, 5: (70, 70)})
    silence(project.open(), "all", day(20), by="ana", now=day(6))
    grow(project, {**GOOD, 5: (70, 70), 6: (100, 10)})
    assert [m["title"].split(" (")[0].removeprefix("Shop: ") for m in web.got] == [
        "CRITICAL Orders 140",
        "CRITICAL Orders · b 10",
    ]


def test_what_fails_the_other_way_is_another_incident(project: Builder) -> None:
    make(project, GOOD, '{name: all, thresholds: {critical: "> 250"}}', PART % "")
    grow(project, {**GOOD, 5: (300, 10)})
    assert incidents(project) == [("all", "", 5, "open"), ("shops", "b", 5, "open")]


def test_the_past_is_told_once_too(project: Builder) -> None:
    values = {**GOOD, 1: (100.0, 10.0), 3: (40.0, 100.0), 4: (100.0, 20.0)}
    make(project, values, WHOLE % "", PART % "")
    project.sync(day(5))
    assert incidents(project) == [
        ("all", "", 1, "resolved"),
        ("all", "", 3, "open"),
    ]


def test_a_rule_that_begins_later_ends_what_was_before(project: Builder) -> None:
    make(project, GOOD, WHOLE % "")
    grow(project, {**GOOD, 5: (100, 10)})
    assert incidents(project) == [("all", "", 5, "open")]
    text = (project.folder / "kpis" / "k.yml").read_text()
    (project.folder / "kpis" / "k.yml").write_text(text.replace("name: all,", "name: all, since: 2026-11-08,"))
    evaluate(project.open(), now=day(6, 5))
    assert incidents(project) == [("all", "", 5, "rule_changed")]


@st.composite
def failures(draw: Any) -> Failing:
    opened, length = draw(st.integers(1, 12)), draw(st.integers(1, 6) | st.none())
    closed = None if length is None else pd.Timestamp(f"2026-01-{opened + length:02d}")
    kpi, segment, side = draw(st.sampled_from("km")), draw(st.sampled_from(["", "a", "b"])), draw(st.integers(-1, 1))
    return Failing(kpi, segment, pd.Timestamp(f"2026-01-{opened:02d}"), closed, side)


@sampled(fast=100, slow=500, full=5000)
@given(st.lists(failures(), max_size=9))
def test_groups_are_the_pairs_followed_to_their_end(found: list[Failing]) -> None:
    groups = together(found)
    assert sorted(itertools.chain(*groups)) == list(range(len(found)))
    linked: Any = np.eye(len(found), dtype=bool)
    for i, j in itertools.combinations(range(len(found)), 2):
        linked[i, j] = linked[j, i] = found[i].one_with(found[j])
    for _ in found:
        linked = linked | (linked @ linked)
    for group in groups:
        assert all(set(np.flatnonzero(linked[i])) == set(group) for i in group)
        assert [(found[i].opened, found[i].segment != "") for i in group] == sorted(
            (found[i].opened, found[i].segment != "") for i in group
        )
