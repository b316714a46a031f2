"""App Store Connect's list of customer reviews as its documentation has it: ES256 tokens, newest first, links.next."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

APP, ISSUER, KEY_ID = "682658836", "57246542-96fe-1a63-e053-0824d011072a", "2X9R4HXF34"
KEY = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PACIFIC = timezone(timedelta(hours=-8))
MOST, LONGEST = 200, 20 * 60


class AppStore:
    """now: its clock, seconds since 1970. reviews: the truth by id. answers: by id of the review."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.reviews: dict[str, dict[str, Any]] = {}
        self.answers: dict[str, dict[str, Any]] = {}
        self.revoked = False
        self.between: Callable[[], None] | None = None  # called after each page, to change the truth
        self.app = Starlette(routes=[Route("/v1/apps/{app}/customerReviews", self._listed)])
        self._made = 0

    # ---- what happens at the vendor

    def review(self, rating: int, **more: Any) -> str:
        """A new one, at a time that is written with an offset."""
        self._made += 1
        key = f"{self._made:08}-b08c-0014-729e-fbd500000000"
        created = datetime.fromtimestamp(self.now, PACIFIC).isoformat()
        said = {"rating": rating, "title": "t", "body": "b", "reviewerNickname": "n", "territory": "USA"}
        self.reviews[key] = {**said, "createdDate": created, **more}
        return key

    def answer(self, key: str, words: str) -> None:
        """The developer's answer to a review."""
        at = datetime.fromtimestamp(self.now, UTC).isoformat()
        self.answers[key] = {"responseBody": words, "lastModifiedDate": at, "state": "PUBLISHED"}

    # ---- HTTP

    async def _listed(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        asked = request.query_params
        size, start = int(asked.get("limit", 50)), int(asked.get("cursor", 0))
        if size > MOST:
            return _wrong(400, "PARAMETER_ERROR.INVALID", "The limit must be at most 200.")
        down = asked.get("sort", "") == "-createdDate"
        rows = sorted(self.reviews, key=lambda key: (_time(self.reviews[key]), key), reverse=down)
        part = rows[start : start + size]
        body: dict[str, Any] = {
            "data": [self._shown(key, "response" in asked.get("include", "")) for key in part],
            "links": {"self": str(request.url)},
            "meta": {"paging": {"total": len(rows), "limit": size}},
        }
        if "response" in asked.get("include", ""):
            told = [
                {"type": "customerReviewResponses", "id": f"a-{k}", "attributes": self.answers[k]}
                for k in part
                if k in self.answers
            ]
            body["included"] = copy.deepcopy(told)
        if start + size < len(rows):
            body["links"]["next"] = str(request.url.include_query_params(cursor=start + size))
        if self.between is not None:
            self.between()
        return JSONResponse(body)

    def _shown(self, key: str, with_answer: bool) -> dict[str, Any]:
        link = f"https://api.appstoreconnect.apple.com/v1/customerReviews/{key}/response"
        response: dict[str, Any] = {"links": {"related": link}}
        if with_answer:
            response["data"] = {"type": "customerReviewResponses", "id": f"a-{key}"} if key in self.answers else None
        shown = {"type": "customerReviews", "id": key, "attributes": dict(self.reviews[key])}
        return {**shown, "relationships": {"response": response}}

    def _refused(self, request: Request) -> Response | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        try:
            found = jwt.decode(token, ECKey.import_key(KEY), algorithms=["ES256"])
        except (JoseError, ValueError):
            return _wrong(401, "NOT_AUTHORIZED", "Provide a properly configured and signed bearer token.")
        claims = found.claims
        right = (claims["iss"], claims["aud"], found.header["kid"]) == (ISSUER, "appstoreconnect-v1", KEY_ID)
        if self.revoked or not right or claims["exp"] - claims["iat"] > LONGEST:
            return _wrong(401, "NOT_AUTHORIZED", "Provide a properly configured and signed bearer token.")
        if request.path_params["app"] != APP:
            return _wrong(404, "NOT_FOUND", "There is no resource of type 'apps' with that id.")
        return None


def _time(review: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(review["createdDate"])


def _wrong(status: int, code: str, words: str) -> Response:
    error = {"id": "088cf5a0", "status": str(status), "code": code, "title": "Refused", "detail": words}
    return JSONResponse({"errors": [error]}, status)
