"""Lists in parts: a cursor says where the next one begins, and of what it is a part."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field

from api.asking import Answer, Asked, Parameters, digest
from api.problems import Refused
from connectors.errors import KpiError, QueryRefused

MOST = 5_000  # rows of a part


class Paged(Parameters):
    """The parameters of a list."""

    limit: int = Field(500, ge=1, le=MOST, description="Rows of a part, at the most.")
    cursor: str = Field("", max_length=200, description="`next` of the part before; empty = the first part.")


class Problem(BaseModel):
    """A KPI that has no answer to the question, and why."""

    kpi: str
    code: str
    message: str


class Part(BaseModel):
    """rows: of this part. next: the cursor of the part after it; null at the end."""

    rows: list[dict[str, Any]]
    next: str | None


def cursor(mark: str, place: Sequence[int]) -> str:
    """Where a part begins, in the list that `mark` names."""
    return urlsafe_b64encode(json.dumps([mark, *place]).encode()).decode().rstrip("=")


def place(text: str, mark: str, parts: int) -> tuple[int, ...]:
    """Where a cursor points: so many numbers, of nothing if it is empty.

    Raises QueryRefused for a text that is no cursor, Refused (409) for one of a list that has changed since.
    """
    if not text:
        return (0,) * parts
    try:
        of, *found = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        good = len(found) == parts and all(type(one) is int and 0 <= one < 2**31 for one in found)
    except (ValueError, TypeError):
        of, found, good = "", [], False
    if not good:
        raise QueryRefused("the cursor is none of ours", hint="Take it from `next` of the part before.")
    if of != mark:
        error = KpiError("the list has changed since its first part", hint="Begin again without a cursor.")
        error.code = "changed"
        raise Refused(409, error)
    return tuple(found)


def part(asked: Asked, rows: Sequence[Mapping[str, Any]]) -> Answer:
    """One part of a list that is known whole."""
    mark = digest(rows)
    (first,) = place(asked.of.cursor, mark, 1)
    last = first + asked.of.limit
    return Answer({"rows": rows[first:last], "next": cursor(mark, (last,)) if last < len(rows) else None})
