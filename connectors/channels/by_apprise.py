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
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from connectors.channels.contract import Message, Outcome

LIMIT_SECONDS = 20.0
ROOT = Path(__file__).resolve().parents[2]
# What the other side may have taken although it did not say so.
UNSURE = ("timed out", "connection aborted", "connection broken", "reset by peer", "remote end closed",
          "incompleteread", "unexpectedly closed", "broken pipe")  # fmt: skip
# A connection that never stood delivered nothing.
NEVER_THERE = ("connect timeout", "refused", "name or service not known", "failed to resolve",
               "max retries exceeded with", "no route to host", "network is unreachable")  # fmt: skip


class AppriseChannel:
    """The one adapter to begin with."""

    def __init__(self, limit_seconds: float = LIMIT_SECONDS) -> None:
        self.limit_seconds = limit_seconds

    def problem(self, url: str) -> str:
        """Why an address cannot be used; empty if it can."""
        import apprise

        logging.getLogger("apprise").setLevel(logging.CRITICAL)
        if apprise.Apprise.instantiate(url, suppress_exceptions=True) is None:
            return "it is no address that apprise knows (https://appriseit.com lists them), or a part of it is missing"
        return ""

    def send(self, url: str, message: Message) -> Outcome:
        """Send in a child process, so that nothing of it can last longer than `limit_seconds`."""
        job = json.dumps({"url": url, "title": message.title, "body": message.body})
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        command = [sys.executable, "-m", "connectors.channels.by_apprise"]
        try:
            done = subprocess.run(
                command, input=job, capture_output=True, text=True, timeout=self.limit_seconds, env=environment,
                cwd=ROOT, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Outcome("unknown", f"no answer within {self.limit_seconds:.0f} seconds")
        except OSError as error:
            return Outcome("failed", f"cannot start: {error.strerror}")
        try:
            told = json.loads(done.stdout.strip().splitlines()[-1])
            return Outcome(told["status"], without_secrets(told["detail"], url))
        except (IndexError, ValueError, KeyError):
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


def _send(url: str, title: str, body: str) -> Outcome:
    import apprise

    lines, log = _Lines(), logging.getLogger("apprise")
    log.setLevel(logging.DEBUG)
    log.addHandler(lines)
    service = apprise.Apprise()
    if not service.add(url):
        return Outcome("failed", "the address cannot be used")
    delivered = service.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT)
    return outcome(bool(delivered), lines.lines)


if __name__ == "__main__":
    job = json.load(sys.stdin)
    found = _send(job["url"], job["title"], job["body"])
    sys.stdout.write(json.dumps({"status": found.status, "detail": found.detail}) + "\n")
