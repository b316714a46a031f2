"""HTTP as APIs need it: time-outs, retries with back-off, the API's budget, bounded answers, errors in words."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx
import tenacity

from connectors.clock import utc_now
from connectors.errors import OutboundRefused, SourceError
from connectors.outbound_http import guarded_client
from connectors.secrets import hide_address, mask
from connectors.sources.rest.auth import Place
from connectors.sources.rest.budget import Budget

T = TypeVar("T")
AGAIN = {408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529}  # answers that another try may change
MOST_ANSWER = 64 << 20  # bytes of one answer that is read into memory
MOST_WORDS = 200  # letters of an answer in an error
# Where APIs say in their answers what is wrong.
MESSAGES = ("error", "message"), ("error", "detail"), ("message",), ("detail",), ("error_description",), ("error",)


@dataclass(frozen=True)
class Patience:
    """attempts: of one request. first, most: seconds of the first and of the longest pause. whole: of one answer.

    limited: seconds to wait where a limit was reached and the server does not say for how long.
    """

    attempts: int = 6
    first: float = 0.5
    most: float = 60.0
    longest: float = 300.0  # that a server may ask to wait
    connect: float = 20.0
    silence: float = 60.0
    whole: float = 3600.0
    limited: float = 60.0


USUAL = Patience()


@dataclass(frozen=True)
class Answer:
    """One answer. body: its JSON; None where a status of `missing` was answered."""

    body: Any
    url: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """An answer that is none. after: seconds that the server asks to wait. limit: too much was asked for."""

    def __init__(self, status: int, words: str, after: float = 0.0, *, limit: bool = False) -> None:
        super().__init__(words)
        self.status, self.words, self.after, self.limit = status, words, after, limit

    @property
    def passing(self) -> bool:
        """Whether another try may bring another answer."""
        return self.limit or self.status in AGAIN


class StatusError(SourceError):
    """An API that answers, but not with what was asked for. status: of HTTP. said: what the answer says."""

    def __init__(self, message: str, *, where: str, hint: str, retryable: bool, status: int, said: str) -> None:
        super().__init__(message, where=where, hint=hint, retryable=retryable)
        self.status, self.said = status, said


class Client:
    """One API, asked with one key.

    base: its address. place: who is told wrong, and where it may connect to. rights: a sentence on what a refused key
    needs. Raises SourceError, OutboundRefused.
    """

    def __init__(
        self,
        base: str,
        *,
        place: Place,
        auth: httpx.Auth | None = None,
        headers: Mapping[str, str] | None = None,
        budget: Budget | None = None,
        rights: str = "",
        patience: Patience | None = None,
    ) -> None:
        if not base.startswith(("http://", "https://")):
            raise SourceError(
                f"{base} is not an http address", where=place.where, hint="It starts with http:// or https://."
            )
        hide_address(base)
        self._base, self._where, self._rights = base.rstrip("/"), place.where, rights
        self._budget, self._patience = budget or Budget(), patience or USUAL
        patience = self._patience
        self._http = guarded_client(
            place.allow,
            private=True,
            auth=auth,
            headers={"User-Agent": "Bellwether", **(headers or {})},
            timeout=httpx.Timeout(patience.silence, connect=patience.connect),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        missing: Collection[int] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The JSON at a path, or at an address of the same host. missing: statuses that mean: nothing there."""
        return self.ask("GET", path, params=params, missing=missing, headers=headers)

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        missing: Collection[int] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The JSON answer to a request. headers: of this one, such as If-None-Match."""

        def once() -> Answer:
            with self._sent(method, path, params, body, missing, headers) as response:
                if response.status_code in missing:
                    return Answer(None, str(response.url), response.status_code, response.headers)
                text = b"".join(self._read(response, MOST_ANSWER))
                try:
                    found = json.loads(text) if text.strip() else None
                except ValueError:
                    raise Refused(response.status_code, f"no JSON, but: {_start(text)}") from None
                links = {name: link["url"] for name, link in response.links.items() if name and "url" in link}
                return Answer(found, str(response.url), response.status_code, response.headers, links)

        return self._tried(once, path)

    def save(
        self,
        path: str,
        target: Path,
        params: Mapping[str, Any] | None = None,
        *,
        missing: Collection[int] = (),
        wrong: Callable[[Path], str] = lambda _: "",
    ) -> int | None:
        """Save an answer of any length as a file; it is there in whole or not at all. Bytes; None where missing.

        wrong: says why a file is not whole, or not what was asked for; then it is asked for again. Empty = it is.
        """
        part = target.with_name(f"{target.name}.part")

        def once() -> int | None:
            with self._sent("GET", path, params, None, missing) as response:
                if response.status_code in missing:
                    return None
                size = 0
                with part.open("wb") as file:
                    for chunk in self._read(response, 0):
                        size += file.write(chunk)
            if words := wrong(part):
                raise Refused(response.status_code, words)
            part.replace(target)
            return size

        try:
            return self._tried(once, path)
        finally:
            part.unlink(missing_ok=True)

    @contextmanager
    def _sent(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None,
        body: Any,
        missing: Collection[int],
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[httpx.Response]:
        """An answer whose body is still to be read. Raises Refused, SourceError."""
        self._budget.take()
        url = self._address(path)
        asked = {k: v for k, v in (params or {}).items() if v is not None}
        with self._http.stream(method, url, params=asked or None, json=body, headers=headers) as response:
            if response.status_code // 100 != 2 and response.status_code not in missing:
                words = _start(b"".join(self._read(response, MOST_ANSWER)))
                limit = _limited(response.status_code, response.headers, words)
                after = _after(response.headers)
                if limit and not after and "retry-after" not in response.headers and response.status_code == 403:
                    after = self._patience.limited  # GitHub's secondary limits: at least a minute
                raise Refused(response.status_code, words, after, limit=limit)
            yield response

    def _address(self, path: str) -> str:
        """Where a path leads. An address that an answer named must be of the same host: the key goes with it."""
        if "://" not in path:
            return f"{self._base}/{path.lstrip('/')}" if path else self._base
        mine, named = urlsplit(self._base), urlsplit(path)
        if (mine.scheme, mine.netloc) != (named.scheme, named.netloc):
            raise SourceError(
                f"the next page is at another host, {named.hostname}; nothing was asked there",
                where=self._where,
                hint="The key goes with each request, so only the host in `url` is asked.",
            )
        return path

    def _read(self, response: httpx.Response, most: int) -> Iterator[bytes]:
        """The body in pieces. most: bytes that it may have, 0 = any. Raises SourceError, httpx.ReadTimeout."""
        size, ends = 0, time.monotonic() + self._patience.whole
        for chunk in response.iter_bytes():
            size += len(chunk)
            if most and size > most:
                raise SourceError(
                    f"one answer is longer than {most >> 20} MB",
                    where=self._where,
                    hint="Ask for fewer records at once: `paging: {…, size: 100}`.",
                )
            if time.monotonic() > ends:
                raise httpx.ReadTimeout(f"not done after {self._patience.whole:.0f} s")
            yield chunk

    def _tried(self, once: Callable[[], T], path: str) -> T:
        """`once()`, again after a pause where that may help. Raises SourceError, OutboundRefused."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(self._may_help),
            wait=self._pause,
            stop=tenacity.stop_after_attempt(self._patience.attempts),
            sleep=time.sleep,
            reraise=True,
        )
        try:
            found: T = retrying(once)
        except Refused as error:
            raise self._told(error, urlsplit(self._address(path)).path or "/") from None
        except OutboundRefused as error:
            raise OutboundRefused(error.message, where=self._where, hint=error.hint) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise SourceError(
                f"{self._host()} does not answer: {type(error).__name__}: {error}",
                where=self._where,
                hint="Nothing of this pull was loaded; the next sync tries again.",
                retryable=True,
            ) from None
        return found

    def _may_help(self, error: BaseException) -> bool:
        if isinstance(error, Refused):
            return (error.passing or error.status // 100 == 2) and error.after <= self._patience.longest
        return isinstance(error, httpx.TransportError) and not isinstance(error, httpx.UnsupportedProtocol)

    def _pause(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.after if isinstance(error, Refused) else 0.0
        grown = min(self._patience.first * 2.0 ** (state.attempt_number - 1), self._patience.most)
        return asked + random.uniform(0.5, 1.0) * (min(grown, 1.0) if asked else grown)  # noqa: S311 (who waits how long)

    def _told(self, error: Refused, place: str) -> StatusError:
        """What a refusal means, and what to do."""
        status, hint = error.status, "Nothing of this pull was loaded."
        if error.limit:
            words = f"{self._host()} asks to wait (HTTP {status})"
            hint = f"It answers again in {error.after:.0f} s. " if error.after else ""
            hint += "The next sync tries again; ask less often, or for less."
        elif status in (401, 403):
            words = f"{self._host()} does not accept the key for {place} (HTTP {status})"
            hint = f"It may be revoked, of another project, or lack a right. {self._rights}".strip()
        elif status == 404:
            words = f"{self._host()} has no {place} (HTTP 404)"
            hint = "Compare the address and the names in sources.yml with the API's documentation."
        elif status // 100 == 3:
            words = f"{self._host()} sends {place} elsewhere (HTTP {status})"
            hint = "Write the address that it has now: the key is not sent on."
        else:
            words = f"{self._host()} answers {place} with HTTP {status}"
        return StatusError(
            f"{words}: {error.words}" if error.words else words,
            where=self._where,
            hint=hint,
            retryable=error.passing,
            status=status,
            said=error.words,
        )

    def _host(self) -> str:
        return urlsplit(self._base).netloc.rpartition("@")[2]


def _start(text: bytes) -> str:
    """What an answer says, short: the message of an error or of the first one, else how it begins.

    Masked before it is cut: half a key is not known for one.
    """
    plain = mask(" ".join(text[:4_000].decode("utf-8", "replace").split()))
    try:
        body = json.loads(text)
    except ValueError:
        return plain[:MOST_WORDS]
    errors = body.get("errors") if isinstance(body, Mapping) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    return (_message(body) or _message(first) or plain)[:MOST_WORDS]


def _message(body: Any) -> str:
    """What one of MESSAGES leads to."""
    for path in MESSAGES:
        found = body
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        if isinstance(found, str) and found:
            return mask(found)
    return ""


def _limited(status: int, headers: Mapping[str, str], words: str) -> bool:
    """Whether too much was asked for. Some say so with 403, which else refuses a key."""
    if status != 403:
        return status == 429
    told = "retry-after" in headers or headers.get("x-ratelimit-remaining", "").strip() == "0"
    return told or "rate limit" in words.lower()


def _after(headers: Mapping[str, str]) -> float:
    """Seconds that an answer asks to wait: Retry-After in seconds or as a date, else the moment of a reset."""
    asked = headers.get("retry-after", "").strip()
    if asked.replace(".", "", 1).isdigit():
        return float(asked)
    if asked:
        try:
            at = parsedate_to_datetime(asked)
        except ValueError:
            return 0.0
        return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - utc_now()).total_seconds())
    reset = headers.get("x-ratelimit-reset", "").strip()
    if headers.get("x-ratelimit-remaining", "").strip() == "0" and reset.isdigit():
        return max(0.0, float(reset) - utc_now().timestamp())
    return 0.0
