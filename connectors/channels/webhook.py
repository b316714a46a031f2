"""Signed JSON to a program's address, by the scheme of Standard Webhooks (https://www.standardwebhooks.com).

A host is looked up once and what was found is what is connected to, if it may be (connectors/outbound.py): a name that
leads elsewhere a moment later leads nowhere. Redirects are not followed.
"""

from __future__ import annotations

import hmac
import http.client
import logging
import re
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

from connectors.channels.contract import Channel, Message, Outcome
from connectors.clock import utc_now
from connectors.errors import KpiError
from connectors.outbound import permitted
from connectors.webhooks import address_problem, signing_key

log = logging.getLogger(__name__)
LIMIT_SECONDS = 10.0  # for all of it: the name, the connection, the answer
MOST_ANSWER = 65_536  # bytes of an answer that are read
LONGEST_WAIT = 24 * 3600.0  # seconds that a Retry-After may ask for


class WebhookChannel(Channel):
    """Sends to one kind of receiver, which its secret is shared with. No address of a contact point is its own.

    allow: `outbound_hosts`. limit_seconds: default LIMIT_SECONDS.
    """

    def __init__(
        self,
        secret: str = "",
        allow: tuple[str, ...] = (),
        *,
        limit_seconds: float | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._secret, self.allow, self._limit, self._clock = secret, allow, limit_seconds or LIMIT_SECONDS, clock

    def takes(self, url: str) -> bool:  # noqa: ARG002
        """None: it is asked by name, with the secret."""
        return False

    def problem(self, url: str) -> str:
        """Why an address cannot be used; empty if it can."""
        return address_problem(url)

    def send(self, url: str, message: Message) -> Outcome:
        """Send the body as it is, within the limit. What is not surely delivered is `failed`: a repeat does no harm."""
        if problem := self.problem(url):
            return Outcome("failed", problem)
        exchange = _Exchange(url, message.body.encode(), self._headers(message), self.allow, self._limit)
        worker = threading.Thread(target=exchange.run, daemon=True)  # a name server may not answer for a minute
        worker.start()
        worker.join(self._limit)
        found = exchange.outcome
        exchange.cut_off()
        return found

    def _headers(self, message: Message) -> dict[str, str]:
        at = str(int(self._clock().timestamp()))
        return {
            "Content-Type": "application/json",
            "User-Agent": "Bellwether",
            "Connection": "close",
            "webhook-id": message.id,
            "webhook-timestamp": at,
            "webhook-signature": signature(self._secret, message.id, at, message.body.encode()),
        }


def signature(secret: str, number: str, timestamp: str, body: bytes) -> str:
    """`v1,` and the HMAC-SHA256 of id, timestamp and body, a full stop between them, in base64. Raises ValueError."""
    signed = f"{number}.{timestamp}.".encode() + body
    return f"v1,{b64encode(hmac.digest(signing_key(secret), signed, sha256)).decode()}"


@dataclass
class _Exchange:
    """One message and its answer, in a thread that is left where it hangs."""

    url: str
    body: bytes
    headers: dict[str, str]
    allow: tuple[str, ...]
    limit: float
    outcome: Outcome = field(init=False)
    _raw: socket.socket | None = None
    _over: bool = False

    def __post_init__(self) -> None:
        self.outcome = self._silence = Outcome("failed", f"no answer within {self.limit:g} s")

    def run(self) -> None:
        """Never raises."""
        try:
            self._ask()
        except KpiError as error:  # the address may not be asked
            self.outcome = Outcome("failed", f"{error.message}. {error.hint}".strip())
        except ssl.SSLCertVerificationError as error:
            self.outcome = Outcome("failed", f"its certificate is not to be trusted: {error.verify_message}")
        except TimeoutError:
            self.outcome = self._silence
        except OSError as error:  # refused, cut, unknown name, TLS: what is said of it may repeat no address
            self.outcome = Outcome("failed", f"not reached: {error.strerror or type(error).__name__}")
        except (http.client.HTTPException, ValueError) as error:
            self.outcome = Outcome("failed", f"what it answers is no HTTP: {type(error).__name__}")
        except Exception as error:
            log.exception("a webhook cannot be sent to")
            self.outcome = Outcome("failed", f"unexpected {type(error).__name__}")

    def cut_off(self) -> None:
        """End what still hangs, whatever it waits for."""
        self._over, raw = True, self._raw
        if raw is not None:
            with suppress(OSError):
                socket.socket.shutdown(raw, socket.SHUT_RDWR)  # and not TLS's, which would wait for the other side

    def _ask(self) -> None:
        parts = urlsplit(self.url)
        host, secure = parts.hostname or "", parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        addresses = permitted(host, port, self.allow, private=False)
        if not secure and not all(ip_address(address).is_loopback for address in addresses):
            self.outcome = Outcome("failed", "http:// is for this machine only, and the name leads elsewhere")
            return
        connection = http.client.HTTPConnection(host, port, timeout=self.limit)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            connection.sock = self._connected(addresses, port, host if secure else "")
            connection.request("POST", target, self.body, {**self.headers, "Host": parts.netloc})
            with connection.getresponse() as answer:
                self.outcome = outcome_of(answer.status, answer.headers.get("Retry-After") or "")
                with suppress(OSError, http.client.HTTPException):  # what else it says is taken, so that it may end
                    answer.read(MOST_ANSWER)
        finally:
            connection.close()
            if self._raw is not None:
                self._raw.close()

    def _connected(self, addresses: tuple[str, ...], port: int, name: str) -> socket.socket:
        """A connection to the first address that takes one; with TLS where there is a name to prove."""
        failed: OSError = OSError("there is no address")
        for address in addresses:
            if self._over:
                break
            try:
                self._raw = socket.create_connection((address, port), timeout=self.limit)
                break
            except OSError as error:
                failed = error
        if self._raw is None or self._over:
            raise failed
        if not name:
            return self._raw
        secured = ssl.create_default_context().wrap_socket(
            self._raw, server_hostname=name, do_handshake_on_connect=False
        )
        self._raw = secured
        secured.do_handshake()
        return secured


def outcome_of(status: int, retry_after: str) -> Outcome:
    """What an answer says: 2xx took it, 410 wants no more of it, all others are tried again."""
    if 200 <= status < 300:
        return Outcome("delivered")
    words = next((f" {known.phrase}" for known in HTTPStatus if known.value == status), "")
    detail = f"it answered {status}{words}"
    if 300 <= status < 400:
        detail += ", and redirects are not followed"
    wait = min(float(retry_after), LONGEST_WAIT) if re.fullmatch("[0-9]{1,9}", retry_after) else 0.0
    return Outcome("failed", detail, final=status == HTTPStatus.GONE, after=wait if status in (429, 503) else 0.0)
