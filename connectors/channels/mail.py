"""Mails with pictures: one MIME message with plain text, HTML that shows its pictures by cid, and files; by SMTP.

apprise reads the address but sends no pictures inside of HTML, so this does it, with Python's own e-mail library. It is
called in the process of apprise.py, which connects to what is permitted alone.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid

from connectors.channels.contract import Attachment, Message, Outcome
from connectors.clock import utc_now

TIMEOUT_SECONDS = 12.0
PORTS = {"insecure": 25, "starttls": 587, "ssl": 465}


@dataclass(frozen=True)
class Mailbox:
    """A server, who sends and who gets it. mode: insecure, starttls or ssl; port: 0 = the mode's own."""

    host: str
    port: int
    mode: str
    user: str
    password: str
    sender_name: str
    sender: str
    to: tuple[str, ...]
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()

    @property
    def everyone(self) -> tuple[str, ...]:
        """All receivers."""
        return (*self.to, *self.cc, *self.bcc)


def compose(message: Message, box: Mailbox) -> EmailMessage:
    """multipart/mixed of multipart/alternative (text; multipart/related of HTML and pictures) and the files."""
    found = EmailMessage(policy=SMTP)
    found["Subject"] = " ".join(message.title.split())
    found["From"] = Address(box.sender_name, addr_spec=box.sender)
    found["To"] = ", ".join(box.to)
    if box.cc:
        found["Cc"] = ", ".join(box.cc)
    found["Date"] = format_datetime(utc_now())
    domain = box.sender.rpartition("@")[2] or "localhost"
    found["Message-ID"] = f"<{message.id}@{domain}>" if message.id else make_msgid(domain=domain)
    # Quoted: a server takes no line of more than 998 letters.
    found.set_content(message.body, cte="quoted-printable")
    found.add_alternative(message.html, subtype="html", cte="quoted-printable")
    html = found.get_payload()[1]  # type: ignore[index]
    assert isinstance(html, EmailMessage)
    for picture in message.inline:
        kind, _, subtype = picture.mime.partition("/")
        html.add_related(
            picture.data, kind, subtype, cid=f"<{picture.name}>", filename=picture.name, disposition="inline"
        )
    for item in message.files:
        _attach(found, item)
    return found


def _attach(found: EmailMessage, item: Attachment) -> None:
    kind, _, subtype = item.mime.partition("/")
    found.add_attachment(item.data, kind, subtype, filename=item.name)


def send(message: Message, box: Mailbox) -> Outcome:
    """Send by SMTP. What breaks before the message itself is given over was surely not sent; after that, who knows."""
    try:
        whole = compose(message, box).as_bytes()
    except ValueError as error:
        return Outcome("failed", f"no mail can be made of it: {error}")
    handed_over = False
    try:
        with _server(box) as server:
            _accepted(server.mail(box.sender))
            refused = [address for address in box.everyone if server.rcpt(address)[0] not in (250, 251)]
            if len(refused) == len(box.everyone):
                return Outcome("failed", f"the server refuses {', '.join(refused)}")
            handed_over = True
            code, text = server.data(whole)
            if code != 250:
                return Outcome("failed", f"the server answered {code} {text.decode(errors='replace')[:200]}")
            return Outcome("delivered", f"the server refuses {', '.join(refused)}" if refused else "")
    except smtplib.SMTPResponseException as error:
        return Outcome("failed", f"the server answered {error.smtp_code}")
    except (smtplib.SMTPException, OSError) as error:
        return Outcome("unknown" if handed_over else "failed", f"{type(error).__name__}: {error}")


@contextmanager
def _server(box: Mailbox) -> Iterator[smtplib.SMTP]:
    """A session that is signed in. How it is ended says nothing about the message."""
    port = box.port or PORTS.get(box.mode, 25)
    context = ssl.create_default_context()
    if box.mode == "ssl":
        server: smtplib.SMTP = smtplib.SMTP_SSL(box.host, port, timeout=TIMEOUT_SECONDS, context=context)
    else:
        server = smtplib.SMTP(box.host, port, timeout=TIMEOUT_SECONDS)
    try:
        server.ehlo_or_helo_if_needed()
        if box.mode == "starttls":
            server.starttls(context=context)
        if box.user and box.password:
            server.login(box.user, box.password)
        yield server
    finally:
        server.close()


def _accepted(answered: tuple[int, bytes]) -> None:
    code, text = answered
    if code != 250:
        raise smtplib.SMTPResponseException(code, text)
