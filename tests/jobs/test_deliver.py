"""Sending: real HTTP and SMTP servers that refuse, hang and die; killed senders; evaluators side by side."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from connectors.channels.apprise import AppriseChannel
from connectors.channels.contract import Channel, Message, Outcome, channel_for
from connectors.clock import utc_now
from connectors.state import alerts as store
from jobs.alerts.incidents import contacts_of, read_state
from jobs.outbox.deliver import GIVE_UP
from jobs.project.project import Project
from tests.conftest import KPI, ROOT, Builder, deliver, evaluate, known, run_cli
from tests.jobs.conftest import GOOD, LOW, Web, day, events, make, messages

pytestmark = pytest.mark.breadth(2)


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
    monkeypatch.setattr("jobs.outbox.deliver.PATIENCE_SECONDS", 0.2)


def fire(project: Builder, web: Web, *answers: Any) -> None:
    web.answers += answers
    make(project, {**GOOD, 5: 10}, LOW, contact=web.url)
    project.sync(day(6))


def test_a_confirmed_failure_is_tried_again(
    project: Builder, web: Web, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "jobs.outbox")
    monkeypatch.setattr("jobs.outbox.deliver.PATIENCE_SECONDS", 60.0)  # of a slow machine, too
    fire(project, web, 500, 503)
    assert len(web.got) == 3
    assert [(m.status, m.attempts) for m in messages(project)] == [("delivered", 3)]
    told = [record.__dict__["ids"] for record in caplog.records if "delivery" in record.__dict__.get("ids", ())]
    assert [(ids["contact"], ids["attempt"], ids["outcome"]) for ids in told] == [
        ("team", 1, "failed"), ("team", 2, "failed"), ("team", 3, "delivered"),
    ]  # fmt: skip


def test_a_dead_channel_is_seen_and_nothing_is_lost(project: Builder, web: Web) -> None:
    port, web.port = web.port, 9  # nobody listens there
    fire(project, web)
    state = read_state(project.open(), now=day(6))
    assert [(c.name, c.dead, c.waiting) for c in state.contacts] == [("team", True, 1)]
    assert "refused" in state.contacts[0].error and "secret-token" not in state.contacts[0].error
    web.port = port
    make(project, {**GOOD, 5: 10}, LOW, contact=web.url)
    deliver(project.open(), clock=lambda: utc_now() + timedelta(hours=9))
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


class Gone(Channel):
    """A channel that always fails for sure."""

    def problem(self, url: str) -> str:
        return ""

    def send(self, url: str, message: Message) -> Outcome:
        return Outcome("failed", "gone")


def test_back_off_grows_and_after_days_it_is_given_up_visibly(project: Builder, web: Web, impatient: None) -> None:
    fire(project, web, *[500] * 10)
    start, waits = utc_now(), []
    for _ in range(8):
        with project.open().state.reading() as connection:
            upcoming = store.next_due(connection)
        assert upcoming is not None
        waits.append((upcoming - start).total_seconds())
        deliver(project.open(), Gone(), clock=partial(known, upcoming))
    gaps = [round(b - a) for a, b in pairwise(waits)][1:]
    assert gaps == sorted(gaps) and gaps[-1] >= 3600
    deliver(project.open(), Gone(), clock=lambda: start + GIVE_UP + timedelta(hours=5))
    assert messages(project)[0].status == "failed"
    assert contacts_of(messages(project))[0].dead


EVALUATE = [*KPI, "alerts", "evaluate", "--now", "2026-11-07T01:00:00Z", "--project"]


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


CLAIM, SEND = "connectors.state.alerts.claim", "connectors.channels.apprise.AppriseChannel.send"


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
        f"sys.argv = ['kpi', *{EVALUATE[3:]!r}, {str(opened.folder)!r}]\nfrom cli.app import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert web.got == []
    again = run_cli(*EVALUATE[3:], str(opened.folder), check=True)
    assert len(web.got) == 1, again.stderr
    assert events(project) == [("low", "open")]
    run_cli(*EVALUATE[3:], str(opened.folder), check=True)
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
    run_cli(*EVALUATE[3:], str(opened.folder), check=True)
    assert len(web.got) == 2, "nobody knows whether it arrived, so it is sent once more"
    assert messages(project)[0].status == "delivered"


@pytest.mark.slow
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


def test_a_missing_secret_is_a_failed_message_not_a_broken_project(project: Builder, web: Web, impatient: None) -> None:
    make(project, {**GOOD, 5: 10}, LOW, contact="json://127.0.0.1/${NO_SUCH_HOOK}")
    project.sync(day(6))
    assert "NO_SUCH_HOOK is not set" in messages(project)[0].error
    assert run_cli("query", "k", "--project", str(project.folder)).returncode == 0


def test_a_channel_is_one_new_file(
    project: Builder, impatient: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import connectors.channels as folder

    (tmp_path / "notebook.py").write_text(
        "from pathlib import Path\n"
        "from connectors.channels.contract import Channel, Outcome\n"
        "class Notebook(Channel):\n"
        "    def takes(self, url):\n        return url.startswith('notebook://')\n"
        "    def problem(self, url):\n        return ''\n"
        "    def send(self, url, message):\n"
        "        Path(url.removeprefix('notebook:/')).write_text(message.title)\n"
        "        return Outcome('delivered')\n"
    )
    monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(tmp_path)])
    page = tmp_path / "page.txt"
    make(project, {**GOOD, 5: 10}, LOW, contact=f"notebook:/{page}")
    project.sync(day(6))
    assert page.read_text().startswith("Shop: CRITICAL Orders 10")
    assert [m.status for m in messages(project)] == ["delivered"]
    assert isinstance(channel_for("json://127.0.0.1/hook", ()), AppriseChannel)
