"""Google Sheets' values.get as its documentation has it: rows without what is empty at their ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.fakes.google import Tokens, wrong

SHEET = "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms"
RENDERED = ("FORMATTED_VALUE", "UNFORMATTED_VALUE")


class GoogleSheets:
    """now: its clock. tabs: the truth: name → rows of cells. stored: the same, as numbers are stored."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.tabs: dict[str, list[list[Any]]] = {}
        self.stored: dict[str, list[list[Any]]] = {}
        self.asked: list[str] = []
        self.revoked = False
        self.between: Callable[[], None] | None = None  # called after each answer, to change the truth
        self.tokens = Tokens("https://www.googleapis.com/auth/spreadsheets.readonly")
        path = "/v4/spreadsheets/{sheet}/values/{range:path}"
        self.app = Starlette(routes=[self.tokens.route, Route(path, self._values)])

    async def _values(self, request: Request) -> Response:
        if refused := self.tokens.refused(request):
            return refused
        if self.revoked:
            return wrong(403, "The caller does not have permission", "PERMISSION_DENIED")
        if request.path_params["sheet"] != SHEET:
            return wrong(404, "Requested entity was not found.", "NOT_FOUND")
        asked, render = request.path_params["range"], request.query_params.get("valueRenderOption", "FORMATTED_VALUE")
        self.asked.append(asked)
        tab = asked.partition("!")[0].strip("'")
        if tab not in self.tabs or render not in RENDERED:
            return wrong(400, f"Unable to parse range: {asked}", "INVALID_ARGUMENT")
        rows = (self.stored if render == "UNFORMATTED_VALUE" else self.tabs)[tab]
        body: dict[str, Any] = {"range": f"{tab}!A1:Z1000", "majorDimension": "ROWS"}
        if shown := _trimmed([_trimmed(row, "") for row in rows], []):
            body["values"] = shown
        if self.between is not None:
            self.between()
        return JSONResponse(body)


def _trimmed(items: list[Any], empty: Any) -> list[Any]:
    """Without what is empty at the end."""
    end = len(items)
    while end and items[end - 1] == empty:
        end -= 1
    return items[:end]
