"""How an API tells where its next records are. The options of `paging`, and what they do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from connectors.errors import SourceError, counted
from connectors.sources.rest.client import Answer, Client

T = TypeVar("T")
Records = list[Any]
MOST_PAGES = 1_000_000
ROUNDS = 4  # of asking for a page in whose place another comes


@dataclass(frozen=True)
class Asked:
    """A request to make. path: or a whole address."""

    path: str
    params: Mapping[str, Any]
    method: Literal["GET", "POST"] = "GET"
    body: Any = None


@dataclass(frozen=True)
class Page:
    """One answer and the records in it. sent: parameters that it answers. seen: records so far, these among them."""

    records: Records
    answer: Answer
    sent: Mapping[str, Any]
    seen: int


class Paging(BaseModel):
    """Base of the ways to page; this one is none: one answer holds all."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    type: Literal["none"] = "none"

    def first(self) -> dict[str, Any]:
        """Parameters of the first request, beside the source's own."""
        return {}

    def next(self, page: Page) -> dict[str, Any] | str | None:
        """Parameters or address of the one after this page; None = that was all."""


class Sized(Paging):
    """Base of those that say how many records a page has."""

    size_param: str = Field("", description="Parameter that says how many records one page has, such as limit.")
    size: int = Field(100, ge=1, description="How many.")

    def first(self) -> dict[str, Any]:
        """The size."""
        return {self.size_param: self.size} if self.size_param else {}


class LinkHeader(Sized):
    """The header Link names the next address (rel=next)."""

    type: Literal["link_header"] = "link_header"  # type: ignore[assignment]

    def next(self, page: Page) -> dict[str, Any] | str | None:
        """The address of rel=next."""
        return page.answer.links.get("next")


class NextUrl(Sized):
    """The body names the next address."""

    type: Literal["next_url"] = "next_url"  # type: ignore[assignment]
    path: str = Field("links.next", description="Where in the answer the next address is.")

    def next(self, page: Page) -> dict[str, Any] | str | None:
        """That address."""
        return str(found) if (found := at(page.answer.body, self.path)) else None


class Cursor(Sized):
    """The body names a token that the next request sends."""

    type: Literal["cursor"] = "cursor"  # type: ignore[assignment]
    param: str = Field(description="Parameter that the token is sent as.")
    path: str = Field(description="Where in the answer the next token is.")
    more: str = Field("", description="Where in the answer is said whether there is more.")

    def next(self, page: Page) -> dict[str, Any] | str | None:
        """The token."""
        token = at(page.answer.body, self.path)
        if not token or (self.more and not at(page.answer.body, self.more)):
            return None
        return {**page.sent, self.param: token}


class LastId(Sized):
    """The next request names the last record of this page."""

    type: Literal["last_id"] = "last_id"  # type: ignore[assignment]
    param: str = Field(description="Parameter that the last record's id is sent as, such as starting_after.")
    field: str = Field("id", description="Where in a record its id is.")
    more: str = Field("", description="Where in the answer is said whether there is more; without it: a full page.")

    def next(self, page: Page) -> dict[str, Any] | str | None:
        """The last record's id."""
        more = at(page.answer.body, self.more) if self.more else len(page.records) >= self.size
        return {**page.sent, self.param: at(page.records[-1], self.field)} if more and page.records else None


class Offset(Sized):
    """The next request says how many records to pass over."""

    type: Literal["offset"] = "offset"  # type: ignore[assignment]
    param: str = Field("offset", description="Parameter that says how many.")
    total: str = Field("", description="Where in the answer is said how many there are in all.")

    def next(self, page: Page) -> dict[str, Any] | str | None:
        """How many were seen."""
        total = at(page.answer.body, self.total) if self.total else None
        more = page.seen < int(total) if total is not None else len(page.records) >= self.size
        return {**page.sent, self.param: page.seen} if more and page.records else None


class PageNumber(Sized):
    """Pages have numbers."""

    type: Literal["page"] = "page"  # type: ignore[assignment]
    param: str = Field("page", description="Parameter of the number.")
    first_page: int = Field(1, description="The number of the first one.")
    last: str = Field("", description="Where in the answer the number of the last page is; without it: a full page.")

    def first(self) -> dict[str, Any]:
        """The first number, and the size."""
        return {**super().first(), self.param: self.first_page}

    def next(self, page: Page) -> dict[str, Any] | str | None:
        """One more."""
        number = int(page.sent[self.param])
        last = at(page.answer.body, self.last) if self.last else None
        more = number < int(last) if last is not None else len(page.records) >= self.size
        return {**page.sent, self.param: number + 1} if more and page.records else None


AnyPaging = Annotated[
    Paging | LinkHeader | NextUrl | Cursor | LastId | Offset | PageNumber, Field(discriminator="type")
]


def awaited(ask: Callable[[], T], wrong: Callable[[T], bool], *, where: str) -> T:
    """An answer that is not another page in its place, such as the one before once more: that is asked for again.

    Raises SourceError where it stays wrong.
    """
    for _ in range(ROUNDS):
        found = ask()
        if not wrong(found):
            return found
    raise SourceError(
        "the API sends the same page again and again",
        where=where,
        hint="The next sync tries again. If it stays so, compare `paging` with the API's documentation.",
        retryable=True,
    )


def pages(
    client: Client, asked: Asked, paging: Paging, records: str, *, where: str, alike: bool = False
) -> Iterator[Page]:
    """All pages, the first with what `asked` has. records: where in an answer they are. Raises SourceError.

    A GET sends what pages as parameters, a POST in its body. alike: pages may be the same, as records have no key.
    """
    posted = asked.method == "POST"
    path = asked.path
    sent = {**((asked.body or {}) if posted else asked.params), **paging.first()}
    made: set[str] = set()
    found: Records = []
    seen = 0
    for _ in range(MOST_PAGES):
        mark = json.dumps([path, sent], default=str, sort_keys=True)
        if mark in made:
            raise SourceError(
                f"the API sends the same page again and again, after {counted(seen, 'record')}",
                where=where,
                hint="Compare `paging` with the API's documentation: the next page is not where it says.",
            )
        made.add(mark)
        params, body = (asked.params, sent) if posted else (sent, asked.body)
        again = partial(_again, paging, sent, path, [] if alike else found, records, where)
        answer = _answered(client, Asked(path, params, asked.method, body), again, where)
        found = records_of(answer.body, records, where)
        seen += len(found)
        page = Page(found, answer, sent, seen)
        yield page
        following = paging.next(page)
        if following is None:
            return
        if isinstance(following, str):
            path, sent = following, {}  # the address has all parameters
            asked = Asked(path, {}, asked.method, None)
        else:
            sent = following


def _answered(client: Client, asked: Asked, wrong: Callable[[Answer], bool], where: str) -> Answer:
    return awaited(
        lambda: client.ask(asked.method, asked.path, params=asked.params, body=asked.body), wrong, where=where
    )


def _again(
    paging: Paging, sent: Mapping[str, Any], path: str, before: Records, records: str, where: str, answer: Answer
) -> bool:
    """Whether an answer is the page before once more: it has the same records, or leads to the request it answers."""
    found = records_of(answer.body, records, where)
    if not before or not found:
        return False
    following = paging.next(Page(found, answer, sent, 0))
    return _alike(found, before) or following == (path if isinstance(following, str) else sent)


def _alike(one: Any, other: Any) -> bool:
    """Whether two values are the same in all that both have: one may have come from a newer version of the API, with
    keys that the other has not.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        both = one.keys() & other.keys()
        return (bool(both) or one == other) and all(_alike(one[key], other[key]) for key in both)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_alike(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def records_of(body: Any, path: str, where: str) -> Records:
    """The list of records in an answer. Raises SourceError if there is none."""
    found = at(body, path) if path else body
    if isinstance(found, list):
        return found
    if found is None and isinstance(body, Mapping | list) and not path:
        return []
    known = sorted(body) if isinstance(body, Mapping) else []
    raise SourceError(
        f"the answer has no list at '{path}'" if path else "the answer is no list",
        where=where,
        hint=f"State `records`, where the list is. The answer has: {', '.join(known) or type(body).__name__}.",
    )


def at(value: Any, path: str) -> Any:
    """What stands at keys apart by dots; None if nothing does."""
    for key in path.split(".") if path else ():
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list) and key.lstrip("-").isdigit() and -len(value) <= int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value
