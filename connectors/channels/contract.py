"""What a way to notify is: one class, three methods. A new one is one new file beside this one; nothing is listed."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import ClassVar, Literal

from connectors.secrets import mask


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
    """delivered; failed = surely not delivered; unknown = nobody can say (a timeout, a crash). detail: why.

    final: it need not be tried again. after: seconds for which the other side asks not to be.
    """

    status: Literal["delivered", "failed", "unknown"]
    detail: str = ""
    final: bool = False
    after: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "detail", mask(self.detail))


class Channel:
    """Sends messages to addresses of its kind. Subclasses are made without arguments."""

    general: ClassVar[bool] = False  # takes what no channel of its own takes
    allow: tuple[str, ...] = ()  # `outbound_hosts` of the settings; what connects asks connectors/outbound.py first

    def takes(self, url: str) -> bool:
        """Whether addresses of this kind are its own."""
        raise NotImplementedError

    def problem(self, url: str) -> str:
        """Why an address cannot be used; empty if it can."""
        raise NotImplementedError

    def send(self, url: str, message: Message) -> Outcome:
        """Send, within a bounded time. Never raises for what the other side does; never shows the address."""
        raise NotImplementedError


def channels() -> list[Channel]:
    """One of every kind: each Channel class of a file of this folder, those for everything last."""
    folder = importlib.import_module("connectors.channels")
    found: list[Channel] = []
    for module in pkgutil.iter_modules(folder.__path__):
        for item in vars(importlib.import_module(f"connectors.channels.{module.name}")).values():
            own = isinstance(item, type) and issubclass(item, Channel) and item.__module__.endswith(f".{module.name}")
            if own and item is not Channel:
                found.append(item())
    return sorted(found, key=lambda channel: channel.general)


def channel_for(url: str, allow: tuple[str, ...]) -> Channel:
    """The channel that sends to an address. allow: `outbound_hosts` of the settings."""
    found = next(channel for channel in channels() if channel.takes(url))
    found.allow = allow
    return found
