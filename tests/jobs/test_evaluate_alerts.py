"""Evaluating, telling and acting on alerts: real HTTP and SMTP servers, killed processes, evaluators side by side."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from aiosmtpd.controller import Controller

from connectors.channels.by_apprise import AppriseChannel
from connectors.channels.contract import Message, Outcome
from connectors.state import alerts as kept
from jobs.alerts import acknowledge, contacts_of, mark, new_normal, read_state, silence, status_rows
from jobs.deliver import GIVE_UP, deliver
from jobs.evaluate_alerts import Looked, evaluate, look
from jobs.project import Project
from metrics.alerts.machine import Kind, Standing, advance
from metrics.alerts.observe import observe
from metrics.alerts.rules import rules_of
from tests.conftest import ROOT, Builder, run_cli

START = datetime(2026, 11, 1, tzinfo=UTC)


def day(number: int, hour: int = 1) -> datetime:
    return START + timedelta(days=number, hours=hour)


@dataclass
class Web:
    """A real HTTP server: what it was sent, and how it answers next."""

    got: list[dict[str, Any]] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)  # status codes, "hang" or "cut"; then 200
    port: int = 0

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}/hook-secret-token?rto=2"


@pytest.fixture
def web() -> Iterator[Web]:
    state = Web()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.got.append(body)
            answer = state.answers.pop(0) if state.answers else 200
            if answer == "hang":
                time.sleep(6)
            elif answer == "cut":
                self.connection.close()
            else:
                self.send_response(answer)
                self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()


def make(project: Builder, values: dict[int, float], rule: str, *, contact: str = "", more: str = "") -> None:
    """One row a day at noon; the KPI's owner is ana@example.com."""
    points = f"contact_points: [{{name: team, url: '{contact}'}}]\n" if contact else ""
    project.settings(f"timezone: UTC\nname: Shop\n{points}{more}")
    write(project, values)
    project.kpi("k", f"label: Orders\ndataset: events\nagg: sum\nexpr: v\nowner: ana@example.com\nalerts:\n  - {rule}")
    if not (project.folder / "sources.yml").exists():
        project.source("- {name: events, type: files, table: events, path: files/events.parquet, load: replace}")
        project.write("datasets", "events", "name: events\nsource: events\ntime_dimension: at\nwatermark: whole_days\n")


def write(project: Builder, values: dict[int, float]) -> None:
    days = [pd.Timestamp(START.date()) + pd.Timedelta(days=n, hours=12) for n in values]
    pd.DataFrame({"at": days, "v": list(values.values())}).to_parquet(project.folder / "files" / "events.parquet")


def events(project: Builder) -> list[tuple[str, str]]:
    with project.open().state.reading() as connection:
        found = kept.history(connection)
    return [(item.rule, item.closed_why or "open") for item in reversed(found)]


def messages(project: Builder) -> list[kept.Delivery]:
    with project.open().state.reading() as connection:
        return list(reversed(kept.deliveries(connection)))


GOOD = dict.fromkeys(range(5), 100.0)
LOW = '{name: low, thresholds: {critical: "< 50", warning: "< 80"}, notify: [team]}'


def test_one_message_when_it_fires_and_one_when_it_is_over(project: Builder, web: Web) -> None:
    make(project, GOOD, LOW, contact=web.url, more="url: https://kpi.example.com\n")
    project.sync(day(5))
    assert web.got == []
    write(project, {**GOOD, 5: 70})
    project.sync(day(6))
    assert [m["title"] for m in web.got] == ["Shop: WARNING Orders 70 (Fri 6 Nov)"]
    assert web.got[0]["message"].splitlines() == [
        "WARNING Orders 70 (Fri 6 Nov)", "Expected 80 or more.", "Owner: ana@example.com · rule k.low",
        "https://kpi.example.com/kpi?kpi=k&rule=low",
    ]  # fmt: skip
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
    world = opened.world(day(17))
    found, standing, first = [], Standing(), True
    for generation in world.reader.generations():
        judged = observe(rules_of(world.catalogue.kpi("k"))[0], world.catalogue, world.reader, as_of=generation.id)[0]
        standing, new = advance(standing, judged)
        for event in new:
            if event.kind is Kind.OPENED:
                found.append([event.period, None, "open", first])
            elif event.kind in (Kind.RESOLVED, Kind.DISSOLVED):
                found[-1][1:3] = [event.period, str(event.kind)]
        first = False
    with opened.state.reading() as connection:
        kept_ones = sorted(kept.history(connection), key=lambda item: (item.opened_period, item.id))
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
        "Expected 120 or more (before 150).", "All of the change sits in shop b: 50 → 10.",
        "Near: launch New checkout, 2 days before.",
    ]  # fmt: skip


def test_what_was_before_the_first_look_is_recorded_and_told_to_nobody(project: Builder, web: Web) -> None:
    make(project, {**GOOD, 1: 10, 4: 20}, LOW, contact=web.url)
    project.sync(day(5))
    with project.open().state.reading() as connection:
        found = {item.opened_period.day: item for item in kept.history(connection) if item.opened_period}
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


def test_marks_are_counted_per_rule(project: Builder) -> None:
    make(project, {**GOOD, 5: 10}, LOW)
    project.sync(day(6))
    number = read_state(project.open(), now=day(6)).open[0].id
    mark(project.open(), number, "noise", by="ana")
    mark(project.open(), number, "useful", by="ana")
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


def test_mail_to_the_owner(project: Builder) -> None:
    got: list[Any] = []

    class Inbox:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            got.append((envelope.rcpt_tos, envelope.content.decode()))
            return "250 ok"

    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    controller = Controller(Inbox(), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        make(project, {**GOOD, 5: 10}, LOW.replace(", notify: [team]", ""))
        address = f"mailto://127.0.0.1:{port}?from=kpi@example.com&to={{owner}}"
        project.settings(f"name: Shop\ncontact_points: [{{name: mail, url: '{address}'}}]\n")
        project.sync(day(6))
    finally:
        controller.stop()
    assert [to for to, _ in got] == [["ana@example.com"]]
    assert "CRITICAL Orders 10" in got[0][1]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call waits for what is due in some seconds."""
    monkeypatch.setattr("jobs.deliver.PATIENCE_SECONDS", 0.2)


def fire(project: Builder, web: Web, *answers: Any) -> None:
    web.answers += answers
    make(project, {**GOOD, 5: 10}, LOW, contact=web.url)
    project.sync(day(6))


def test_a_confirmed_failure_is_tried_again(project: Builder, web: Web) -> None:
    fire(project, web, 500, 503)
    assert len(web.got) == 3
    assert [(m.status, m.attempts) for m in messages(project)] == [("delivered", 3)]


def test_a_dead_channel_is_seen_and_nothing_is_lost(project: Builder, web: Web) -> None:
    port, web.port = web.port, 9  # nobody listens there
    fire(project, web)
    state = read_state(project.open(), now=day(6))
    assert [(c.name, c.dead, c.waiting) for c in state.contacts] == [("team", True, 1)]
    assert "refused" in state.contacts[0].error and "secret-token" not in state.contacts[0].error
    web.port = port
    make(project, {**GOOD, 5: 10}, LOW, contact=web.url)
    deliver(project.open(), clock=lambda: datetime.now(UTC) + timedelta(hours=9))
    assert len(web.got) == 1 and messages(project)[0].status == "delivered"
    assert not read_state(project.open(), now=day(6)).contacts[0].dead


@pytest.mark.parametrize("answer", ["hang", "cut"])
def test_an_unknown_outcome_is_sent_once_more_and_no_more_often(project: Builder, web: Web, answer: str) -> None:
    fire(project, web, answer, answer, answer)
    assert len(web.got) == 2
    assert [(m.status, m.unknowns) for m in messages(project)] == [("unknown", 2)]
    deliver(project.open())
    evaluate(project.open(), now=day(7))
    assert len(web.got) == 2
    assert read_state(project.open(), now=day(7)).contacts[0].dead


def test_a_server_that_answers_for_ever_is_cut_off() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def drip() -> None:
            client, _ = server.accept()
            try:
                client.sendall(b"HTTP/1.1 200 OK\r\n")
                while True:
                    time.sleep(0.3)
                    client.sendall(b"X: y\r\n")
            except OSError:
                client.close()

        threading.Thread(target=drip, daemon=True).start()
        started = time.monotonic()
        url = f"json://127.0.0.1:{server.getsockname()[1]}/"
        assert AppriseChannel(limit_seconds=3).send(url, Message("t", "b")).status == "unknown"
        assert time.monotonic() - started < 6


class Gone:
    """A channel that always fails for sure."""

    def problem(self, url: str) -> str:
        return ""

    def send(self, url: str, message: Message) -> Outcome:
        return Outcome("failed", "gone")


def test_back_off_grows_and_after_days_it_is_given_up_visibly(project: Builder, web: Web, impatient: None) -> None:
    fire(project, web, *[500] * 10)
    start, waits = datetime.now(UTC), []
    for _ in range(8):
        with project.open().state.reading() as connection:
            upcoming = kept.next_due(connection)
        assert upcoming is not None
        waits.append((upcoming - start).total_seconds())
        deliver(project.open(), Gone(), clock=lambda at=upcoming: at)
    gaps = [round(b - a) for a, b in pairwise(waits)][1:]
    assert gaps == sorted(gaps) and gaps[-1] >= 3600
    deliver(project.open(), Gone(), clock=lambda: start + GIVE_UP + timedelta(hours=5))
    assert messages(project)[0].status == "failed"
    assert contacts_of(messages(project))[0].dead


EVALUATE = [sys.executable, str(ROOT / "cli.py"), "alerts", "evaluate", "--now", "2026-11-07T01:00:00Z", "--project"]


def started(opened: Project) -> subprocess.Popen[bytes]:
    """An evaluation in a process group of its own."""
    pipe = subprocess.PIPE
    return subprocess.Popen([*EVALUATE, str(opened.folder)], stdout=pipe, stderr=pipe, start_new_session=True)


def prepared(project: Builder, web: Web) -> Project:
    """Synced, with a KPI that fires, and not evaluated."""
    make(project, {**GOOD, 5: 10}, LOW, contact=web.url)
    project.sync(day(6))
    web.got.clear()
    opened = project.open()
    for path in opened.data.glob("state.sqlite*"):
        path.unlink()
    return opened


CLAIM, SEND = "connectors.state.alerts.claim", "connectors.channels.by_apprise.AppriseChannel.send"


@pytest.mark.parametrize("moment", [SEND, pytest.param(CLAIM, marks=pytest.mark.slow)])
def test_kill_9_between_record_and_send_loses_nothing(project: Builder, web: Web, moment: str, tmp_path: Path) -> None:
    """The process dies as it reaches a step of sending; the next evaluation sends what it had recorded."""
    opened = prepared(project, web)
    module, _, name = moment.rpartition(".")
    code = (
        "import os, signal, sys, importlib\n"
        f"parts = {module!r}.split('.')\nowner = None\n"
        "for i in range(len(parts), 0, -1):\n"
        "    try:\n        owner = importlib.import_module('.'.join(parts[:i]))\n        break\n"
        "    except ImportError:\n        continue\n"
        "for part in parts[i:]:\n    owner = getattr(owner, part)\n"
        f"setattr(owner, {name!r}, lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL))\n"
        f"sys.argv = ['kpi', *{EVALUATE[2:]!r}, {str(opened.folder)!r}]\nimport cli\ncli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert web.got == []
    again = subprocess.run([*EVALUATE, str(opened.folder)], capture_output=True, text=True, check=True)
    assert len(web.got) == 1, again.stderr
    assert events(project) == [("low", "open")]
    subprocess.run([*EVALUATE, str(opened.folder)], capture_output=True, text=True, check=True)
    assert len(web.got) == 1


def test_kill_9_while_the_other_side_is_silent_sends_once_more(project: Builder, web: Web) -> None:
    opened = prepared(project, web)
    web.answers += ["hang"]
    process = subprocess.Popen(
        [*EVALUATE, str(opened.folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    for _ in range(200):
        if web.got:
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert len(web.got) == 1
    subprocess.run([*EVALUATE, str(opened.folder)], capture_output=True, text=True, check=True)
    assert len(web.got) == 2, "nobody knows whether it arrived, so it is sent once more"
    assert messages(project)[0].status == "delivered"


def test_evaluators_started_at_once_open_and_tell_once(project: Builder, web: Web) -> None:
    opened = prepared(project, web)
    both = [
        subprocess.Popen([*EVALUATE, str(opened.folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    told = [process.communicate() for process in both]
    assert [p.returncode for p in both] == [0, 0, 0], told
    assert len(web.got) == 1
    assert events(project) == [("low", "open")]


def test_the_commands(project: Builder, web: Web) -> None:
    make(project, {**GOOD, 5: 10}, LOW, contact=web.url)
    project.sync(day(6))
    folder, now = ["--project", str(project.folder)], ["--now", "2026-11-07T01:00:00Z"]
    status = json.loads(run_cli("alerts", "status", "--json", *folder, *now, check=True).stdout)
    assert status == [{
        "rule": "low", "kpi": "k", "segment": None, "state": "firing", "severity": "critical", "value": 10.0,
        "threshold": 50.0, "since": "2026-11-06T00:00:00Z", "silenced_until": None,
    }]  # fmt: skip
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


@pytest.mark.parametrize(("arguments", "says"), [
    (("ack", "99"), "no incident 99"), (("silence", "lwo", "--until", "3d"), "Did you mean 'low'?"),
    (("test", "tea"), "Known: team"), (("replay", "k", "--rule", "x"), "unknown rule 'x'"),
    (("silence", "low", "--until", "3d", "--segment", "x"), "unknown segment 'x'"),
])  # fmt: skip
def test_wrong_names_are_told(project: Builder, web: Web, arguments: tuple[str, ...], says: str) -> None:
    make(project, GOOD, LOW, contact=web.url)
    project.sync(day(5))
    done = run_cli("alerts", *arguments, "--project", str(project.folder))
    assert done.returncode == 1 and says in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_secret_is_a_failed_message_not_a_broken_project(project: Builder, web: Web, impatient: None) -> None:
    make(project, {**GOOD, 5: 10}, LOW, contact="json://127.0.0.1/${NO_SUCH_HOOK}")
    project.sync(day(6))
    assert "NO_SUCH_HOOK is not set" in messages(project)[0].error
    assert run_cli("query", "k", "--project", str(project.folder)).returncode == 0


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

    def slowly(*arguments: Any) -> list[Looked]:
        """While it looks, a sync publishes what mends the day, and evaluates it."""
        monkeypatch.setattr("jobs.evaluate_alerts.look", look)
        found = look(*arguments)
        write(project, {**GOOD, 5: 100})
        project.sync(day(6, 3))
        return found

    monkeypatch.setattr("jobs.evaluate_alerts.look", slowly)
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
    project.sync(day(7))
    assert events(project) == [("low", "resolved")]
