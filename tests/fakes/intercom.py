"""Intercom's search as its documentation has it: conversations by the second, contacts by the day, a token per page."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

TOKEN = "dG9rOm-of-the-fake-intercom"
MOST = 150


class Intercom:
    """conversations, contacts: the truth by id. zone: of the workspace, whose days contacts are searched by."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.conversations: dict[str, dict[str, Any]] = {}
        self.contacts: dict[str, dict[str, Any]] = {}
        self.zone = "America/Los_Angeles"
        self.revoked = self.inclusive = False  # inclusive: `>` holds its own second
        self.between: Callable[[], None] | None = None  # called after each page, to change the truth
        self.app = Starlette(
            routes=[
                Route("/conversations/search", self._conversations, methods=["POST"]),
                Route("/contacts/search", self._contacts, methods=["POST"]),
            ]
        )

    # ---- what happens at the vendor

    def open(self, contact: str = "c1", **more: Any) -> str:
        """A new conversation."""
        key = str(len(self.conversations) + 1)
        self.conversations[key] = {
            "type": "conversation",
            "id": key,
            "created_at": self.now,
            "updated_at": self.now,
            "source": {"type": "conversation", "delivered_as": "customer_initiated", "body": f"<p>Help {key}</p>"},
            "contacts": {"type": "contact.list", "contacts": [{"type": "contact", "id": contact}]},
            "state": "open",
            "conversation_rating": None,
            "statistics": None,
            **more,
        }
        return key

    def change(self, key: str, **more: Any) -> None:
        """A conversation changes."""
        self.conversations[key] |= {**more, "updated_at": self.now}

    def reply(self, key: str, seconds: int) -> None:
        """An admin's first answer."""
        said = {"time_to_admin_reply": seconds, "first_admin_reply_at": self.now}
        self.change(key, statistics={**(self.conversations[key]["statistics"] or {}), **said})

    def rate(self, key: str, rating: int, remark: str = "") -> None:
        """Who asked rates the answer."""
        self.change(key, conversation_rating={"rating": rating, "remark": remark, "created_at": self.now})

    def contact(self, key: str, **more: Any) -> None:
        """A contact is new, or changes."""
        new = {"type": "contact", "id": key, "role": "user", "created_at": self.now}
        self.contacts[key] = {**new, **self.contacts.get(key, {}), **more, "updated_at": self.now}

    # ---- HTTP

    async def _conversations(self, request: Request) -> Response:
        asked = await _asked(request)
        least = int(asked["query"]["value"]) + (0 if self.inclusive else 1)
        return self._answer(request, asked, "conversations", least)

    async def _contacts(self, request: Request) -> Response:
        """`>` is from the start of the day after, where the workspace is."""
        asked = await _asked(request)
        day = datetime.fromtimestamp(int(asked["query"]["value"]), ZoneInfo(self.zone)).date()
        start = datetime.combine(day + timedelta(days=1), datetime.min.time(), ZoneInfo(self.zone))
        return self._answer(request, asked, "contacts", int(start.timestamp()))

    def _answer(self, request: Request, asked: dict[str, Any], resource: str, least: int) -> Response:
        if self.revoked or request.headers.get("authorization") != f"Bearer {TOKEN}":
            return _wrong(401, "unauthorized", "Access Token Invalid")
        if "intercom-version" not in request.headers:
            return _wrong(400, "intercom_version_invalid", "Send a version")
        size = int(asked["pagination"]["per_page"])
        if size > MOST:
            return _wrong(400, "parameter_invalid", f"Per Page is too big, at most {MOST}")
        known = self.conversations if resource == "conversations" else self.contacts
        down = asked["sort"]["order"] == "descending"
        rows = [row for row in known.values() if row["updated_at"] >= least]
        rows.sort(key=lambda row: (row["updated_at"], row["id"]), reverse=down)
        page = int(base64.b64decode(asked["pagination"].get("starting_after", "")) or 0)  # pages shift
        part = rows[page * size : (page + 1) * size]
        body: dict[str, Any] = {
            "type": "conversation.list" if resource == "conversations" else "list",
            "conversations" if resource == "conversations" else "data": copy.deepcopy(part),
            "total_count": len(rows),
            "pages": {"type": "pages", "page": page + 1, "per_page": size, "total_pages": -(-len(rows) // size)},
        }
        if (page + 1) * size < len(rows):
            token = base64.b64encode(str(page + 1).encode()).decode()
            body["pages"]["next"] = {"page": page + 2, "starting_after": token}
        if self.between is not None:
            self.between()
        return JSONResponse(body)


async def _asked(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await request.body())
    return found


def _wrong(status: int, code: str, words: str) -> Response:
    errors = [{"code": code, "message": words}]
    return JSONResponse({"type": "error.list", "request_id": "f0dc95f1", "errors": errors}, status)
