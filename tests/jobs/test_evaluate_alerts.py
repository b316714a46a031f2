"""Evaluating, telling and acting on alerts, with a real web server that is told, over real syncs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from connectors.errors import DamagedData
from connectors.state import alerts as store
from jobs.alerts.evaluate import RuleJudgement, look
from jobs.alerts.incidents import acknowledge, mark, new_normal, read_state, silence, status_rows
from jobs.alerts.replay import replay
from metrics.alerts.machine import Kind, Standing, advance
from metrics.alerts.observe import observe
from metrics.alerts.rules import rules_of
from tests.conftest import Builder, evaluate, run_cli
from tests.jobs.conftest import GOOD, LOW, START, Web, day, events, make, messages, write

pytestmark = pytest.mark.breadth(3)


def test_one_message_when_it_fires_and_one_when_it_is_over(project: Builder, web: Web) -> None:
    make(project, GOOD, LOW, contact=web.url, more="url: https://kpi.example.com\n")
    project.sync(day(5))
    assert web.got == []
    write(project, {**GOOD, 5: 70})
    project.sync(day(6))
    assert [m["title"] for m in web.got] == ["Shop: WARNING Orders 70 (Fri 6 Nov)"]
    assert web.got[0]["message"].splitlines() == [
        "WARNING Orders 70 (Fri 6 Nov)",
        "Expected 80 or more.",
        "Owner: ana@example.com · rule k.low",
        "https://kpi.example.com/kpi?kpi=k&rule=low",
    ]
    project.sync(day(6, 2))
    evaluate(project.open(), now=day(6, 3))
    assert len(web.got) == 1, "the same period is told once"
    write(project, {**GOOD, 5: 70, 6: 60})
    project.sync(day(7))
    assert len(web.got) == 1, "and as long as it lasts"
    write(project, {**GOOD, 5: 70, 6: 60, 7: 10})
    project.sync(day(8))
    assert web.got[1]["title"].startswith("Shop: CRITICAL Now critical: Orders 10")
    write(project, {**GOOD, 5: 70, 6: 60, 7: 10, 8: 100})
    project.sync(day(9))
    assert [m["title"].split(" (")[0] for m in web.got[2:]] == ["Shop: Recovered: Orders 100"]
    assert events(project) == [("low", "resolved")]
    assert [m.status for m in messages(project)] == ["delivered"] * 3


def test_late_data_pages_nobody_again(project: Builder, web: Web) -> None:
    make(project, {**GOOD, 5: 10}, LOW, contact=web.url)
    project.sync(day(5))
    project.sync(day(6))
    assert len(web.got) == 1
    write(project, {**GOOD, 5: 100, 6: 100})
    project.sync(day(7))
    assert [m["title"].split(" (")[0] for m in web.got[1:]] == ["Shop: Withdrawn: Orders 100"]
    assert "Late data changed the values" in web.got[1]["message"]
    assert events(project) == [("low", "dissolved")]
    write(project, {**GOOD, 5: 10, 6: 100})
    project.sync(day(7, 3))
    assert len(web.got) == 2, "an old period that turns bad again is restated, not news"


def test_a_replay_of_every_generation_is_what_was_live(project: Builder) -> None:
    """Rows arrive late and change over many syncs; what the store holds is what replaying each generation gives."""
    random = np.random.default_rng(11)
    rule = '{name: low, thresholds: {critical: "< 50", warning: "< 80", warning_recovery: "> 85"}, for: 2}'
    values = {n: float(v) for n, v in enumerate(random.integers(20, 130, 4))}
    make(project, values, rule)
    for number in range(4, 16):
        values |= {number: float(random.integers(20, 130))}
        for late in random.integers(0, number, 2):
            values[int(late)] = float(random.integers(20, 130))
        write(project, values)
        project.sync(day(number + 1))
    opened = project.open()
    context = opened.context(day(17))
    found, standing, first = [], Standing(), True
    for generation in context.reader.generations():
        judged = observe(
            rules_of(context.catalogue.kpi("k"))[0], context.catalogue, context.reader, as_of=generation.id
        )[0]
        standing, new = advance(standing, judged)
        for event in new:
            if event.kind is Kind.OPENED:
                found.append([event.period, None, "open", first])
            elif event.kind in (Kind.RESOLVED, Kind.DISSOLVED):
                found[-1][1:3] = [event.period, str(event.kind)]
        first = False
    with opened.state.reading() as connection:
        kept_ones = sorted(store.history(connection), key=lambda item: (item.opened_period, item.id))
    live = [[i.opened_period, i.closed_period, i.closed_why or "open"] for i in kept_ones]
    assert live == [[a, b, c] for a, b, c, _ in sorted(found, key=lambda f: f[0])]
    assert len(live) >= 3 and {why for _, _, why in live} >= {"resolved"}


def test_a_message_says_where_the_change_sits_and_what_is_near(project: Builder, web: Web) -> None:
    make(project, GOOD, LOW, contact=web.url)
    rows = [(n, p, 10.0 if (n, p) == (5, "b") else 50.0) for n in range(6) for p in ("a", "b", "c")]
    at = [pd.Timestamp(START.date()) + pd.Timedelta(days=n, hours=12) for n, _, _ in rows]
    frame = pd.DataFrame({"at": at, "p": [p for _, p, _ in rows], "v": [v for _, _, v in rows]})
    frame.to_parquet(project.folder / "files" / "events.parquet")
    text = "name: events\nsource: events\ntime_dimension: at\nwatermark: whole_days\ndimensions: {shop: p}\n"
    project.write("datasets", "events", text)
    rule = '{name: low, compare: previous_period, thresholds: {critical: "< -20%"}, notify: [team]}'
    project.kpi("k", f"label: Orders\ndataset: events\nagg: sum\nexpr: v\nalerts: [{rule}]")
    project.write("launches", "checkout", "name: checkout\nlabel: New checkout\non: 2026-11-04\nkpis: [k]\n")
    project.sync(day(6))
    assert web.got[0]["message"].splitlines()[1:4] == [
        "Expected 120 or more (before 150).",
        "Shop b accounts for all of the change: 50 → 10.",
        "Nearby: launch New checkout, 2 days before.",
    ]


def test_what_was_before_the_first_look_is_recorded_and_told_to_nobody(project: Builder, web: Web) -> None:
    make(project, {**GOOD, 1: 10, 4: 20}, LOW, contact=web.url)
    project.sync(day(5))
    with project.open().state.reading() as connection:
        found = {item.opened_period.day: item for item in store.history(connection) if item.opened_period}
    assert found[2].replayed and found[2].closed_why == "resolved"
    assert not found[5].replayed and found[5].closed_at is None
    assert len(web.got) == 1 and "Orders 20" in web.got[0]["title"], "what is open now is told"


def test_reminders_wait_and_stop_when_somebody_looks_after_it(project: Builder, web: Web) -> None:
    make(project, {**GOOD, 5: 10}, LOW.replace("notify", "renotify_after: 1d, notify"), contact=web.url)
    project.sync(day(6))
    for hour in (2, 10, 23):
        evaluate(project.open(), now=day(6, hour))
    assert len(web.got) == 1
    evaluate(project.open(), now=day(7, 2))
    assert [m["title"].split(" (")[0] for m in web.got[1:]] == ["Shop: CRITICAL Still: Orders 10"]
    number = read_state(project.open(), now=day(7)).open[0].id
    assert acknowledge(project.open(), number, by="ben", now=day(7, 3)).ack_by == "ben"
    assert acknowledge(project.open(), number, by="cleo", now=day(7, 4)).ack_by == "ben", "the first one keeps it"
    evaluate(project.open(), now=day(12))
    assert len(web.got) == 2


def test_a_silence_holds_back_and_ends(project: Builder, web: Web) -> None:
    make(project, GOOD, LOW, contact=web.url)
    project.sync(day(5))
    silence(project.open(), "low", day(8), by="ana", now=day(5))
    write(project, {**GOOD, 5: 10})
    project.sync(day(6))
    assert web.got == [] and events(project) == [("low", "open")]
    assert status_rows(project.open(), now=day(6))[0]["silenced_until"] == "2026-11-09T01:00:00Z"
    evaluate(project.open(), now=day(8, 5))
    assert len(web.got) == 1, "what still fires after the silence is told then"


def test_a_new_normal_ends_an_incident_and_starts_the_range_there(project: Builder) -> None:
    values = {n: 1000.0 + (n * 37) % 21 for n in range(-90, 0)}
    make(project, values, "{name: odd, compare: expected_range}")
    project.sync(day(0))
    shifted = {**values, **{n: 1500.0 + (n * 37) % 21 for n in range(3)}}
    write(project, shifted)
    project.sync(day(3))
    state = read_state(project.open(), now=day(3))
    assert [i.closed_at for i in state.open] == [None]
    new_normal(project.open(), state.open[0].id, by="ana", now=day(3))
    write(project, {**shifted, **{n: 1500.0 + (n * 37) % 21 for n in range(3, 8)}})
    project.sync(day(8))
    assert [row.state for row in read_state(project.open(), now=day(8)).standings] == ["ok"]
    assert [why for _, why in events(project)][-1] == "new_normal"
    late = [r for r in replay(project.open(), "k") if r["period"] > "2026-11-03"]
    assert late == [] or [r["event"] for r in late] == ["resolved"], "a replay knows what people called normal"


def test_marks_are_counted_per_rule(project: Builder) -> None:
    make(project, {**GOOD, 5: 10}, LOW)
    project.sync(day(6))
    number = read_state(project.open(), now=day(6)).open[0].id
    mark(project.open(), number, "noise", by="ana", now=day(3))
    mark(project.open(), number, "useful", by="ana", now=day(3))
    assert read_state(project.open(), now=day(6)).marks == (("k.low", 1, 0),)


def test_a_late_source_is_one_incident_and_its_kpis_wait(project: Builder, web: Web) -> None:
    make(project, GOOD, LOW, contact=web.url, more="operators: [team]\n")
    for number in range(3):
        project.kpi(
            f"more_{number}",
            f'label: More {number}\ndataset: events\nagg: count\nthresholds: {{critical: "< {number}"}}',
        )
    project.sync(day(5))
    (project.folder / "files" / "events.parquet").rename(project.folder / "away.parquet")
    project.sync(day(6))
    project.sync(day(7))
    assert [m["title"] for m in web.got] == ["Shop: Data is late: events"]
    assert "Waiting for it: More 0, More 1, More 2, Orders." in web.got[0]["message"]
    rows = status_rows(project.open(), now=day(7))
    assert {(r["kpi"], r["state"]) for r in rows if r["kpi"]} == {
        (k, "stale") for k in ("k", "more_0", "more_1", "more_2")
    }
    assert [(r["rule"], r["segment"], r["state"]) for r in rows if not r["kpi"]] == [("freshness", "events", "firing")]
    (project.folder / "away.parquet").rename(project.folder / "files" / "events.parquet")
    project.sync(day(7, 5))
    assert [m["title"] for m in web.got[1:]] == ["Shop: Data is back: events"]


def test_incidents_of_one_evaluation_are_one_message_per_contact(project: Builder, web: Web) -> None:
    make(project, {**GOOD, 5: 10}, LOW, contact=web.url)
    project.kpi("j", f"label: Other\ndataset: events\nagg: sum\nexpr: v\nalerts: [{LOW.replace('50', '5')}]")
    project.sync(day(6))
    assert len(web.got) == 1
    assert web.got[0]["title"] == "Shop: CRITICAL Orders 10 (Fri 6 Nov), and 1 more"
    assert "WARNING Other 10" in web.got[0]["message"]


def test_the_commands(project: Builder, web: Web) -> None:
    make(project, {**GOOD, 5: 10}, LOW, contact=web.url)
    project.sync(day(6))
    folder, now = ["--project", str(project.folder)], ["--now", "2026-11-07T01:00:00Z"]
    status = json.loads(run_cli("alerts", "status", "--json", *folder, *now, check=True).stdout)
    assert status == [
        {
            "rule": "low",
            "kpi": "k",
            "segment": None,
            "state": "firing",
            "severity": "critical",
            "value": 10.0,
            "threshold": 50.0,
            "since": "2026-11-06T00:00:00Z",
            "silenced_until": None,
        }
    ]
    history = json.loads(run_cli("alerts", "history", "--json", *folder, *now, check=True).stdout)
    assert [(set(h), h["closed"], h["peak"], h["ack_by"]) for h in history] == [
        ({"incident", "rule", "kpi", "segment", "opened", "closed", "peak", "ack_by"}, None, 10.0, None)
    ]
    assert run_cli("alerts", "evaluate", "--fail-on", "critical", *folder, *now).returncode == 1
    number = str(history[0]["incident"])
    assert (
        run_cli("alerts", "ack", number, "--by", "ana", *folder, *now, check=True).stdout.strip().endswith("with ana")
    )
    assert run_cli("alerts", "silence", "low", "--until", "3d", *folder, *now, check=True).stdout.strip() == (
        "k.low is silent until 2026-11-10T01:00:00Z"
    )
    assert run_cli("alerts", "evaluate", "--fail-on", "warning", *folder, *now).returncode == 0, (
        "a silenced one fails nothing"
    )
    assert run_cli("alerts", "test", "team", *folder, check=True).stdout.strip() == "team: delivered"
    assert web.got[-1]["title"] == "Shop: a test"
    replayed = json.loads(run_cli("alerts", "replay", "k", "--json", *folder, check=True).stdout)
    assert [(r["event"], r["period"], r["expected"]) for r in replayed] == [("opened", "2026-11-06", [80.0, None])]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("ack", "99"), "no incident 99"),
        (("silence", "lwo", "--until", "3d"), "Did you mean 'low'?"),
        (("test", "tea"), "Known: team"),
        (("replay", "k", "--rule", "x"), "unknown rule 'x'"),
        (("silence", "low", "--until", "3d", "--segment", "x"), "unknown segment 'x'"),
    ],
)
def test_wrong_names_are_told(project: Builder, web: Web, arguments: tuple[str, ...], says: str) -> None:
    make(project, GOOD, LOW, contact=web.url)
    project.sync(day(5))
    done = run_cli("alerts", *arguments, "--project", str(project.folder))
    assert done.returncode == 1 and says in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


def test_a_rule_that_goes_takes_its_incident_along(project: Builder, web: Web) -> None:
    make(project, {**GOOD, 5: 10}, LOW, contact=web.url)
    project.sync(day(6))
    project.kpi("k", "label: Orders\ndataset: events\nagg: sum\nexpr: v")
    evaluate(project.open(), now=day(6, 5))
    assert events(project) == [("low", "rule_gone")]
    assert status_rows(project.open(), now=day(6)) == []


def test_a_loosened_rule_closes_what_it_would_not_have_opened(project: Builder) -> None:
    make(project, {**GOOD, 5: 45}, LOW)
    project.sync(day(6))
    make(project, {**GOOD, 5: 45}, LOW.replace("50", "20").replace("80", "30"))
    evaluate(project.open(), now=day(6, 5))
    assert events(project) == [("low", "rule_changed")]


def test_a_rule_that_cannot_be_computed_says_so_and_stops_nobody(project: Builder) -> None:
    make(project, {**GOOD, 5: 10}, LOW)
    project.kpi(
        "j", "dataset: events\nagg: sum\nexpr: v\nalerts: [{name: x, by: [nowhere], thresholds: {critical: '< 5'}}]"
    )
    project.sync(day(6))
    assert events(project) == [("low", "open")]


def test_a_segment_that_is_gone_and_a_table_that_is_emptied_close_quietly(project: Builder, web: Web) -> None:
    make(project, GOOD, LOW, contact=web.url)
    at = [pd.Timestamp(START.date()) + pd.Timedelta(days=n, hours=12) for n in range(5) for _ in "ab"]
    frame = pd.DataFrame({"at": at, "p": ["a", "b"] * 5, "v": [100.0] * 9 + [1.0]})
    frame.to_parquet(project.folder / "files" / "events.parquet")
    text = "name: events\nsource: events\ntime_dimension: at\nwatermark: whole_days\ndimensions: {p: p}\n"
    project.write("datasets", "events", text)
    project.kpi("k", f"dataset: events\nagg: sum\nexpr: v\nalerts: [{LOW[:-1]}, by: [p]}}]")
    project.sync(day(5))
    assert events(project) == [("low", "open")]
    frame[frame["p"] == "a"].to_parquet(project.folder / "files" / "events.parquet")
    project.sync(day(5, 2))
    assert events(project) == [("low", "rule_gone")]
    frame.head(0).to_parquet(project.folder / "files" / "events.parquet")
    assert "alerts were not" not in str(project.sync(day(5, 3)).alerts)
    assert "alerts were not" not in str(project.sync(day(5, 4)).alerts)


def test_an_evaluator_that_still_reads_an_older_generation_changes_nothing(
    project: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(project, {**GOOD, 5: 10}, LOW)
    project.sync(day(6))

    def slowly(*arguments: Any) -> list[RuleJudgement]:
        """While it looks, a sync publishes what mends the day, and evaluates it."""
        monkeypatch.setattr("jobs.alerts.evaluate.look", look)
        found = look(*arguments)
        write(project, {**GOOD, 5: 100})
        project.sync(day(6, 3))
        return found

    monkeypatch.setattr("jobs.alerts.evaluate.look", slowly)
    evaluate(project.open(), now=day(6, 2))
    assert events(project) == [("low", "dissolved")]


def test_generations_that_start_anew_are_judged(project: Builder) -> None:
    """Somebody deletes the generations and syncs again; incidents stay and go on."""
    make(project, {**GOOD, 5: 10}, LOW)
    for hour in (1, 2, 3):
        write(project, {**GOOD, 5: 10 + hour})
        project.sync(day(6, hour))
    for path in [project.open().data / "live", *(project.open().data / "generations").glob("*")]:
        path.unlink()
    write(project, {**GOOD, 5: 10, 6: 100})
    with pytest.raises(DamagedData, match="the generations are gone"):
        project.sync(day(7))
    project.sync(day(7), anew=True)
    assert events(project) == [("low", "resolved")]
