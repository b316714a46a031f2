"""What every way to notify offers: one message to one address, and whether it arrived."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True)
class Attachment:
    """A file that goes with a message. name: with its ending; mime: such as image/png."""

    name: str
    mime: str
    data: bytes


@dataclass(frozen=True)
class Message:
    """Plain text; the channel dresses it, and takes of the rest what it can show.

    html: for mails; it shows `inline` by `cid:NAME`. files: for mails. picture: for chats. id: the same for every
    attempt to send one message, so that a mail that arrived twice can be told.
    """

    title: str
    body: str
    html: str = ""
    inline: tuple[Attachment, ...] = ()
    files: tuple[Attachment, ...] = ()
    picture: Attachment | None = None
    id: str = ""


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
