"""What every way to notify offers: one message to one address, and whether it arrived."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True)
class Message:
    """Plain text; the channel dresses it."""

    title: str
    body: str


@dataclass(frozen=True)
class Outcome:
    """delivered; failed = surely not delivered; unknown = nobody can say (a timeout, a crash). detail: why."""

    status: Literal["delivered", "failed", "unknown"]
    detail: str = ""


class Channel(Protocol):
    """Sends messages to addresses of its kind."""

    def problem(self, url: str) -> str:
        """Why an address cannot be used; empty if it can."""

    def send(self, url: str, message: Message) -> Outcome:
        """Send, within a bounded time. Never raises for what the other side does; never shows the address."""
