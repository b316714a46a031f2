"""Programs that are told: a real receiver gets what is signed, of each kind once, whatever dies or hangs on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from connectors.clock import utc_now
from jobs.alerts.board import board
from jobs.alerts.incident_events import tell_undone
from jobs.alerts.incidents import acknowledge, history_rows, mark, new_normal, read_state, silence, status_rows
from jobs.outbox.deliver import GIVE_UP
from jobs.project.undo import Scope, undoable
from jobs.snapshots.archived import list_rows
from tests.alerts.receiver import KEY, SECRET, Receiver, receiving
from tests.conftest import ROOT, Builder, deliver, evaluate, run_cli
from tests.jobs.conftest import GOOD, day, make, messages, write
from tests.launches.conftest import LAUNCH, WEB, acts, launch, product
from tests.launches.conftest import day as launch_day
from tests.snapshots.conftest import END, NOW, orders, shop_of
from tests.snapshots.conftest import write as write_orders

pytestmark = pytest.mark.breadth(2)
LOW = '{name: low, thresholds: {critical: "< 50", warning: "< 80"}}'
DAY = pd.Timedelta(days=1)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """No call waits for what is due in some seconds."""
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    monkeypatch.setattr("jobs.outbox.deliver.PATIENCE_SECONDS", 0.2)
    with receiving() as found:
        yield found
    assert found.refused == []


def later(project: Builder, days: float = 1.0) -> None:
    """What waits is sent some days later."""
    deliver(project.open(), clock=lambda: utc_now() + timedelta(days=days))


def numbers(receiver: Receiver) -> list[str]:
    return [event["id"] for event in receiver.got]


def test_an_incident_is_told_from_its_opening_to_its_end(project: Builder, receiver: Receiver) -> None:
    more = f"url: https://kpi.example.com\n{receiver.settings()}"
    make(project, {**GOOD, 5: 70}, LOW, more=more)
    project.sync(day(6))
    assert receiver.types == ["incident.opened"]
    assert board(project.open(), now=day(6)).untold.startswith("Only webhooks are notified")
    opened = receiver.got[0]
    assert opened["timestamp"] == day(6).strftime("%Y-%m-%dT%H:%M:%SZ")
    (row,), (stands,) = history_rows(project.open()), status_rows(project.open(), now=day(6))
    assert {key: opened["data"][key] for key in row} == row
    assert {key: opened["data"][key] for key in stands} == stands
    assert opened["data"]["severity"] == "warning" and opened["data"]["value"] == 70
    assert opened["data"]["url"] == "https://kpi.example.com/kpi?kpi=k"
    write(project, {**GOOD, 5: 70, 6: 10})
    project.sync(day(7))
    assert receiver.types[1:] == ["incident.escalated"] and receiver.got[1]["data"]["severity"] == "critical"
    number = row["incident"]
    undo = undoable(
        project.open(),
        "Acknowledged.",
        [Scope("alert_incidents", (("id", number),))],
        lambda: acknowledge(project.open(), number, by="ana", now=day(7, 2)),
    )
    acknowledge(project.open(), number, by="ben", now=day(7, 2))  # the first name stays: nothing happened
    mark(project.open(), number, "useful", by="ana", now=day(7, 2))
    project.open()
    with pytest.raises(Exception, match="changed again"):
        undo.apply(project.open(), by="ana", now=day(7, 2))
    silence(project.open(), "k.low", day(9), by="ana", now=day(7, 3))
    deliver(project.open())
    assert receiver.types[2:] == ["incident.acknowledged", "incident.silenced"]
    assert receiver.got[2]["data"]["ack_by"] == "ana"
    assert receiver.got[3]["data"]["silenced_until"] == day(9).strftime("%Y-%m-%dT%H:%M:%SZ")
    write(project, {**GOOD, 5: 70, 6: 10, 7: 100})
    project.sync(day(8))
    assert receiver.types[4:] == ["incident.resolved"], "a silence is for people"
    ended = receiver.got[4]["data"]
    assert ended["closed_why"] == "resolved" and ended["closed"] and ended["state"] == "ok" and ended["peak"] == 10
    assert {event["data"]["incident"] for event in receiver.got} == {number}
    assert len(set(numbers(receiver))) == 5
    project.sync(day(8, 5))
    evaluate(project.open(), now=day(8, 6))
    later(project)
    assert len(receiver.got) == 5, "nothing twice"


def test_what_is_taken_back_and_what_is_normal_now_is_told(project: Builder, receiver: Receiver) -> None:
    make(project, {**GOOD, 5: 10}, LOW, more=receiver.settings())
    project.sync(day(6))
    undo = undoable(
        project.open(),
        "Silent.",
        [Scope("alert_silences", (("rule_key", "k.low"), ("segment", None)))],
        lambda: silence(project.open(), "k.low", day(9), by="ana", now=day(6, 2)),
    )
    opened = project.open()
    undo.apply(
        opened, by="ana", now=day(6, 3), then=lambda connection, made: tell_undone(opened, day(6, 3), connection, made)
    )
    new_normal(project.open(), 1, by="ana", now=day(6, 4))
    deliver(project.open())
    assert receiver.types == ["incident.opened", "incident.silenced", "incident.changed", "incident.resolved"]
    assert [event["data"]["silenced_until"] is None for event in receiver.got] == [True, False, True, True]
    assert receiver.got[3]["data"]["closed_why"] == "new_normal"


def test_the_past_and_what_no_one_asked_for_are_not_told(project: Builder, receiver: Receiver) -> None:
    """Of a rule that is new, what was over before it was looked at; of kinds that a webhook does not name, nothing."""
    make(project, {**GOOD, 5: 10, 6: 100, 7: 100}, LOW, more=receiver.settings())
    project.sync(day(8))
    assert len(history_rows(project.open())) == 1 and receiver.got == []
    make(project, {**GOOD, 5: 10, 6: 100, 7: 100, 8: 10}, LOW, more=receiver.settings(", events: [verdict, snapshot]"))
    project.sync(day(9))
    assert len(history_rows(project.open())) == 2 and receiver.got == [] and messages(project) == []


def test_a_late_source_is_an_incident_of_no_kpi(project: Builder, receiver: Receiver) -> None:
    make(project, GOOD, LOW, more=receiver.settings())
    project.sync(day(5))
    (project.folder / "files" / "events.parquet").rename(project.folder / "away.parquet")
    project.sync(day(6))
    (project.folder / "away.parquet").rename(project.folder / "files" / "events.parquet")
    project.sync(day(6, 5))
    said = [(one["type"], *(one["data"][key] for key in ("kpi", "rule", "segment", "state"))) for one in receiver.got]
    assert said == [
        ("incident.opened", None, "freshness", "events", "firing"),
        ("incident.resolved", None, "freshness", "events", "ok"),
    ]


def test_each_kind_by_a_sync_of_the_command(project: Builder, receiver: Receiver) -> None:
    """An incident, verdicts, a week, and what restates it: each by `kpi sync` in the order in which it happens."""
    shop_of(project, settings=f"url: https://kpi.example.com\n{receiver.settings()}")
    write_orders(project, orders(END, start=END - 21 * DAY))
    project.kpi(
        "orders", "label: Orders\ndataset: orders\nowner: ana\nagg: count\ngrain: day\nthresholds: {critical: '< 90'}"
    )
    project.write("launches", "shop", "name: shop\nlabel: Shop\non: 2026-11-05\nsuccess: [{kpi: orders}]\n")

    def synced(hours: int) -> list[dict[str, Any]]:
        before, at = len(receiver.got), NOW + timedelta(hours=hours)
        run_cli("sync", "--project", str(project.folder), "--now", at.isoformat(), check=True)
        return receiver.got[before:]

    first = synced(0)
    assert sorted({event["type"] for event in first}) == ["incident.opened", "snapshot.taken", "verdict.published"]
    taken = [event["data"] for event in first if event["type"] == "snapshot.taken"]
    listed = list_rows(project.open())
    assert [{key: one[key] for key in listed[0]} for one in reversed(taken)] == listed
    assert taken[-1]["url"] == "https://kpi.example.com/snapshots?snapshot=weekly&revision=1&week=2026-W46"
    assert taken[-1]["api"] == "https://kpi.example.com/api/v1/snapshots/2026-W46?snapshot=weekly&revision=1"
    (verdict,) = [event["data"] for event in first if event["type"] == "verdict.published"]
    shown = json.loads(run_cli("launch", "show", "shop", "--json", "--project", str(project.folder)).stdout)
    reading = shown["kpis"][0]["readings"][0]
    assert all(verdict[key] == value for key, value in reading.items() if key != "restated")
    assert (verdict["launch"], verdict["days"]) == ("shop", 7)
    assert synced(1) == []
    rows = orders(END, start=END - 21 * DAY)
    more = rows[rows["at"] >= END - DAY].head(3)
    write_orders(project, pd.concat([rows, more], ignore_index=True))
    found = synced(2)
    assert {event["type"] for event in found} == {"restatement.found"}
    last = found[-1]["data"]
    diff = json.loads(run_cli("snapshot", "diff", "--json", "--project", str(project.folder)).stdout)
    assert last["week"] == "2026-W46" and last["rows"] == diff and {row["cause"] for row in diff} == {"late data"}
    assert last["live"] != last["generation"]
    assert synced(3) == [], "once for what is different"
    write_orders(project, rows)
    assert [event["data"]["rows"] for event in synced(4)] == [[]] * len(found), "and once when it is as it was"
    assert synced(5) == [] and len(set(numbers(receiver))) == len(receiver.got)


def test_a_week_that_is_taken_again_is_another_revision(project: Builder, receiver: Receiver) -> None:
    shop_of(project, settings=receiver.settings(", events: snapshot"), snapshot="")
    write_orders(project, orders(END, start=END - 21 * DAY))
    project.sync(NOW)
    run_cli("snapshot", "take", "--week", "2026-W46", "--project", str(project.folder), check=True)
    run_cli("snapshot", "take", "--week", "2026-W46", "--project", str(project.folder), check=True)
    later(project)
    assert [(one["type"], one["data"]["revision"]) for one in receiver.got] == [
        ("snapshot.taken", 1),
        ("snapshot.taken", 2),
    ]


def test_verdicts_of_long_ago_are_told_to_programs(project: Builder, receiver: Receiver) -> None:
    product(project, acts(LAUNCH + 60 * DAY), settings=receiver.settings())
    launch(project, WEB)
    project.sync(launch_day(60))
    assert [event["data"]["days"] for event in receiver.got] == [7, 14, 28]


@pytest.mark.parametrize(
    "answer", [500, 503, 404, (302, {"Location": "http://127.0.0.1:9/"}), "garbage", "many headers"]
)
def test_what_is_not_taken_is_sent_again_under_the_same_number(
    project: Builder, receiver: Receiver, answer: Any
) -> None:
    receiver.answers = [answer, answer]
    make(project, {**GOOD, 5: 10}, LOW, more=receiver.settings())
    project.sync(day(6))
    (message,) = messages(project)
    assert message.status == "pending" and message.error and KEY not in message.error
    later(project)
    later(project, 2)
    assert receiver.types == ["incident.opened"] * 3 and len(set(numbers(receiver))) == 1
    assert [message.status for message in messages(project)] == ["delivered"]


def test_who_wants_no_more_is_not_asked_again_and_who_asks_to_wait_is_waited_for(
    project: Builder, receiver: Receiver
) -> None:
    receiver.answers = [410]
    make(project, {**GOOD, 5: 10}, LOW, more=receiver.settings())
    project.sync(day(6))
    assert [(m.status, m.attempts, m.error) for m in messages(project)] == [("failed", 1, "it answered 410 Gone")]
    receiver.answers = [(429, {"Retry-After": "7200"})]
    acknowledge(project.open(), 1, by="ana", now=day(6, 2))
    deliver(project.open())
    later(project, 1.9 / 24)
    assert len(receiver.got) == 2
    later(project, 2.1 / 24)
    assert [m.status for m in messages(project)] == ["failed", "delivered"] and len(receiver.got) == 3


def test_who_never_answers_is_given_up_after_days(project: Builder, receiver: Receiver) -> None:
    receiver.answers = [500] * 9
    make(project, {**GOOD, 5: 10}, LOW, more=receiver.settings())
    project.sync(day(6))
    later(project, GIVE_UP.days + 1)
    assert [m.status for m in messages(project)] == ["failed"]
    assert [c.name for c in read_state(project.open(), now=day(7)).contacts if c.dead] == ["program"]
    doctor = json.loads(run_cli("doctor", "--json", "--project", str(project.folder)).stdout)
    assert "program: it answered 500" in json.dumps(doctor)


def test_one_that_hangs_holds_up_no_other(
    project: Builder, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its further events wait for the next call; what goes to others is sent."""
    monkeypatch.setattr("jobs.outbox.deliver.SLOW_SECONDS", 0.2)
    monkeypatch.setattr("connectors.channels.webhook.LIMIT_SECONDS", 1.5)
    with receiving() as other:
        more = receiver.settings().replace(
            "outbound_hosts", f"  - {{name: other, url: '{other.url}', secret: '${{HOOK_SECRET}}'}}\noutbound_hosts"
        )
        receiver.answers = ["hang", "hang"]
        make(project, {**GOOD, 5: 10}, LOW, more=more)
        project.sync(day(6))
        acknowledge(project.open(), 1, by="ana", now=day(6, 2))
        deliver(project.open(), clock=lambda: utc_now() + timedelta(hours=1))
        assert other.types == ["incident.opened", "incident.acknowledged"] and other.refused == []
    assert receiver.types == ["incident.opened"] * 2
    waiting = {(m.event, m.attempts) for m in messages(project) if m.status == "pending"}
    assert waiting == {("incident.opened", 2), ("incident.acknowledged", 0)}


KILLED = """
import os, signal, sys
from datetime import datetime
from connectors.channels import webhook
real = webhook.WebhookChannel.send
def die(*arguments, **options):
    if {after}: real(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
webhook.WebhookChannel.send = die
from jobs.project.project import open_project
from jobs.snapshots.message import dressed
from jobs.alerts.evaluate import evaluate
evaluate(open_project({folder!r}), now=datetime.fromisoformat({now!r}), render=dressed)
"""


@pytest.mark.parametrize("after", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_sender_that_is_killed_loses_nothing(project: Builder, receiver: Receiver, after: bool) -> None:
    """Between what is kept and what is sent, and between what was sent and what is known of it; each time again."""
    make(project, GOOD, "", more=receiver.settings())
    project.kpi("k", "label: Orders\ndataset: events\nagg: sum\nexpr: v\nowner: ana@example.com")
    project.sync(day(5))
    make(project, {**GOOD, 5: 10}, LOW, more=receiver.settings(", events: [verdict]"))
    project.sync(day(6))
    make(project, {**GOOD, 5: 10}, LOW.replace("low", "lower"), more=receiver.settings())
    code = KILLED.format(after=after, folder=str(project.folder), now=day(6, 2).isoformat())
    for _ in range(3):
        died = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, env=dict(os.environ)
        )
        assert died.returncode == -signal.SIGKILL, died.stderr
    for days in (1, 2, 2.5):
        later(project, days)
    assert set(receiver.types) == {"incident.opened", "incident.resolved"}
    kept = [m for m in messages(project) if m.event]
    assert {m.status for m in kept} == {"delivered"}
    assert len(set(numbers(receiver))) == len(kept) == 2
    assert len(receiver.got) > 2 or not after, "a repeat has the number of the first"


def test_two_at_a_time_tell_once(project: Builder, receiver: Receiver) -> None:
    make(project, {**GOOD, 5: 10}, LOW, more=receiver.settings(", events: [verdict]"))
    project.sync(day(6))
    write(project, {**GOOD, 5: 10, 6: 100})
    make(project, {**GOOD, 5: 10, 6: 100}, LOW, more=receiver.settings())
    command = [sys.executable, "-m", "cli", "sync", "--project", str(project.folder), "--now", day(7).isoformat()]
    running = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in "ab"]
    receiver.now = day(7)
    for one in running:
        one.wait()
    receiver.now = None
    later(project)
    assert receiver.types == ["incident.resolved"]


def test_a_webhook_that_is_gone_gives_its_messages_to_no_other(project: Builder, receiver: Receiver) -> None:
    receiver.answers = [500]
    make(project, {**GOOD, 5: 10}, LOW, more=receiver.settings())
    project.sync(day(6))
    with receiving() as default:
        points = f"contact_points: [{{name: default, url: 'json://127.0.0.1:{default.port}/'}}]\n"
        make(project, {**GOOD, 5: 10}, LOW, more=points)
        later(project)
        assert default.got == [] and default.refused == []
    assert messages(project)[0].error == "webhook 'program' is no longer in settings.yml"


def test_a_test_event_is_sent_by_the_command(
    project: Builder, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(project, GOOD, LOW, more=receiver.settings())

    def tested() -> subprocess.CompletedProcess[str]:
        return run_cli("alerts", "test", "program", "--project", str(project.folder))

    assert tested().stdout == "program: delivered\n" and receiver.types == ["test"]
    assert receiver.got[0]["data"] == {"project": "Shop", "url": None}
    receiver.answers = [401]
    failed = tested()
    assert failed.returncode == 1 and "not delivered: it answered 401 Unauthorized" in failed.stderr
    monkeypatch.delenv("HOOK_SECRET")
    missing = tested()
    assert missing.returncode == 1 and "environment variable HOOK_SECRET is not set" in missing.stderr
    monkeypatch.setenv("HOOK_SECRET", "short-and-sweet")
    short = tested()
    assert "shorter than 24 letters" in short.stderr and "short-and-sweet" not in short.stderr
    project.settings(f"name: Shop\n{receiver.settings().replace('outbound_hosts: [127.0.0.1]', '')}")
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    assert tested().returncode == 1, "this machine is not listed"


ROLES = """sign_in: true
roles:
  - {name: boss, members: ["group:boss"], base: admin}
  - {name: de, members: ["group:de"], base: viewer, row_filters: {country: DE}, hidden_kpis: [margin]}
"""


def test_a_role_gets_what_it_sees_and_nothing_else(project: Builder, receiver: Receiver) -> None:
    """Of segments within its rows; no totals, no hidden KPIs, no late sources, no week taken for others."""
    with receiving() as german:
        hook = f"  - {{name: german, url: '{german.url}', secret: '${{HOOK_SECRET}}', role: de}}\noutbound_hosts"
        project.settings(f"timezone: UTC\nname: Shop\n{ROLES}{receiver.settings().replace('outbound_hosts', hook)}")
        at = pd.to_datetime([f"2026-11-{d:02} 12:00" for d in range(2, 9) for _ in "ab"])
        frame = pd.DataFrame({"at": at, "country": ["DE", "FR"] * 7, "v": [10.0] * 12 + [1.0, 2.0]})
        project.rows("t", frame, watermark="whole_days", dimensions="[country]")
        own = "dataset: t\nagg: sum\nexpr: v\nowner: ana\n"
        each = '{name: each, thresholds: {critical: "< 5"}, by: [country]}'
        project.kpi("total", f'{own}alerts:\n  - {{name: all, thresholds: {{critical: "< 15"}}}}')
        project.kpi("each", f"{own}alerts:\n  - {each}")
        project.kpi("margin", f"{own}alerts:\n  - {each}")
        both = f'{{name: all, thresholds: {{critical: "< 15"}}}}\n  - {each}'
        project.kpi("both", f"{own}alerts:\n  - {both}")
        (project.folder / "snapshots").mkdir()
        project.write("snapshots", "weekly", "name: weekly\n")
        project.write("snapshots", "german", "name: german\nrole: de\n")
        project.sync(pd.Timestamp("2026-11-09 03:00", tz="UTC").to_pydatetime())
        said = [(one["type"], one["data"].get("kpi"), one["data"].get("segment")) for one in german.got]
        assert sorted(one for one in said if one[0].startswith("incident")) == [
            ("incident.opened", "both", "DE"),  # which the incident of the whole stands for
            ("incident.opened", "each", "DE"),
        ]
        weeks = [one["data"]["snapshot"] for one in german.got if one["type"] == "snapshot.taken"]
        assert set(weeks) == {"german"}
        assert "FR" not in json.dumps(german.got) and "margin" not in json.dumps(german.got)
    everything = {(one["data"].get("kpi"), one["data"].get("segment")) for one in receiver.got}
    assert {("total", None), ("each", "FR"), ("margin", "DE"), ("both", None)} <= everything
    assert ("both", "DE") not in everything
    assert {one["data"]["snapshot"] for one in receiver.got if one["type"] == "snapshot.taken"} >= {"weekly"}


def test_what_is_not_set_or_cannot_sign_is_told_and_what_happens_waits(
    project: Builder, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOOK_SECRET")
    make(project, {**GOOD, 5: 10}, LOW, more=receiver.settings())
    project.sync(day(6))
    assert [m.error for m in messages(project)] == ["environment variable HOOK_SECRET is not set"]
    assert "secret" not in run_cli("validate", "--project", str(project.folder)).stdout, "of who writes a KPI"
    monkeypatch.setenv("HOOK_SECRET", "short-and-sweet")
    told = run_cli("validate", "--project", str(project.folder)).stdout
    assert "settings.yml:4: warning: ${HOOK_SECRET}: the secret is shorter than 24 letters [wrong_value]" in told
    monkeypatch.delenv("HOOK_SECRET")
    later(project)
    doctor = run_cli("doctor", "--project", str(project.folder)).stdout
    assert "program: environment variable HOOK_SECRET is not set" in doctor
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    later(project, 2)
    assert receiver.types == ["incident.opened"]


def test_a_secret_is_in_nothing_that_is_written(project: Builder, receiver: Receiver) -> None:
    receiver.answers = [500]
    make(project, {**GOOD, 5: 10}, LOW, more=receiver.settings().replace("${HOOK_SECRET}", SECRET))
    done = run_cli("sync", "--project", str(project.folder), "--now", day(6).isoformat())
    told = run_cli("validate", "--project", str(project.folder))
    texts = [done.stdout, done.stderr, told.stdout, told.stderr]
    texts += [m.error for m in messages(project)] + [repr(project.open().settings)]
    assert not [text for text in texts if SECRET in text or KEY in text]
    assert "settings.yml:4: warning: the secret is written out [secret]" in told.stdout
