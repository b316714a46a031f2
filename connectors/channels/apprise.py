"""Messages to more than a hundred services by URL, through apprise.

Each message is sent by a process of its own that is killed after LIMIT_SECONDS: a service that hangs cannot hang the
evaluator. Run as a module this file is that process: a job as JSON on stdin, the outcome as JSON on stdout.
"""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from connectors.channels import mail
from connectors.channels.contract import Attachment, Channel, Message, Outcome
from connectors.errors import OutboundRefused
from connectors.outbound_process import guarded

log = logging.getLogger(__name__)
LIMIT_SECONDS = 20.0
ROOT = Path(__file__).resolve().parents[2]
# What the other side may have taken although it did not say so.
UNSURE = (
    "timed out",
    "connection aborted",
    "connection broken",
    "reset by peer",
    "remote end closed",
    "incompleteread",
    "unexpectedly closed",
    "broken pipe",
)
# A connection that never stood delivered nothing.
NEVER_THERE = (
    "connect timeout",
    "refused",
    "name or service not known",
    "failed to resolve",
    "max retries exceeded with",
    "no route to host",
    "network is unreachable",
)


class AppriseChannel(Channel):
    """Everything that apprise knows, and what it does not know is told as a problem."""

    general = True

    def __init__(self, limit_seconds: float = LIMIT_SECONDS) -> None:
        self.limit_seconds = limit_seconds

    def takes(self, url: str) -> bool:  # noqa: ARG002
        """Whatever no other channel takes."""
        return True

    def problem(self, url: str) -> str:
        """Why an address cannot be used; empty if it can."""
        import apprise

        logging.getLogger("apprise").setLevel(logging.CRITICAL)
        if apprise.Apprise.instantiate(url, suppress_exceptions=True) is None:
            return "it is no address that apprise knows (https://appriseit.com lists them), or a part of it is missing"
        return ""

    def send(self, url: str, message: Message) -> Outcome:
        """Send in a child process, so that nothing of it can last longer than `limit_seconds`."""
        plain = {"url": url, "message": asdict(message), "allow": self.allow}
        job = json.dumps(plain, default=lambda data: b64encode(data).decode())
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        command = [sys.executable, "-m", "connectors.channels.apprise"]
        try:
            done = subprocess.run(
                command,
                input=job,
                capture_output=True,
                text=True,
                timeout=self.limit_seconds,
                env=environment,
                cwd=ROOT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Outcome("unknown", f"no answer within {self.limit_seconds:.0f} seconds")
        except OSError as error:
            return Outcome("failed", f"cannot start: {error.strerror}")
        try:
            told = json.loads(done.stdout.strip().splitlines()[-1])
            return Outcome(told["status"], without_secrets(told["detail"], url))
        except (IndexError, ValueError, KeyError):
            last_words = without_secrets(done.stderr.strip(), url) or "it said nothing"
            log.error("a sender died with status %s:\n%s", done.returncode, last_words)
            return Outcome("unknown", "the sender died without saying whether it had sent")


def without_secrets(text: str, url: str) -> str:
    """What went wrong, without any part of the address but its host: paths and users of addresses are keys."""
    host = urlsplit(url).hostname or ""
    for part in re.split(r"[/:@?&=]+", url):
        if len(part) >= 4 and part.lower() not in (host, "json", "mailto", "mailtos", "https", "http"):
            text = text.replace(part, "…")
    return text


def outcome(delivered: bool, told: Sequence[str]) -> Outcome:
    """What apprise's answer and its log lines say together."""
    if delivered:
        return Outcome("delivered")
    causes = [line.removeprefix("Socket Exception: ") for line in told if line.startswith("Socket Exception")]
    text = " ".join(causes).lower()
    refused = next((line for line in told if "error=" in line), "")
    if refused and not causes:
        return Outcome("failed", refused)
    detail = causes[0][:300] if causes else (told[-1] if told else "refused")
    if any(word in text for word in NEVER_THERE) and "read timeout" not in text:
        return Outcome("failed", detail)
    return Outcome("unknown" if any(word in text for word in UNSURE) else "failed", detail)


class _Lines(logging.Handler):
    """What apprise says of one attempt."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep failures and their causes; payloads and addresses stay out."""
        text = record.getMessage()
        if record.levelno >= logging.WARNING or text.startswith("Socket Exception"):
            self.lines.append(text)


def _guarded(url: str, message: Message, allow: tuple[str, ...]) -> Outcome:
    """Send, and connect to nothing but what is permitted, redirects included."""
    guard = guarded(allow)
    try:
        found = _send(url, message)
    except OutboundRefused:
        found = Outcome("failed")
    if guard.refused and found.status != "delivered":
        return Outcome("failed", " ".join(str(guard.refused[0]).split("\n")))
    return found


def _send(url: str, message: Message) -> Outcome:
    import apprise
    from apprise.plugins.email import NotifyEmail

    lines, log = _Lines(), logging.getLogger("apprise")
    log.setLevel(logging.DEBUG)
    log.addHandler(lines)
    service = apprise.Apprise.instantiate(url)
    if service is None:
        return Outcome("failed", "the address cannot be used")
    if message.html and isinstance(service, NotifyEmail):
        return mail.send(message, _mailbox(service))
    several = apprise.Apprise()
    several.add(service)
    with tempfile.TemporaryDirectory() as scratch:
        files = None
        if message.picture is not None:
            path = Path(scratch) / message.picture.name
            path.write_bytes(message.picture.data)
            files = apprise.AppriseAttachment(str(path))
        delivered = several.notify(
            body=message.body, title=message.title, body_format=apprise.NotifyFormat.TEXT, attach=files
        )
    return outcome(bool(delivered), lines.lines)


def _mailbox(service: Any) -> mail.Mailbox:
    """Server, sender and receivers of an e-mail address as apprise reads it."""
    name, sender = service.from_addr[0], str(service.from_addr[1])
    name = "" if name == service.app_id else name  # "Apprise", where the address names nobody
    return mail.Mailbox(
        host=str(service.smtp_host),
        port=int(service.port or 0),
        mode=str(service.secure_mode),
        user=str(service.user or ""),
        password=str(service.password or ""),
        sender_name=str(name or ""),
        sender=sender,
        to=tuple(str(address) for _, address in service.targets),
        cc=tuple(sorted(map(str, service.cc))),
        bcc=tuple(sorted(map(str, service.bcc))),
    )


def _message(plain: dict[str, Any]) -> Message:
    """A message as `send` wrote it into its job."""
    several = {key: tuple(_attachment(item) for item in plain[key]) for key in ("inline", "files")}
    picture = _attachment(plain["picture"]) if plain["picture"] else None
    return Message(**{**plain, **several, "picture": picture})


def _attachment(plain: dict[str, str]) -> Attachment:
    return Attachment(plain["name"], plain["mime"], b64decode(plain["data"]))


if __name__ == "__main__":
    job = json.load(sys.stdin)
    found = _guarded(job["url"], _message(job["message"]), tuple(job["allow"]))
    sys.stdout.write(json.dumps({"status": found.status, "detail": found.detail}) + "\n")
