"""Stripe as its documentation has it: lists newest first, objects by id, events of 30 days."""

from __future__ import annotations

import base64
import copy
import fnmatch
import hashlib
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

KEY = "rk_test_51Hfake0fakeKey"
DAY = 86_400
NAMES = {
    "customers": ("customer", "cus", "customer"),
    "subscriptions": ("subscription", "sub", "customer.subscription"),
    "invoices": ("invoice", "in", "invoice"),
    "charges": ("charge", "ch", "charge"),
    "refunds": ("refund", "re", "refund"),
}
ITEMS_SHOWN = 10


class Stripe:
    """now: its clock, seconds since 1970. objects: resource → id → object, the truth. events: all that ever were."""

    def __init__(self, now: int) -> None:
        self.now, self.objects = now, {name: dict[str, dict[str, Any]]() for name in NAMES}
        self.deleted: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.revoked = False
        self.forbidden = ""  # a resource that the key may not read
        self.between: Callable[[str], None] | None = None  # called after each page of a list, to change the truth
        self._made = 0
        self.app = Starlette(routes=[Route("/v1/{name}", self._list), Route("/v1/{name}/{id}", self._one)])

    # ---- what happens at the vendor

    def create(self, resource: str, /, **more: Any) -> dict[str, Any]:
        """A new object, and its event."""
        self._made += 1
        kind, prefix, event = NAMES[resource]
        made = {"id": f"{prefix}_{self._made:06}", "object": kind, "created": self.now, "livemode": False, **more}
        self.objects[resource][made["id"]] = made
        self.tell(f"{event}.created", made)
        return made

    def edit(self, name: str, key: str, /, **more: Any) -> None:
        """Change an object; its event holds what it was before."""
        found = self.objects[name][key]
        before = {field: found.get(field) for field in more}
        found |= more
        ended = name == "subscriptions" and more.get("status") == "canceled"
        self.tell(f"{NAMES[name][2]}.{'deleted' if ended else 'updated'}", found, before)

    def delete(self, name: str, key: str) -> None:
        """Delete a customer or a draft of an invoice."""
        self.deleted[key] = self.objects[name].pop(key)
        self.tell(f"{NAMES[name][2]}.deleted", self.deleted[key])

    def tell(self, type: str, record: dict[str, Any], before: dict[str, Any] | None = None, at: int = 0) -> None:
        """An event. at: its moment, now by default."""
        data = {"object": copy.deepcopy(record)} | ({"previous_attributes": before} if before is not None else {})
        digest = hashlib.sha256(f"{len(self.events)}".encode()).hexdigest()[:16]  # order tells nothing
        event = {"id": f"evt_{digest}", "object": "event", "type": type, "created": at or self.now, "data": data}
        self.events.append({**event, "api_version": "2026-10-28", "livemode": False, "pending_webhooks": 0})

    # ---- HTTP

    async def _list(self, request: Request) -> Response:
        name = request.path_params["name"]
        if refused := self._refused(request, name):
            return refused
        asked = request.query_params
        limit = int(asked.get("limit", 10))
        if not 1 <= limit <= 100:
            return _error(400, "This value must be between 1 and 100 (inclusive).", param="limit")
        if name == "events":
            if "type" in asked and "types[]" in asked:
                return _error(400, "You may only specify one of these parameters: type, types.")
            rows = [e for e in self.events if e["created"] > self.now - 30 * DAY and _of_type(e, request)]
        elif name == "subscription_items":
            rows = self._items(asked["subscription"])
        elif name in NAMES:
            rows = [r for r in self.objects[name].values() if _status(name, r, asked.get("status", ""))]
        else:
            return _error(404, f"Unrecognized request URL (GET: /v1/{name}).")
        rows = sorted(filter(lambda r: _created(r, request), rows), key=lambda r: (r["created"], r["id"]), reverse=True)
        start = 0
        if after := asked.get("starting_after"):
            ids = [row["id"] for row in rows]
            if after not in ids:
                return _error(400, f"No such {name.removesuffix('s')}: '{after}'", param="starting_after")
            start = ids.index(after) + 1
        part = [_shown(row) for row in rows[start : start + limit]]
        body = {"object": "list", "url": f"/v1/{name}", "has_more": start + limit < len(rows), "data": part}
        if self.between is not None:
            self.between(name)
        return JSONResponse(body)

    async def _one(self, request: Request) -> Response:
        name, key = request.path_params["name"], request.path_params["id"]
        if refused := self._refused(request, name):
            return refused
        if key in self.objects[name]:
            return JSONResponse(_shown(self.objects[name][key]))
        if name == "customers" and key in self.deleted:
            return JSONResponse({"id": key, "object": "customer", "deleted": True})
        return _error(404, f"No such {NAMES[name][0]}: '{key}'", code="resource_missing")

    def _refused(self, request: Request, name: str) -> Response | None:
        sent = request.headers.get("authorization", "")
        known = sent in ("Basic " + base64.b64encode(f"{KEY}:".encode()).decode(), f"Bearer {KEY}")
        if self.revoked or not known:
            return _error(401, "Invalid API Key provided: rk_test_*********Key")
        if name == self.forbidden:
            return _error(403, "The provided key does not have the required permissions for this endpoint.")
        return None

    def _items(self, key: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.objects["subscriptions"][key]["items"]["data"]
        return items


def _error(status: int, message: str, **more: str) -> Response:
    return JSONResponse({"error": {"type": "invalid_request_error", "message": message, **more}}, status)


def _of_type(event: dict[str, Any], request: Request) -> bool:
    named = request.query_params.getlist("types[]")
    like = request.query_params.get("type", "*")
    return bool(event["type"] in named if named else fnmatch.fnmatchcase(event["type"], like))


def _status(name: str, row: dict[str, Any], asked: str) -> bool:
    if name != "subscriptions" or asked == "all":
        return True
    return bool(row["status"] == asked if asked else row["status"] != "canceled")


def _created(row: dict[str, Any], request: Request) -> bool:
    asked = request.query_params
    return bool(int(asked.get("created[gte]", 0)) <= row["created"] <= int(asked.get("created[lte]", 10**12)))


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A subscription is shown with its first items."""
    if row.get("object") == "event":
        inner = row["data"]["object"]
        return {**row, "data": {**row["data"], "object": _shown(inner)}} if inner.get("object") else row
    items = row.get("items")
    if not items:
        return copy.deepcopy(row)
    return copy.deepcopy(
        {**row, "items": {**items, "data": items["data"][:ITEMS_SHOWN], "has_more": len(items["data"]) > ITEMS_SHOWN}}
    )
