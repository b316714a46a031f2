"""Snapshots by mail and chat: real SMTP and HTTP servers, killed senders, everybody exactly once."""

from __future__ import annotations

import io
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pandas as pd
import pytest
from aiosmtpd.controller import Controller
from PIL import Image
from pypdf import PdfReader

from connectors.channels import mail
from connectors.channels.contract import Attachment, Message
from connectors.clock import utc_now
from connectors.errors import ContactError, SnapshotError
from jobs.snapshots.archived import rows_of, write_note
from jobs.snapshots.send import recipients_of, send
from jobs.snapshots.take import take_due, told
from tests.conftest import ROOT, Builder, deliver, known
from tests.jobs.conftest import Web, web  # noqa: F401 (a fixture)
from tests.snapshots.conftest import END, NOW, WEEKLY, answered, document, kpi, orders, shop_of, take, write

pytestmark = pytest.mark.breadth(2)

TO_TWO = f"{WEEKLY}recipients: [leads, boss@example.com]\n"


@dataclass
class Inbox:
    """A real SMTP server: what arrived, and how it answers next (text of a reply, or cut)."""

    port: int
    got: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        answer = self.answers.pop(0) if self.answers else "250 ok"
        if answer.startswith("250") or answer == "cut":
            message = message_from_bytes(envelope.content, policy=default)
            assert isinstance(message, EmailMessage)
            self.got.append((envelope.rcpt_tos, message))
        if answer == "cut":  # taken, but the sender never hears of it
            server.transport.close()
        return answer

    @property
    def receivers(self) -> list[str]:
        return sorted(name for to, _ in self.got for name in to)


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        return int(free.getsockname()[1])


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    box = Inbox(free_port())
    controller = Controller(box, hostname="127.0.0.1", port=box.port)
    controller.start()
    yield box
    controller.stop()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call waits for what is due in some seconds."""
    monkeypatch.setattr("jobs.outbox.deliver.PATIENCE_SECONDS", 0.2)


def contacts(port: int, more: str = "") -> str:
    to = f"mailto://127.0.0.1:{port}?from=kpi@example.com&to="
    return (
        f"url: https://kpi.example\ncontact_points: [{{name: leads, url: '{to}leads@example.com'}}, "
        f"{{name: owners, url: '{to}{{owner}}'}}{more}]\n"
    )


def mailing(project: Builder, port: int, snapshot: str = TO_TWO) -> Builder:
    """A short history, so that a test waits for the mail and not for the sync."""
    shop_of(project, settings=contacts(port), snapshot=snapshot)
    write(project, orders(END, start=END - pd.Timedelta(days=21)))
    return project


def test_a_complete_week_is_mailed_once_with_pictures_that_are_there(project: Builder, inbox: Inbox) -> None:
    mailing(project, inbox.port)
    project.sync(now=NOW)
    assert inbox.receivers == ["boss@example.com", "leads@example.com"]
    made = document(project)
    _, message = inbox.got[0]
    assert message["Subject"] == f"Shop, week 46: {made.headline.rstrip('.')}"
    assert message["Message-ID"] != inbox.got[1][1]["Message-ID"] and message["From"] == "kpi@example.com"
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        *["image/png"] * 2,  # Orders of a day beside weeks, and Buyers without a month, have none
        "application/pdf",
    ]
    html = message.get_body(("html",))
    plain = message.get_body(("plain",))
    assert html is not None and plain is not None
    markup = html.get_content()
    shown = re.findall(r'src="cid:([^"]+)"', markup)
    pictures = {str(p["Content-ID"]).strip("<>"): p for p in message.walk() if p.get_content_type() == "image/png"}
    assert shown == list(pictures) and len(shown) == 2
    for part in pictures.values():
        assert Image.open(io.BytesIO(part.get_content())).size == (200, 60)
        assert part.get_content_disposition() == "inline"
    for line in made.lines:
        assert line.text in markup and line.text in plain.get_content()
    (pdf,) = (p for p in message.walk() if p.get_content_type() == "application/pdf")
    assert pdf.get_filename() == "weekly-2026-W46-r1.pdf"
    assert made.headline in PdfReader(io.BytesIO(pdf.get_content())).pages[0].extract_text().replace("\n", " ")
    assert "https://kpi.example/snapshots?snapshot=weekly&amp;week=2026-W46&amp;revision=1" in markup
    project.sync(now=NOW + timedelta(hours=1))
    assert kpi(project, "snapshot", "send").exit_code == 0
    send(project.open(), made, ["leads"], by="ana")
    assert len(inbox.got) == 2, "each recipient gets a revision once"
    rows = answered(project, "snapshot", "send")
    assert [(r["recipient"], r["status"], r["attempts"]) for r in rows] == [
        ("leads", "delivered", 1),
        ("boss@example.com", "delivered", 1),
    ]


def test_a_revision_is_sent_by_hand_and_brings_the_editors_note(project: Builder, inbox: Inbox) -> None:
    mailing(project, inbox.port, f"{TO_TWO}schedule: {{send: by_hand}}\n")
    project.sync(now=NOW)
    assert inbox.got == [] and [r.status for r in recipients_of(project.open(), document(project))] == ["", ""]
    preview = kpi(project, "snapshot", "send", "--preview").stdout
    assert "leads: would get it\nboss@example.com: would get it\n\nSubject: Shop, week 46: " in preview
    made = document(project)
    write_note(project.open(), made, "The sale <b>began</b>.", by="Ana", now=NOW)
    assert inbox.got == []
    assert kpi(project, "snapshot", "send", "--to", "leads").exit_code == 0
    assert inbox.receivers == ["leads@example.com"]
    assert "The sale &lt;b&gt;began&lt;/b&gt;." in known(inbox.got[0][1].get_body(("html",))).get_content()
    again = take(project)
    assert again.revision == 2
    send(project.open(), again, [], by="ana")
    assert inbox.receivers == ["boss@example.com", "leads@example.com", "leads@example.com"]


def test_a_server_that_is_not_there_is_tried_again_and_seen(project: Builder, inbox: Inbox) -> None:
    port = free_port()
    mailing(project, port)
    result = project.sync(now=NOW)
    assert any(re.fullmatch(r"\d+ attempts to send failed; tried again later", line) for line in result.alerts)
    found = recipients_of(project.open(), document(project))
    assert [(r.status, r.attempts >= 1) for r in found] == [("pending", True)] * 2
    assert all("refused" in r.error for r in found)
    project.settings(f"name: Shop\n{contacts(inbox.port)}")
    deliver(project.open(), clock=lambda: NOW + timedelta(days=400))
    assert inbox.receivers == ["boss@example.com", "leads@example.com"]
    assert [r.status for r in recipients_of(project.open(), document(project))] == ["delivered"] * 2


@pytest.mark.breadth(1)
@pytest.mark.parametrize(("answer", "status"), [("451 later", "pending"), ("550 no", "pending"), ("cut", "delivered")])
def test_what_the_server_answers_decides(project: Builder, inbox: Inbox, answer: str, status: str) -> None:
    mailing(project, inbox.port, f"{WEEKLY}recipients: [leads]\n")
    inbox.answers = [answer]
    project.sync(now=NOW)
    (found,) = recipients_of(project.open(), document(project))
    assert found.status == status
    if answer == "cut":  # nobody knows whether it arrived: once more, with the same Message-ID, and never again
        assert len({message["Message-ID"] for _, message in inbox.got}) == 1 and len(inbox.got) == 2
    else:
        assert answer.split()[0] in found.error and inbox.got == []


KILLED = """
import os, signal, sys
sys.path.insert(0, {root!r})
from datetime import datetime
import {module} as module
real = module.{name}
def die(*arguments, **options):
    if {after}: real(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
module.{name} = die
from jobs.project.project import open_project
from jobs.snapshots.take import take_due
take_due(open_project({folder!r}), now=datetime.fromisoformat({now!r}))
"""


@pytest.mark.parametrize(
    ("module", "name", "after", "kept"),
    [
        ("jobs.snapshots.take", "deliver", False, True),  # everything is stored, nothing was sent
        # in mid-transaction: nothing is stored
        pytest.param("jobs.snapshots.take", "queue", True, False, marks=pytest.mark.slow),
        pytest.param("connectors.state.snapshots", "add", True, False, marks=pytest.mark.slow),
    ],
)
def test_a_crash_between_store_and_send_neither_loses_nor_doubles(
    project: Builder, inbox: Inbox, module: str, name: str, after: bool, kept: bool
) -> None:
    mailing(project, inbox.port, "name: other\n")
    (project.folder / "snapshots" / "weekly.yml").unlink()
    project.sync(now=NOW)
    project.write("snapshots", "weekly", TO_TWO)
    write_first = take(project, "2026-W45")  # so that only week 46 is due
    code = KILLED.format(
        root=str(ROOT), module=module, name=name, after=after, folder=str(project.folder), now=NOW.isoformat()
    )
    died = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    weeks = [row.week for row in rows_of(project.open())]
    assert weeks == (["2026-W46", "2026-W45"] if kept else ["2026-W45"]) and write_first.week == "2026-W45"
    assert inbox.got == []
    for hour in (1, 2):
        project.sync(now=NOW + timedelta(hours=hour))
    assert inbox.receivers == ["boss@example.com", "leads@example.com"]
    assert [(row.week, row.revision) for row in rows_of(project.open())] == [("2026-W46", 1), ("2026-W45", 1)]


@pytest.mark.slow
def test_two_at_a_time_take_and_send_once(project: Builder, inbox: Inbox) -> None:
    mailing(project, inbox.port)
    (project.folder / "snapshots" / "weekly.yml").unlink()
    project.sync(now=NOW)
    project.write("snapshots", "weekly", TO_TWO)
    code = (
        "import sys; sys.path.insert(0, {0!r}); from datetime import datetime; "
        "from jobs.project.project import open_project; "
        "from jobs.snapshots.take import take_due; "
        "print(take_due(open_project({1!r}), now=datetime.fromisoformat({2!r})))"
    )
    command = [sys.executable, "-c", code.format(str(ROOT), str(project.folder), NOW.isoformat())]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        _, told_to_us = process.communicate(timeout=60)
        assert process.returncode == 0, told_to_us
    deliver(project.open())
    assert [(r.week, r.revision) for r in rows_of(project.open())] == [
        ("2026-W46", 1),
        ("2026-W45", 1),
        ("2026-W44", 1),
    ]
    assert inbox.receivers == ["boss@example.com", "leads@example.com"]


def test_people_who_press_send_together_send_once(project: Builder, inbox: Inbox) -> None:
    mailing(project, inbox.port, f"{TO_TWO}schedule: {{send: by_hand}}\n")
    project.sync(now=NOW)
    made = document(project)
    opened = project.open()  # as a server has it: one for all sessions
    threads = [threading.Thread(target=send, args=(opened, made, []), kwargs={"by": "ana"}) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inbox.receivers == ["boss@example.com", "leads@example.com"]


@pytest.mark.slow
def test_of_weeks_that_are_caught_up_only_the_newest_is_sent(project: Builder, inbox: Inbox) -> None:
    mailing(project, inbox.port)
    project.sync(now=NOW)
    assert len(rows_of(project.open())) == 3 and len(inbox.got) == 2
    assert all("week 46" in message["Subject"] for _, message in inbox.got)


def test_chats_get_the_text_and_a_picture_of_the_head(project: Builder, web: Web) -> None:  # noqa: F811
    mailing(project, 9, f"{WEEKLY}recipients: [chat]\n")
    project.settings(f"name: Shop\n{contacts(9, f', {{name: chat, url: {chr(39)}{web.url}{chr(39)}}}')}")
    project.sync(now=NOW)
    (got,) = web.got
    assert got["title"].startswith("Shop, week 46: ") and "- Revenue: €" in got["message"]
    (picture,) = got["attachments"]
    assert picture["filename"] == "weekly-2026-W46-r1.png" and picture["mimetype"] == "image/png"
    assert "https://kpi.example/snapshots?snapshot=weekly&week=2026-W46&revision=1" in got["message"]


def test_recipients_without_a_contact_point_are_named(project: Builder, inbox: Inbox) -> None:
    mailing(project, inbox.port, f"{WEEKLY}recipients: [leads, board]\n")
    result = project.sync(now=NOW)
    assert "no snapshot is sent to board: it has no contact point in settings.yml" in result.alerts
    assert inbox.receivers == ["leads@example.com"]
    made = document(project)
    with pytest.raises(ContactError, match="no contact point for board"):
        send(project.open(), made, ["board"], by="ana")
    assert "no contact point 'board' in settings.yml" in kpi(project, "validate").stdout
    project.write("snapshots", "weekly", WEEKLY)
    with pytest.raises(SnapshotError, match="there are no recipients"):
        send(project.open(), made, [], by="ana")
    assert told(take_due(project.open(), now=NOW)) == []


def test_a_mail_that_cannot_be_made_is_no_mail() -> None:
    box = mail.Mailbox("127.0.0.1", 9, "insecure", "", "", "", "kpi@example.com", ("a@example.com",))
    found = mail.compose(Message("A\r\nBcc: eve@evil.example", "text", "<p>text</p>", id="m-1"), box)
    assert found["Subject"] == "A Bcc: eve@evil.example" and found["Bcc"] is None
    assert found["Message-ID"] == "<m-1@example.com>"
    bad = mail.Mailbox("127.0.0.1", 9, "insecure", "", "", "", "no address", ("a@example.com",))
    assert mail.send(Message("t", "b", "<p>b</p>"), bad).status == "failed"
    hanging = mail.send(Message("t", "b", "<p>b</p>", files=(Attachment("a.pdf", "application/pdf", b"x"),)), box)
    assert hanging.status == "failed" and "refused" in hanging.detail


def test_a_day_and_time_to_send_is_waited_for_on_the_projects_clock(project: Builder, inbox: Inbox) -> None:
    mailing(project, inbox.port, f"{TO_TWO}schedule: {{send: tuesday 08:30}}\n")
    project.settings(f"name: Shop\ntimezone: Asia/Tokyo\n{contacts(inbox.port)}")
    ahead = utc_now() + timedelta(days=21)  # a week whose Tuesday is to come
    monday = pd.Timestamp(ahead.date()) - pd.Timedelta(days=ahead.weekday())
    write(project, orders(monday, start=monday - pd.Timedelta(days=21)))
    project.sync(now=monday.to_pydatetime().replace(tzinfo=UTC, hour=3))
    assert inbox.got == [] and [r.status for r in recipients_of(project.open(), document(project))] == ["pending"] * 2
    due = (monday + pd.Timedelta(days=1, hours=8, minutes=30)).tz_localize("Asia/Tokyo").to_pydatetime()
    deliver(project.open(), clock=lambda: due - timedelta(minutes=1))
    assert inbox.got == []
    deliver(project.open(), clock=lambda: due)
    assert inbox.receivers == ["boss@example.com", "leads@example.com"]
